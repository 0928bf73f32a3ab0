//! `_.secret.NAME`: a value that only the worker knows. It is not replaced in the dispatcher: the task has a list of the
//! places, so that no data can pose as a secret.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A secret, and where the worker puts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The place in the message of the task, as a JSON pointer: `/kwargs/password`.
    pub at: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// Where secrets are allowed in the templates of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    /// Nowhere.
    Refused,
    /// Everywhere.
    Allowed,
    /// In the value of this key.
    Below(&'static str),
}

/// What a secret begins with, after the underscore.
const PREFIX: &str = ".secret";
/// Maximum length of a name in bytes.
pub(super) const MAX_NAME_BYTES: usize = 100;

/// The text after the prefix if a string, without its underscore, is meant as a secret.
pub(super) fn written(rest: &str) -> Option<&str> {
    rest.strip_prefix(PREFIX).filter(|name| name.is_empty() || name.starts_with('.'))
}

impl Secret {
    /// Checks the name of a secret. It is part of the name of a variable or of a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_name(name: &str) -> Result<(), String> {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if is_plain && (1..=MAX_NAME_BYTES).contains(&name.len()) {
            return Ok(());
        }
        Err(format!("the name of a secret has 1 to {MAX_NAME_BYTES} characters out of A-Z, a-z, 0-9, \"_\" and \"-\""))
    }
}
