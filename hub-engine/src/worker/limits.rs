//! Limits of all reports of tasks, independent of the runner: Python, an executable or a function.

use std::sync::Arc;

use hub_core::machine::OutOfBounds;
use hub_core::state::{ErrorKind, TaskError};
use hub_core::text::cut;

use crate::runner::{NoOutcome, Outcome, TaskReport};

/// Maximum length of a failure's message in bytes. The beginning and the end are kept.
const MAXIMUM_MESSAGE: usize = 32 * 1024;
/// Maximum length of a traceback, in bytes.
const MAXIMUM_TRACEBACK: usize = 128 * 1024;

/// Applies the limits to a report.
pub(super) fn apply(report: TaskReport, was_stopped: bool) -> TaskReport {
    let outcome = match report.outcome {
        Ok(Outcome::Success { ref data } | Outcome::Launched { ref data }) => {
            // The runner has already checked the size.
            match OutOfBounds::check(data, usize::MAX) {
                Ok(()) => report.outcome,
                Err(why) => Ok(Outcome::failed(why.kind(), why.to_string())),
            }
        }
        // The dispatcher expects a report, except for tasks that it has stopped.
        Err(NoOutcome::Cancelled) if !was_stopped => {
            Ok(Outcome::failed(ErrorKind::TaskFailed, "the task was cancelled, but not by Hub"))
        }
        Ok(Outcome::Failed { msg, error }) => {
            Ok(Outcome::Failed { msg: cut(msg, MAXIMUM_MESSAGE), error: error.map(with_short_traceback) })
        }
        other => other,
    };
    TaskReport { outcome, ..report }
}

fn with_short_traceback(error: Arc<TaskError>) -> Arc<TaskError> {
    if error.traceback.as_ref().is_none_or(|text| text.len() <= MAXIMUM_TRACEBACK) {
        return error;
    }
    let error = Arc::unwrap_or_clone(error);
    Arc::new(TaskError { traceback: error.traceback.map(|text| cut(text, MAXIMUM_TRACEBACK)), ..error })
}

#[cfg(test)]
mod tests {
    use hub_core::Json;

    use super::*;

    fn nested(depth: usize) -> Json {
        Json::from_checked(format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
    }

    #[test]
    fn results_have_the_maximum_depth_of_values() {
        for make in [|data| Outcome::Success { data }, |data| Outcome::Launched { data }] {
            let fits = TaskReport::silent(make(nested(Json::MAX_DEPTH)));
            assert_eq!(apply(fits.clone(), false), fits);
            let report = apply(TaskReport::silent(make(nested(Json::MAX_DEPTH + 1))), false);
            assert!(
                matches!(report.outcome, Ok(Outcome::Failed { error: Some(error), .. }) if error.kind == ErrorKind::ValueTooDeep)
            );
        }
    }

    #[test]
    fn a_result_that_some_parsers_refuse_fails_its_task() {
        for text in [r#"{"a": "\ud800"}"#, "[1e400]"] {
            let data = Json::parse(text).unwrap();
            let report = apply(TaskReport::silent(Outcome::Success { data }), false);
            let Ok(Outcome::Failed { msg, error: Some(error) }) = report.outcome else { panic!("{text}") };
            assert!(error.kind == ErrorKind::BadResult && msg.contains("at byte"), "{msg}");
        }
    }

    #[test]
    fn a_task_cancelled_by_others_has_a_report() {
        let stopped = TaskReport::without(NoOutcome::Cancelled);
        assert_eq!(apply(stopped.clone(), true), stopped);
        assert!(matches!(apply(stopped, false).outcome, Ok(Outcome::Failed { .. })));
    }

    #[test]
    fn long_texts_keep_their_beginning_and_their_end() {
        let text = format!("first{}last", "\u{1f600}".repeat(MAXIMUM_TRACEBACK));
        let error = TaskError { traceback: Some(text.as_str().into()), ..TaskError::new(ErrorKind::TaskFailed) };
        let report = apply(TaskReport::silent(Outcome::Failed { msg: text.into(), error: Some(error.into()) }), false);
        let Ok(Outcome::Failed { msg, error: Some(error) }) = report.outcome else { panic!("{:?}", report.outcome) };
        for (text, limit) in [(&*msg, MAXIMUM_MESSAGE), (error.traceback.as_deref().unwrap(), MAXIMUM_TRACEBACK)] {
            assert!(text.starts_with("first") && text.ends_with("last") && text.len() < limit + 100, "{}", text.len());
        }
    }
}
