//! JSON text with placeholders: arguments or output before references are replaced.
//!
//! Filling ([`super::fill`]) copies the text around the placeholders unchanged and inserts the text of the values. The
//! user's JSON is not parsed and serialised again, so it cannot change.

use std::sync::Arc;

use super::reference::Reference;
use crate::Json;

/// JSON text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Arc<str>,
    placeholders: Box<[Placeholder]>,
}

/// A part of the text that is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placeholder {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) replacement: Replacement,
}

/// What a placeholder is replaced by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replacement {
    /// A value of another task.
    Reference(Reference),
    /// Nothing: the part is the underscore that escapes another one.
    Nothing,
}

impl Template {
    /// A template without placeholders.
    pub(super) fn literal(text: &str) -> Self {
        Self { text: text.into(), placeholders: Box::default() }
    }

    /// Sets the placeholders, and empties the list.
    pub(super) fn set_placeholders(&mut self, placeholders: &mut Vec<Placeholder>) {
        self.placeholders = placeholders.drain(..).collect();
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn placeholders(&self) -> &[Placeholder] {
        &self.placeholders
    }

    /// The original text.
    #[must_use]
    pub fn text(&self) -> Json {
        Json::from_checked(Arc::clone(&self.text))
    }

    /// The references in the order of the text.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.placeholders.iter().filter_map(|placeholder| match &placeholder.replacement {
            Replacement::Reference(reference) => Some(reference),
            Replacement::Nothing => None,
        })
    }

    /// Whether there are no references.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.references().next().is_none()
    }
}
