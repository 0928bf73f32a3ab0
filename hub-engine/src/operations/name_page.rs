//! Pages of what has names.

use serde::{Deserialize, Serialize};

use super::error::{RequestError, RequestErrorKind};

/// Selects a page of a list by name: of definitions or schedules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamePage {
    /// Maximum number of entries (1 to 1,000; default 100).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next` of the previous page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl NamePage {
    const MAX_PAGE: u32 = 1000;
    const DEFAULT_PAGE: u32 = 100;

    /// The maximum number of entries.
    ///
    /// # Errors
    /// If the limit is out of range.
    pub fn checked_limit(&self) -> Result<usize, RequestError> {
        match self.limit.unwrap_or(Self::DEFAULT_PAGE) {
            limit @ 1..=Self::MAX_PAGE => Ok(limit as usize),
            limit => {
                let message = format!("limit must be from 1 to {}, not {limit}", Self::MAX_PAGE);
                Err(RequestError::new(RequestErrorKind::InvalidRequest, message))
            }
        }
    }
}
