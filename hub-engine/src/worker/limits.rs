//! What holds for every report of a task before it leaves the worker, whatever ran the task: Python, an executable or a
//! function.

use std::sync::Arc;

use hub_core::Json;
use hub_core::state::{ErrorKind, TaskError};

use crate::runner::{Outcome, TaskReport};

/// Maximum length of a failure's message, in bytes; the beginning and the end are kept.
const MESSAGE: usize = 32 * 1024;
/// Maximum length of a traceback, in bytes.
const TRACEBACK: usize = 128 * 1024;

/// The report as it may go to the dispatcher.
pub(super) fn hold(report: TaskReport, was_stopped: bool) -> TaskReport {
    let outcome = match report.outcome {
        Outcome::Success { data } | Outcome::Launched { data } if data.is_deeper_than(Json::MAX_DEPTH) => {
            let msg = format!("the result is nested too deeply: values may be nested {} levels deep", Json::MAX_DEPTH);
            failed(ErrorKind::ValueTooDeep, msg)
        }
        // The dispatcher waits for a report, except of tasks that it has stopped itself.
        Outcome::Cancelled if !was_stopped => {
            failed(ErrorKind::TaskFailed, "the task was cancelled, but not by Hub".to_owned())
        }
        Outcome::Failed { msg, error } => Outcome::Failed {
            msg: shorten(&msg, MESSAGE).unwrap_or(msg),
            error: TaskError { traceback: error.traceback.map(|text| shortened(text, TRACEBACK)), ..error },
        },
        other => other,
    };
    TaskReport { outcome, ..report }
}

fn failed(kind: ErrorKind, msg: String) -> Outcome {
    Outcome::Failed { msg, error: TaskError { kind, type_name: None, traceback: None } }
}

fn shortened(text: Arc<str>, limit: usize) -> Arc<str> {
    shorten(&text, limit).map_or(text, Into::into)
}

/// The beginning and the end of a text that is longer than `limit`.
fn shorten(text: &str, limit: usize) -> Option<String> {
    if text.len() <= limit {
        return None;
    }
    let first = text.floor_char_boundary(limit / 2);
    let last = text.ceil_char_boundary(text.len() - limit / 2);
    Some(format!("{}\n[{} bytes left out]\n{}", &text[..first], last - first, &text[last..]))
}

#[cfg(test)]
mod tests {
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
            assert!(matches!(report.outcome, Outcome::Failed { error, .. } if error.kind == ErrorKind::ValueTooDeep));
        }
    }

    #[test]
    fn a_task_that_hub_did_not_stop_has_an_end() {
        let stopped = TaskReport::silent(Outcome::Cancelled);
        assert_eq!(hold(stopped.clone(), true), stopped);
        assert!(matches!(hold(stopped, false).outcome, Outcome::Failed { .. }));
    }

    #[test]
    fn long_texts_keep_their_beginning_and_their_end() {
        let text = format!("first{}last", "\u{1f600}".repeat(TRACEBACK));
        let error = TaskError { kind: ErrorKind::TaskFailed, type_name: None, traceback: Some(text.as_str().into()) };
        let report = hold(TaskReport::silent(Outcome::Failed { msg: text, error }), false);
        let Outcome::Failed { msg, error } = report.outcome else { panic!("{:?}", report.outcome) };
        for (text, limit) in [(msg.as_str(), MESSAGE), (error.traceback.as_deref().unwrap(), TRACEBACK)] {
            assert!(text.starts_with("first") && text.ends_with("last") && text.len() < limit + 100, "{}", text.len());
        }
    }
}
