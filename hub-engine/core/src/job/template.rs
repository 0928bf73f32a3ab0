//! JSON text with holes: arguments and output before their references are replaced.
//!
//! Filling ([`super::fill`]) copies the text around the holes as it stands and puts the referred values' text in
//! between. Nothing of the user's is parsed and written again, so nothing of it can change.

use std::sync::Arc;

use super::reference::Reference;
use crate::Json;

/// JSON text with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Arc<str>,
    holes: Box<[Hole]>,
}

/// A piece of the text that something else takes the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) filling: Filling,
}

/// What takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filling {
    /// A value of another task.
    Reference(Reference),
    /// Nothing: the piece is the underscore that escapes another one.
    Nothing,
}

impl Template {
    /// A template without holes.
    pub(super) fn literal(text: &str) -> Self {
        Self { text: text.into(), holes: Box::default() }
    }

    /// The same text with holes in it. Takes them out of `holes`.
    pub(super) fn punch(&mut self, holes: &mut Vec<Hole>) {
        self.holes = holes.drain(..).collect();
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> Json {
        Json::from_checked(Arc::clone(&self.text))
    }

    /// The references in it, in the order of the text.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.holes.iter().filter_map(|hole| match &hole.filling {
            Filling::Reference(reference) => Some(reference),
            Filling::Nothing => None,
        })
    }

    /// Whether it refers to nothing.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.references().next().is_none()
    }
}
