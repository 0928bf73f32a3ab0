//! What holds for every report of a task before it leaves the worker, whatever ran the task: Python, an executable or a
//! function.

use std::sync::Arc;

use hub_core::machine::OutOfBounds;
use hub_core::state::{ErrorKind, TaskError};
use hub_core::text::cut;

use crate::runner::{NoOutcome, Outcome, TaskReport};

/// Maximum length of a failure's message, in bytes; the beginning and the end are kept.
const MESSAGE: usize = 32 * 1024;
/// Maximum length of a traceback, in bytes.
const TRACEBACK: usize = 128 * 1024;

/// The report as it may go to the dispatcher.
pub(super) fn hold(report: TaskReport, was_stopped: bool) -> TaskReport {
    let outcome = match report.outcome {
        Ok(Outcome::Success { ref data } | Outcome::Launched { ref data }) => {
            // The runner knows the limit of its size.
            match OutOfBounds::check(data, usize::MAX) {
                Ok(()) => report.outcome,
                Err(why) => Ok(Outcome::failed(why.kind(), why.to_string())),
            }
        }
        // The dispatcher waits for a report, except of tasks that it has stopped itself.
        Err(NoOutcome::Cancelled) if !was_stopped => {
            Ok(Outcome::failed(ErrorKind::TaskFailed, "the task was cancelled, but not by Hub"))
        }
        Ok(Outcome::Failed { msg, error }) => {
            Ok(Outcome::Failed { msg: cut(msg, MESSAGE), error: error.map(with_short_traceback) })
        }
        other => other,
    };
    TaskReport { outcome, ..report }
}

fn with_short_traceback(error: Arc<TaskError>) -> Arc<TaskError> {
    if error.traceback.as_ref().is_none_or(|text| text.len() <= TRACEBACK) {
        return error;
    }
    let error = Arc::unwrap_or_clone(error);
    Arc::new(TaskError { traceback: error.traceback.map(|text| cut(text, TRACEBACK)), ..error })
}

#[cfg(test)]
mod tests {
    use hub_core::Json;

    use super::*;

    fn nested(depth: usize) -> Json {
        Json::from_checked(format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
    }

    #[test]
    fn a_result_may_be_nested_as_deep_as_values_may() {
        for make in [|data| Outcome::Success { data }, |data| Outcome::Launched { data }] {
            let fits = TaskReport::silent(make(nested(Json::MAX_DEPTH)));
            assert_eq!(hold(fits.clone(), false), fits);
            let report = hold(TaskReport::silent(make(nested(Json::MAX_DEPTH + 1))), false);
            assert!(
                matches!(report.outcome, Ok(Outcome::Failed { error: Some(error), .. }) if error.kind == ErrorKind::ValueTooDeep)
            );
        }
    }

    #[test]
    fn a_result_that_some_readers_refuse_fails_its_task() {
        for text in [r#"{"a": "\ud800"}"#, "[1e400]"] {
            let data = Json::parse(text).unwrap();
            let report = hold(TaskReport::silent(Outcome::Success { data }), false);
            let Ok(Outcome::Failed { msg, error: Some(error) }) = report.outcome else { panic!("{text}") };
            assert!(error.kind == ErrorKind::BadResult && msg.contains("at byte"), "{msg}");
        }
    }

    #[test]
    fn a_task_that_hub_did_not_stop_has_an_end() {
        let stopped = TaskReport::without(NoOutcome::Cancelled);
        assert_eq!(hold(stopped.clone(), true), stopped);
        assert!(matches!(hold(stopped, false).outcome, Ok(Outcome::Failed { .. })));
    }

    #[test]
    fn long_texts_keep_their_beginning_and_their_end() {
        let text = format!("first{}last", "\u{1f600}".repeat(TRACEBACK));
        let error = TaskError { traceback: Some(text.as_str().into()), ..TaskError::new(ErrorKind::TaskFailed) };
        let report = hold(TaskReport::silent(Outcome::Failed { msg: text.into(), error: Some(error.into()) }), false);
        let Ok(Outcome::Failed { msg, error: Some(error) }) = report.outcome else { panic!("{:?}", report.outcome) };
        for (text, limit) in [(&*msg, MESSAGE), (error.traceback.as_deref().unwrap(), TRACEBACK)] {
            assert!(text.starts_with("first") && text.ends_with("last") && text.len() < limit + 100, "{}", text.len());
        }
    }
}
