//! The submitted text of a job.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

/// The submitted text of a job, or a part of it.
#[derive(Debug)]
pub struct Document {
    source: Arc<str>,
    part: Range<usize>,
    next: Option<u32>,
    /// The memory reserved among all open answers, released when this is dropped.
    _hold: Option<OwnedSemaphorePermit>,
}

/// The text in a message over the broker.
#[derive(Serialize, Deserialize)]
pub(super) struct DocumentPart<'d> {
    text: std::borrow::Cow<'d, str>,
    /// The position after the part, if it is not the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<u32>,
}

impl Document {
    /// The text from the byte at `after` on. `None` if no character begins there. `hold` is its memory among all open
    /// answers.
    #[must_use]
    pub fn new(source: Arc<str>, after: u32, hold: Option<OwnedSemaphorePermit>) -> Option<Self> {
        let start = after as usize;
        let end = source.len();
        source.is_char_boundary(start).then_some(Self { source, part: start..end, next: None, _hold: hold })
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.source[self.part.clone()]
    }

    /// Where the next part begins, if this is not the last one.
    #[must_use]
    pub const fn next(&self) -> Option<u32> {
        self.next
    }

    /// The beginning of this text that has at most `limit` bytes as a JSON string, and at least one character.
    #[must_use]
    pub fn within(mut self, limit: usize) -> Self {
        let mut bytes = 0;
        let exceeds = |(at, one): &(usize, char)| {
            bytes += escaped_bytes(*one);
            bytes > limit && *at > 0
        };
        let end = self.text().char_indices().find(exceeds).map(|(at, _)| self.part.start + at);
        if let Some(end) = end {
            self.part.end = end;
            self.next = u32::try_from(end).ok();
        }
        self
    }

    /// The text as bytes. Its memory stays reserved until they are dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }

    pub(super) fn as_part(&self) -> DocumentPart<'_> {
        DocumentPart { text: self.text().into(), next: self.next }
    }
}

impl AsRef<[u8]> for Document {
    fn as_ref(&self) -> &[u8] {
        self.text().as_bytes()
    }
}

/// A complete text.
impl From<Arc<str>> for Document {
    fn from(source: Arc<str>) -> Self {
        Self { part: 0..source.len(), source, next: None, _hold: None }
    }
}

impl From<DocumentPart<'_>> for Document {
    fn from(DocumentPart { text, next }: DocumentPart<'_>) -> Self {
        Self { next, ..Self::from(Arc::<str>::from(text)) }
    }
}

/// The size of a character in a JSON string.
const fn escaped_bytes(one: char) -> usize {
    match one {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => one.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_and_form_the_text() {
        let text: Arc<str> = "{\"näme\":\t\"a\\u0041\",\r\n \"x-\u{1}\u{7f}\": \"😀\" }\n".into();
        for limit in 0..80 {
            let (mut whole, mut after) = (String::new(), Some(0));
            while let Some(at) = after {
                let part = Document::new(Arc::clone(&text), at, None).unwrap().within(limit);
                let written = serde_json::to_string(part.text()).unwrap().len() - 2;
                assert!(written <= limit || part.text().chars().count() == 1, "{limit}: {part:?}");
                let read: DocumentPart<'_> =
                    serde_json::from_value(serde_json::to_value(part.as_part()).unwrap()).unwrap();
                let read = Document::from(read);
                whole.push_str(read.text());
                after = read.next();
            }
            assert_eq!(whole, &*text, "{limit}");
        }
        assert!(Document::new(Arc::clone(&text), 4, None).is_none(), "within a character");
        assert!(Document::new(Arc::clone(&text), 1000, None).is_none());
        assert_eq!(Document::new(Arc::clone(&text), text.len() as u32, None).unwrap().text(), "");
    }
}
