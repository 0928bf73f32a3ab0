//! What replaces the result of a task that has failed.

use std::sync::Arc;

use super::template::Template;
use crate::failure::TaskError;

/// After which failures a task is recovered, and with which data. `docs/jobs.md` describes the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recover {
    /// The data of the task when it is recovered.
    pub fallback: Template,
    /// Kinds and types of errors after which it is recovered. Empty: after all.
    pub matches: Vec<Arc<str>>,
}

impl Recover {
    /// Whether the task is recovered after this error.
    #[must_use]
    pub fn recovers(&self, error: Option<&TaskError>) -> bool {
        self.matches.is_empty() || error.is_some_and(|error| self.matches.iter().any(|entry| error.is_called(entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::ErrorKind;

    #[test]
    fn errors_are_named_by_kind_or_type() {
        let recover = |matches: &[&str]| Recover {
            fallback: Template::literal("null"),
            matches: matches.iter().map(|name| (*name).into()).collect(),
        };
        let error = TaskError { type_name: Some("OSError".into()), ..TaskError::new(ErrorKind::TaskFailed) };
        assert!(recover(&[]).recovers(None) && recover(&[]).recovers(Some(&error)));
        assert!(recover(&["OSError"]).recovers(Some(&error)) && recover(&["X", "TASK_FAILED"]).recovers(Some(&error)));
        assert!(!recover(&["ValueError"]).recovers(Some(&error)) && !recover(&["OSError"]).recovers(None));
    }
}
