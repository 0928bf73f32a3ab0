//! Versions of definitions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::reference::Pin;
use crate::Timestamp;

/// One version of a definition. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name and the number of the version.
    pub pin: Pin,
    /// The text of the job, as it was given.
    pub text: Arc<str>,
    /// When the version was made.
    pub created_at: Timestamp,
    /// Who made it, as the client says.
    pub by: Option<Arc<str>>,
}

/// A version of a definition without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSummary {
    /// The number of the version, from 1.
    pub version: u32,
    /// When the version was made.
    #[serde(with = "crate::time::rfc3339")]
    pub created_at: Timestamp,
    /// Who made it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// Its aliases, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Arc<str>>,
}

impl Definition {
    /// Whether a text would be the same version: the same JSON value, however it is written.
    #[must_use]
    pub fn has_text(&self, text: &str) -> bool {
        *self.text == *text || crate::job::canonical_digest(&self.text) == crate::job::canonical_digest(text)
    }
}
