//! One text for all ways to write a value: without spaces, and with the keys of objects in order.
//!
//! Strings and numbers stay as they are written: a number has no other text that means the same to every reader, and a string
//! that is written in another way gives another text, which costs no more than a result that is computed again.

use super::value::{Kind, Value};

/// Appends the canonical text of a JSON value. The depth of the recursion is that of the value, which is limited.
pub(super) fn append(text: &mut String, value: &str) {
    append_value(text, Value::of_job(value));
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
            let mut properties: Vec<_> = value.properties().collect();
            // Stable: of duplicate keys the last one counts.
            properties.sort_by_key(|(key, _)| key.text);
            text.push('{');
            for (at, (key, value)) in properties.into_iter().enumerate() {
                text.push_str(if at > 0 { "," } else { "" });
                text.push_str(key.text);
                text.push(':');
                append_value(text, value);
            }
            text.push('}');
        }
        Kind::String | Kind::Number | Kind::Boolean | Kind::Null => text.push_str(value.text),
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
