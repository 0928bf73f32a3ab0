//! What holds for every report of a task before it leaves the worker, whatever ran the task: Python, an executable or a
//! function.

use hub_core::machine::OutOfBounds;
use hub_core::state::{ErrorKind, TaskError};
use hub_core::text::cut;

use crate::runner::{Outcome, TaskReport};

/// Maximum length of a failure's message, in bytes; the beginning and the end are kept.
const MESSAGE: usize = 32 * 1024;
/// Maximum length of a traceback, in bytes.
const TRACEBACK: usize = 128 * 1024;

/// The report as it may go to the dispatcher.
pub(super) fn hold(report: TaskReport, was_stopped: bool) -> TaskReport {
    let outcome = match report.outcome {
        Outcome::Success { ref data } | Outcome::Launched { ref data } => {
            // The runner knows the limit of its size.
            match OutOfBounds::check(data, usize::MAX) {
                Ok(()) => report.outcome,
                Err(why) => failed(why.kind(), why.to_string()),
            }
        }
        // The dispatcher waits for a report, except of tasks that it has stopped itself.
        Outcome::Cancelled if !was_stopped => {
            failed(ErrorKind::TaskFailed, "the task was cancelled, but not by Hub".to_owned())
        }
        Outcome::Failed { msg, error } => Outcome::Failed {
            msg: if msg.len() > MESSAGE { cut(msg.into(), MESSAGE).as_ref().to_owned() } else { msg },
            error: TaskError { traceback: error.traceback.map(|text| cut(text, TRACEBACK)), ..error },
        },
        other => other,
    };
    TaskReport { outcome, ..report }
}

fn failed(kind: ErrorKind, msg: String) -> Outcome {
    Outcome::Failed { msg, error: TaskError { kind, type_name: None, traceback: None } }
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
            assert!(matches!(report.outcome, Outcome::Failed { error, .. } if error.kind == ErrorKind::ValueTooDeep));
        }
    }

    #[test]
    fn a_result_that_some_readers_refuse_fails_its_task() {
        for text in [r#"{"a": "\ud800"}"#, "[1e400]"] {
            let data = Json::parse(text).unwrap();
            let report = hold(TaskReport::silent(Outcome::Success { data }), false);
            let Outcome::Failed { msg, error } = report.outcome else { panic!("{text}") };
            assert!(error.kind == ErrorKind::BadResult && msg.contains("at byte"), "{msg}");
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
