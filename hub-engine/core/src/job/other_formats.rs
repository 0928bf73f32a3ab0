//! Recognises submissions in another encoding or language than JSON by their first bytes. Used only if the text is not
//! JSON.

/// Advice for the author of a job that is not UTF-8.
#[must_use]
pub fn encoding_advice(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            "this looks like UTF-16: convert it, as with iconv -f UTF-16 -t UTF-8 FILE"
        }
        [0x1f, 0x8b, ..] | [b'P', b'K', 3, 4, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            "this is a compressed file: unpack it first"
        }
        _ if bytes.contains(&0) => "this is a binary file: a job is JSON text in UTF-8",
        _ => "this may be Latin-1 or Windows-1252: convert it, as with iconv -f WINDOWS-1252 -t UTF-8 FILE",
    }
}

/// Advice for the author of a job in another language than JSON. `None` if the text may be intended as JSON.
pub(super) fn language(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'))?.trim_end();
    if text.contains('\0') {
        return Some("this looks like UTF-16: convert it, as with iconv -f UTF-16 -t UTF-8 FILE");
    }
    if first.starts_with('<') {
        return Some("this looks like XML or HTML: a job is a JSON object");
    }
    let starts = |words: &[&str]| words.iter().any(|word| first.starts_with(word));
    if text.starts_with("#!") || starts(&["import ", "from ", "def ", "async def ", "@"]) {
        return Some("this looks like a program: a task module belongs in the tasks directory, a job is a JSON object");
    }
    if first.starts_with('[') && first.ends_with(']') && first[1..first.len() - 1].bytes().all(is_key_byte) {
        return Some("this looks like TOML or INI: a job is a JSON object");
    }
    if first.starts_with("---") || first.starts_with("- ") || first.starts_with("%YAML") || is_yaml_pair(first) {
        return Some(
            "this looks like YAML: a job is JSON here, and hub-client converts files whose names end in .yaml or .yml",
        );
    }
    None
}

/// Whether a line is `key: value` or `key:`, without quotation marks.
fn is_yaml_pair(line: &str) -> bool {
    let Some((key, value)) = line.split_once(':') else { return false };
    !key.is_empty() && key.bytes().all(is_key_byte) && (value.is_empty() || value.starts_with(' '))
}

const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_languages_are_recognised_by_their_beginning() {
        let cases = [
            ("name: sum\ntasks:\n  - name: add\n", "YAML"),
            ("# a job\n---\nname: sum\n", "YAML"),
            ("- name: add\n  args: [1, 2]\n", "YAML"),
            ("<?xml version=\"1.0\"?>\n<job/>", "XML"),
            ("[job]\nname = \"sum\"\n", "TOML"),
            ("import json\n\ndef add(a, b):\n", "program"),
            ("#!/bin/sh\necho\n", "program"),
            ("{\0\"\0n\0", "UTF-16"),
        ];
        for (text, found) in cases {
            assert!(language(text).is_some_and(|said| said.contains(found)), "{text:?}: {:?}", language(text));
        }
        for text in ["{'name': 'x'}", "{\"name\": \"x\",}", "[1, 2", "", "nul", "{name: 'x'}", "// a\n{}"] {
            assert_eq!(language(text), None, "{text:?}");
        }
    }

    #[test]
    fn other_encodings_are_recognised() {
        assert!(encoding_advice(b"\xff\xfe{\0\"\0").contains("UTF-16"));
        assert!(encoding_advice(b"{\0\"\0\xe9\0").contains("UTF-16"));
        assert!(encoding_advice(b"\x1f\x8b\x08").contains("compressed"));
        assert!(encoding_advice(b"{\"name\": \"caf\xe9\"}").contains("WINDOWS-1252"));
        assert!(encoding_advice(b"abc\xff\0").contains("binary"));
    }
}
