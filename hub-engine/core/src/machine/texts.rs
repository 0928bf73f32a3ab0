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
/// Maximum length of the reason of a repair, and of the name of who did it, in bytes.
pub(super) const MAXIMUM_REASON: usize = 1000;
/// Maximum size of what each kept attempt printed, and of its traceback, in bytes.
pub(super) const MAXIMUM_ATTEMPT_LOG: usize = 16 * 1024;
/// Maximum number of names in a message.
pub(super) const MAXIMUM_LISTED_NAMES: usize = 20;
/// Maximum number of classes that an exception's type is derived from.
const MAXIMUM_BASES: usize = 20;
/// Maximum length of the name of an exception's type, in bytes.
const MAXIMUM_TYPE_NAME: usize = 1024;

/// The outcome with the texts of a failure cut to their limits.
pub(super) fn bounded(outcome: Outcome) -> Outcome {
    let Outcome::Failed { msg, error } = outcome else {
        return outcome;
    };
    Outcome::Failed { msg: cut(msg, MAXIMUM_MESSAGE), error: error.map(bounded_error) }
}

/// The error of an attempt that is kept beside the newest one: with the end of the traceback only.
pub(super) fn short_error(error: Arc<TaskError>) -> Arc<TaskError> {
    if error.traceback.as_ref().is_none_or(|text| text.len() <= MAXIMUM_ATTEMPT_LOG) {
        return error;
    }
    let error = Arc::unwrap_or_clone(error);
    Arc::new(TaskError { traceback: error.traceback.map(|text| cut(text, MAXIMUM_ATTEMPT_LOG)), ..error })
}

fn bounded_error(error: Arc<TaskError>) -> Arc<TaskError> {
    let is_longer = |text: &Option<Arc<str>>, limit| text.as_ref().is_some_and(|text| text.len() > limit);
    let has_many_bases =
        error.bases.len() > MAXIMUM_BASES || error.bases.iter().any(|name| name.len() > MAXIMUM_TYPE_NAME);
    if !is_longer(&error.traceback, MAXIMUM_TRACEBACK)
        && !is_longer(&error.type_name, MAXIMUM_TYPE_NAME)
        && !has_many_bases
    {
        return error;
    }
    let error = Arc::unwrap_or_clone(error);
    let bases = error.bases.into_iter().take(MAXIMUM_BASES);
    Arc::new(TaskError {
        type_name: error.type_name.map(|name| cut(name, MAXIMUM_TYPE_NAME)),
        bases: bases.map(|name| cut(name, MAXIMUM_TYPE_NAME)).collect(),
        traceback: error.traceback.map(|text| cut(text, MAXIMUM_TRACEBACK)),
        ..error
    })
}
