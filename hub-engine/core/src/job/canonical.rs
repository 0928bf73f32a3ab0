//! One text for all ways to write a value: without spaces, with the keys of objects in order, and with the same escapes in
//! strings.
//!
//! Numbers stay as they are written: a number has no other text that means the same to every reader.

use std::borrow::Cow;

use super::value::{Kind, Value};
use crate::digest::Digest;

/// Appends the canonical text of a JSON value. The depth of the recursion is that of the value, which is limited.
pub(super) fn append(text: &mut String, value: &str) {
    append_value(text, Value::of_job(value));
}

/// The digest of the canonical text of a JSON value.
pub(crate) fn digest(value: &str) -> Digest {
    let mut text = String::new();
    append(&mut text, value);
    Digest::of(text.as_bytes())
}

fn append_value(text: &mut String, value: Value<'_>) {
    match value.kind() {
        Kind::List => {
            text.push('[');
            for (at, element) in value.elements().enumerate() {
                text.push_str(if at > 0 { "," } else { "" });
                append_value(text, element);
            }
            text.push(']');
        }
        Kind::Object => {
            let mut properties: Vec<_> = value.properties().map(|(key, value)| (string(key), value)).collect();
            // Stable: of duplicate keys the last one counts.
            properties.sort_by(|(one, _), (other, _)| one.cmp(other));
            text.push('{');
            for (at, (key, value)) in properties.into_iter().enumerate() {
                text.push_str(if at > 0 { "," } else { "" });
                text.push_str(&key);
                text.push(':');
                append_value(text, value);
            }
            text.push('}');
        }
        Kind::String => text.push_str(&string(value)),
        Kind::Number | Kind::Boolean | Kind::Null => text.push_str(value.text),
    }
}

/// A string with the escapes that it has to have, and no others.
fn string(value: Value<'_>) -> Cow<'_, str> {
    if value.text.contains('\\') {
        serde_json::Value::from(&*value.decoded()).to_string().into()
    } else {
        value.text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(value: &str) -> String {
        let mut text = String::new();
        append(&mut text, value);
        text
    }

    #[test]
    fn spaces_and_the_order_of_keys_do_not_matter() {
        let expected = r#"{"a":[1,{"c":null,"d":" x "}],"b":true}"#;
        for written in [r#" {"b" : true, "a": [ 1, {"d": " x ","c" :null} ] } "#, expected] {
            assert_eq!(canonical(written), expected);
        }
    }

    #[test]
    fn escapes_that_a_string_need_not_have_do_not_matter() {
        for (one, other) in [
            (r#""\u00e9""#, r#""é""#),
            (r#""\ud83d\ude00""#, r#""😀""#),
            (r#""a\/b\u000a""#, r#""a/b\n""#),
            (r#"{"k\u0065y": 1, "a": 2}"#, r#"{"a": 2, "key": 1}"#),
        ] {
            assert_eq!(canonical(one), canonical(other));
        }
        assert_ne!(canonical(r#""a\\n""#), canonical(r#""a\n""#));
    }

    #[test]
    fn values_that_differ_have_different_texts() {
        for (one, other) in [
            ("1", "1.0"),
            ("18446744073709551616", "18446744073709551617"),
            (r#"["a","b"]"#, r#"["a,b"]"#),
            (r#"["a", ["b"]]"#, r#"[["a"], "b"]"#),
            (r#"{"a": 1, "a": 2}"#, r#"{"a": 2, "a": 1}"#),
            ("null", r#""null""#),
            ("[]", "{}"),
        ] {
            assert_ne!(canonical(one), canonical(other));
        }
    }
}
