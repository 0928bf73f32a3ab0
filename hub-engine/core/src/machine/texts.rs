//! Limits of texts that workers and users report about a task. Hub's own workers observe tighter limits; other workers
//! may not.

use std::sync::Arc;

use super::types::Outcome;
use crate::state::TaskError;
use crate::text::cut;

/// Maximum length of a failure's message in bytes. Hub's workers send up to 32 KiB and a note about the omitted part.
pub(super) const MAXIMUM_MESSAGE: usize = 33 * 1024;
/// Maximum length of a traceback in bytes. Hub's workers send up to 128 KiB and such a note.
const MAXIMUM_TRACEBACK: usize = 129 * 1024;
/// Maximum length of a task's output in bytes. Hub's workers send up to `max_log_bytes`, which is not larger.
pub(super) const MAXIMUM_LOG: usize = 1024 * 1024;
/// Maximum length of the name of an exception's type, in bytes.
const MAXIMUM_TYPE_NAME: usize = 1024;

/// The outcome with the texts of a failure cut to their limits.
pub(super) fn bounded(outcome: Outcome) -> Outcome {
    let Outcome::Failed { msg, error } = outcome else {
        return outcome;
    };
    Outcome::Failed { msg: cut(msg, MAXIMUM_MESSAGE), error: error.map(bounded_error) }
}

fn bounded_error(error: Arc<TaskError>) -> Arc<TaskError> {
    let is_longer = |text: &Option<Arc<str>>, limit| text.as_ref().is_some_and(|text| text.len() > limit);
    if !is_longer(&error.traceback, MAXIMUM_TRACEBACK) && !is_longer(&error.type_name, MAXIMUM_TYPE_NAME) {
        return error;
    }
    let TaskError { kind, type_name, traceback } = Arc::unwrap_or_clone(error);
    Arc::new(TaskError {
        kind,
        type_name: type_name.map(|name| cut(name, MAXIMUM_TYPE_NAME)),
        traceback: traceback.map(|text| cut(text, MAXIMUM_TRACEBACK)),
    })
}
