//! Handles bodies with `NaN` or `Infinity`. JSON has no such values, but some libraries write them, such as Python's
//! `json.dumps`. Without this, the body could not be decoded, and its task would wait for ever.

use std::borrow::Cow;

/// Replaces such a value while the body is decoded.
const MARK: &str = r#""hub: not a number""#;
const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];

/// The body with each such value replaced by a mark. `None` if it has none.
pub(super) fn marked(body: &[u8]) -> Option<Vec<u8>> {
    let mut marked: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    while at < body.len() {
        match body[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            _ => {
                if let Some(word) = WORDS.iter().find(|word| body[at..].starts_with(word)) {
                    let text = marked.to_mut();
                    text.extend_from_slice(&body[copied..at]);
                    text.extend_from_slice(MARK.as_bytes());
                    at += word.len();
                    copied = at;
                    continue;
                }
            }
        }
        at += 1;
    }
    (copied > 0).then(|| [&marked[..], &body[copied..]].concat())
}

/// Whether a value contains a mark.
pub(super) fn is_marked(json: &str) -> bool {
    json.contains(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_outside_of_strings_are_marked() {
        let text = |body: &str| marked(body.as_bytes()).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(text(r#"{"data": 1, "msg": "NaN \" Infinity"}"#), None);
        let found = text(r#"{"NaN":[NaN,-Infinity,{"a":Infinity}],"b":"\\"}"#).unwrap();
        assert_eq!(found, format!(r#"{{"NaN":[{MARK},{MARK},{{"a":{MARK}}}],"b":"\\"}}"#));
        assert!(is_marked(&found) && serde_json::from_str::<serde_json::Value>(&found).is_ok());
        assert_eq!(text("NaN").unwrap(), MARK);
    }
}
