//! Values in a text that is valid JSON, each with its place.
//!
//! No tree is built. A value is a slice of the text, and its content is read on demand. So the cost per task does not
//! grow with the number of tasks.

use std::borrow::Cow;

use crate::json::{end_of_string, end_of_word};

/// A value and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    /// Its byte offset in the text of the job.
    pub(super) at: usize,
    /// The text of the value.
    pub(super) text: &'a str,
}

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Number,
    Boolean,
    Object,
    List,
    Null,
}

impl Kind {
    /// The name of the kind, with its article.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Object => "an object",
            Self::List => "a list",
            Self::Null => "null",
        }
    }

    /// The kind of the value that begins with this byte.
    const fn of(first: Option<&u8>) -> Self {
        match first {
            Some(b'"') => Self::String,
            Some(b'{') => Self::Object,
            Some(b'[') => Self::List,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }
}

impl<'a> Value<'a> {
    /// The outermost value of a text.
    pub(super) fn of_job(text: &'a str) -> Self {
        let mut cursor = Cursor { text, at: 0, offset: 0 };
        cursor.skip_separators();
        cursor.value()
    }

    /// The kind of the value, from its first byte.
    pub(super) fn kind(self) -> Kind {
        Kind::of(self.text.as_bytes().first())
    }

    /// The decoded text of a string.
    pub(super) fn decoded(self) -> Cow<'a, str> {
        let written = &self.text[1..self.text.len() - 1];
        if written.contains('\\') {
            Cow::Owned(serde_json::from_str(self.text).expect("the text of a job was checked"))
        } else {
            Cow::Borrowed(written)
        }
    }

    /// The elements of a list.
    pub(super) fn elements(self) -> impl Iterator<Item = Self> {
        let mut cursor = self.cursor();
        cursor.enter();
        std::iter::from_fn(move || cursor.has_next().then(|| cursor.value()))
    }

    /// The keys and values of an object.
    pub(super) fn properties(self) -> impl Iterator<Item = (Self, Self)> {
        let mut cursor = self.cursor();
        cursor.enter();
        std::iter::from_fn(move || cursor.has_next().then(|| cursor.property()))
    }

    /// A cursor before the value.
    pub(super) const fn cursor(self) -> Cursor<'a> {
        Cursor { text: self.text, at: 0, offset: self.at }
    }
}

/// Reads a text forwards. The caller must ask for the kind of item that comes next.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// The byte offset of `text` in the text of the job.
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// The byte offset of the next item in the text of the job.
    pub(super) const fn at(&self) -> usize {
        self.offset + self.at
    }

    /// The kind of the next value.
    pub(super) fn kind(&self) -> Kind {
        Kind::of(self.text.as_bytes().get(self.at))
    }

    /// The next byte. At the end of the text, a closing bracket.
    pub(super) fn next_byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(b']')
    }

    /// Enters the next list or object.
    pub(super) const fn enter(&mut self) {
        self.at += 1;
    }

    /// Whether the list or object has another element or property. If not, leaves it.
    pub(super) fn has_next(&mut self) -> bool {
        self.skip_separators();
        let more = !matches!(self.next_byte(), b']' | b'}');
        self.at += usize::from(!more);
        more
    }

    /// Reads the next value.
    pub(super) fn value(&mut self) -> Value<'a> {
        let start = self.at;
        self.at = end_of_value(self.text.as_bytes(), start);
        Value { at: self.offset + start, text: &self.text[start..self.at] }
    }

    /// Reads the next key.
    pub(super) fn key(&mut self) -> Value<'a> {
        let key = self.value();
        self.skip_separators();
        key
    }

    fn property(&mut self) -> (Value<'a>, Value<'a>) {
        (self.key(), self.value())
    }

    fn skip_separators(&mut self) {
        while matches!(self.next_byte(), b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') {
            self.at += 1;
        }
    }
}

/// The end of the value that begins at `start`.
fn end_of_value(text: &[u8], start: usize) -> usize {
    match text.get(start) {
        Some(b'"') => end_of_string(text, start),
        Some(b'{' | b'[') => end_of_nested(text, start),
        _ => end_of_word(text, start),
    }
}

fn end_of_nested(text: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(text, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: impl Iterator<Item = Value<'static>>) -> Vec<(usize, &'static str)> {
        values.map(|value| (value.at, value.text)).collect()
    }

    #[test]
    fn values_are_slices_of_the_text() {
        let list = Value::of_job(" [ -1.5e+3 ,\"]\\\"\",{\"a\":[ ]} , null,[]\n] ");
        assert_eq!(list.kind(), Kind::List);
        let elements = [(3, "-1.5e+3"), (12, r#""]\"""#), (18, r#"{"a":[ ]}"#), (30, "null"), (35, "[]")];
        assert_eq!(seen(list.elements()), elements);
        let kinds = [Kind::Number, Kind::String, Kind::Object, Kind::Null, Kind::List];
        assert_eq!(list.elements().map(Value::kind).collect::<Vec<_>>(), kinds);
    }

    #[test]
    fn properties_have_places_too() {
        let object = Value::of_job(r#"{"a" : true,"\u0061\\":{"}":1}}"#);
        let (keys, values): (Vec<_>, Vec<_>) = object.properties().unzip();
        assert_eq!(seen(keys.iter().copied()), [(1, r#""a""#), (12, r#""\u0061\\""#)]);
        assert_eq!(seen(values.into_iter()), [(7, "true"), (23, r#"{"}":1}"#)]);
        assert_eq!(keys.into_iter().map(Value::decoded).collect::<Vec<_>>(), ["a", "a\\"]);
    }

    #[test]
    fn a_cursor_reads_nested_values() {
        let mut cursor = Value::of_job(r#"[[], {"a": [1]}]"#).cursor();
        cursor.enter();
        assert!(cursor.has_next() && cursor.next_byte() == b'[');
        cursor.enter();
        assert!(!cursor.has_next() && cursor.has_next() && cursor.next_byte() == b'{');
        cursor.enter();
        assert!(cursor.has_next());
        assert_eq!((cursor.key().text, cursor.value().text), (r#""a""#, "[1]"));
        assert!(!cursor.has_next() && !cursor.has_next());
    }
}
