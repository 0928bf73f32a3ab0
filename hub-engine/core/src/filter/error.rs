//! What is wrong with a filter.

use std::fmt;

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FilterError {
    /// The place in the text, in characters from 1.
    pub character: usize,
    /// What is wrong there, and what to write instead.
    pub message: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the filter is wrong at character {}: {}", self.character, self.message)
    }
}
