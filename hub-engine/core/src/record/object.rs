//! Writes JSON objects in the format of the manual.

use std::fmt::Write as _;

use serde::Serialize;

use crate::Timestamp;

/// Appends one JSON object to a text, with a space after colons and commas.
pub(super) struct Object {
    pub(super) text: String,
    first: bool,
}

impl Object {
    pub(super) fn new(mut text: String) -> Self {
        text.push('{');
        Self { text, first: true }
    }

    /// Begins a field. The keys of records have nothing that has to be escaped.
    pub(super) fn key(&mut self, key: &'static str) {
        self.separate();
        self.text.push('"');
        self.text.push_str(key);
        self.text.push_str("\": ");
    }

    pub(super) fn raw(&mut self, key: &'static str, json: &str) {
        self.key(key);
        self.text.push_str(json);
    }

    /// A field whose key the user has chosen.
    pub(super) fn users_own(&mut self, key: &str, json: &str) {
        self.separate();
        self.quoted(key);
        self.text.push_str(": ");
        self.text.push_str(json);
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.text.push_str(", ");
        }
    }

    /// A value that can be written as JSON.
    pub(super) fn written<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) {
        self.raw(key, &serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()));
    }

    pub(super) fn string(&mut self, key: &'static str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    pub(super) fn list(&mut self, values: &[&str]) {
        self.text.push('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.text.push_str(", ");
            }
            self.quoted(value);
        }
        self.text.push(']');
    }

    pub(super) fn time(&mut self, key: &'static str, time: Option<Timestamp>) {
        if let Some(time) = time {
            self.key(key);
            let _ = write!(self.text, "\"{time}\"");
        }
    }

    fn quoted(&mut self, text: &str) {
        // Most texts need no escaping. All bytes are looked at, so that the compiler can compare several at once.
        let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
            self.text.push('"');
            self.text.push_str(text);
            self.text.push('"');
            return;
        }
        match serde_json::to_string(text) {
            Ok(quoted) => self.text.push_str(&quoted),
            Err(_) => self.text.push_str("\"\""),
        }
    }

    /// Closes the object and returns the text.
    pub(super) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}
