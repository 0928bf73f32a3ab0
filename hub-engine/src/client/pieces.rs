//! Assembles a record that is too large for one message from its head and pages of its tasks.

use hub_core::Json;
use serde::Deserialize;

/// A page of task records, as in [`crate::operations::Hub::tasks`].
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    tasks: Json,
    /// Where the next page begins.
    #[serde(default)]
    pub(super) next: Option<u32>,
}

/// An incomplete record.
#[derive(Debug)]
pub(super) struct Pieces {
    text: String,
    has_tasks: bool,
}

impl Pieces {
    /// Begins a record. `head` is the record without its tasks.
    pub(super) fn new(head: &Json) -> Self {
        let mut text = head.get().trim_end().strip_suffix('}').unwrap_or("{").to_owned();
        if text.trim_end() != "{" {
            text.push_str(", ");
        }
        text.push_str("\"tasks\": [");
        Self { text, has_tasks: false }
    }

    /// Appends a page of tasks.
    pub(super) fn add(&mut self, page: &Page) {
        let tasks = page.tasks.get().trim();
        let tasks = tasks.strip_prefix('[').and_then(|tasks| tasks.strip_suffix(']')).unwrap_or_default();
        if tasks.trim().is_empty() {
            return;
        }
        if std::mem::replace(&mut self.has_tasks, true) {
            self.text.push_str(", ");
        }
        self.text.push_str(tasks);
    }

    /// The complete record.
    pub(super) fn whole(mut self) -> Json {
        self.text.push_str("]}");
        Json::from_checked(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_form_the_record() {
        let json = |text: &str| Json::parse(text).unwrap();
        let page = |text: &str| serde_json::from_str::<Page>(text).unwrap();
        let mut pieces = Pieces::new(&json(r#"{"id": 1}"#));
        for text in [r#"{"tasks": [{"a": [1]}, 2], "next": 2}"#, r#"{"tasks": [ ], "next": 2}"#, r#"{"tasks": [3]}"#] {
            pieces.add(&page(text));
        }
        assert_eq!(pieces.whole().get(), r#"{"id": 1, "tasks": [{"a": [1]}, 2, 3]}"#);
        assert_eq!(Pieces::new(&json("{}")).whole().get(), r#"{"tasks": []}"#);
        assert_eq!(page(r#"{"tasks": [], "next": 7}"#).next, Some(7));
    }
}
