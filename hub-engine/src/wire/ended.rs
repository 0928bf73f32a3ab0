//! The report of a worker about the end of an issue. The worker builds it from an outcome, and the dispatcher converts
//! it back for the machine.

use std::sync::Arc;
use std::time::Duration;

use hub_core::digest::Digest;
use hub_core::job::{ModuleDefaults, Timeout};
use hub_core::machine::{Outcome, TaskResult};
use hub_core::state::{ErrorKind, RetryAdvice, TaskError};
use hub_core::{IssueId, Json, TaskId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use super::{brief, not_a_number, object, progress};
use crate::clock::wall;

/// An issue of a task has ended, or was launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnded {
    /// The task.
    pub id: TaskId,
    /// The number of the issue, counted per task.
    #[serde(rename = "issue")]
    pub number: u32,
    /// The number of the dispatcher's start.
    pub incarnation: u64,
    /// The status.
    pub status: ResultStatus,
    /// The return value. Absent if the task failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// The error message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<Arc<str>>,
    /// The error for programs.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "reported_error")]
    pub error: Option<Arc<TaskError>>,
    /// The output that the task printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Arc<str>>,
    /// The newest progress that the task reported.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "progress::optional")]
    pub progress: Option<Json>,
    /// The SHA-256 digest of the module that ran, if the task asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "content")]
    pub content: Option<Digest>,
    /// The defaults of the module that ran, if the task asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "ModuleDefaults::optional")]
    pub defaults: Option<Arc<ModuleDefaults>>,
    /// When the run started, by the worker's clock. Default: the time of decoding.
    #[serde(default = "wall")]
    pub started_at: Timestamp,
    /// When the run ended, by the worker's clock. Default: the time of decoding.
    #[serde(default = "wall")]
    pub ended_at: Timestamp,
}

/// How an issue of a task ended on its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ResultStatus {
    /// The task returned a value.
    Success,
    /// The task raised an exception, died or could not be run.
    Failed,
    /// The asynchronous task was launched. Its result will be posted from outside.
    Running,
}

/// The start and the end of a run, by the worker's clock.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The start of the run.
    pub started_at: Timestamp,
    /// The end of the run.
    pub ended_at: Timestamp,
}

impl Span {
    /// The duration. The times themselves are not used, because the clocks of two machines differ.
    const fn took(self) -> Duration {
        Duration::from_millis(self.ended_at.as_millis().saturating_sub(self.started_at.as_millis()))
    }
}

impl TaskEnded {
    /// The report of an issue that ended with `outcome`.
    #[must_use]
    pub fn new(issue: IssueId, outcome: Outcome, log: Option<String>, span: Span) -> Self {
        let IssueId { task: id, number, incarnation } = issue;
        let (status, data, msg, error) = match outcome {
            Outcome::Success { data } => (ResultStatus::Success, Some(data), None, None),
            Outcome::Launched { data } => (ResultStatus::Running, Some(data), None, None),
            Outcome::Failed { msg, error } => (ResultStatus::Failed, None, Some(msg), error),
        };
        let Span { started_at, ended_at } = span;
        let (log, progress, content, defaults) = (log.map(Into::into), None, None, None);
        Self {
            id,
            number,
            incarnation,
            status,
            data,
            msg,
            error,
            log,
            progress,
            content,
            defaults,
            started_at,
            ended_at,
        }
    }

    /// The report with the newest progress of the task.
    #[must_use]
    pub fn with_progress(self, progress: Option<Json>) -> Self {
        Self { progress, ..self }
    }

    /// The report with the content of the module that ran.
    #[must_use]
    pub fn with_content(self, content: Option<Digest>) -> Self {
        Self { content, ..self }
    }

    /// The report with the defaults of the module that ran.
    #[must_use]
    pub fn with_defaults(self, defaults: Option<Arc<ModuleDefaults>>) -> Self {
        Self { defaults, ..self }
    }

    /// The result as an input of the machine.
    #[must_use]
    pub fn into_result(self, worker: &Arc<str>) -> TaskResult {
        let (issue, took) = (self.issue(), self.span().took());
        let outcome = match self.status {
            ResultStatus::Success => Outcome::Success { data: self.data.unwrap_or_else(Json::null) },
            ResultStatus::Running => Outcome::Launched { data: self.data.unwrap_or_else(Json::null) },
            ResultStatus::Failed => Outcome::Failed {
                msg: self.msg.unwrap_or_else(|| "the task failed without a message".into()),
                error: self.error,
            },
        };
        let content = self.content;
        let (progress, defaults, log) = (self.progress, self.defaults, self.log);
        TaskResult { progress, content, defaults, issue, took, outcome, log, worker: Arc::clone(worker) }
    }

    /// The start and the end of the run.
    #[must_use]
    pub const fn span(&self) -> Span {
        Span { started_at: self.started_at, ended_at: self.ended_at }
    }

    /// The id of the issue.
    #[must_use]
    pub const fn issue(&self) -> IssueId {
        IssueId { task: self.id, number: self.number, incarnation: self.incarnation }
    }

    /// Reads one. A result that names its issue and is wrong otherwise is a failure of that task, with the reason: an
    /// ignored result would leave the task running for ever.
    ///
    /// # Errors
    /// If the report does not contain an issue.
    pub(super) fn read(text: &[u8], worker: &str) -> Result<Self, serde_json::Error> {
        object::from_slice::<Self>(text).or_else(|error| {
            let issue: IssueId = object::from_slice(text)?;
            Ok(Self::unreadable(issue, worker, &brief(&error)))
        })
    }

    /// The failure of an issue whose result cannot be read.
    fn unreadable(issue: IssueId, worker: &str, why: &str) -> Self {
        tracing::warn!(worker, task = %issue.task, why, "a worker reported a result that cannot be read: the task fails");
        let msg = format!("the worker {worker} reported a result that cannot be read: {why}");
        let span = Span { started_at: wall(), ended_at: wall() };
        Self::new(issue, Outcome::failed(ErrorKind::BadResult, msg), None, span)
    }

    /// Converts the report to a failure if its value contains a mark of [`not_a_number`].
    pub(super) fn without_marks(self, worker: &str) -> Self {
        let is_marked = |value: &Json| not_a_number::is_marked(value.get());
        if !self.data.as_ref().is_some_and(is_marked) {
            return Self { progress: self.progress.filter(|progress| !is_marked(progress)), ..self };
        }
        Self::unreadable(self.issue(), worker, "its data has NaN or Infinity, which JSON does not have")
    }
}

/// The digest of a module. One that cannot be read counts as absent: the result is not kept.
fn content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
    Ok(Option::<serde_json::Value>::deserialize(deserializer)?.and_then(|text| text.as_str()?.parse().ok()))
}

/// The error of any kind of worker. An unknown kind counts as `TASK_FAILED`.
fn reported_error<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<TaskError>>, D::Error> {
    #[derive(Deserialize)]
    struct Reported {
        #[serde(default)]
        kind: Option<serde_json::Value>,
        #[serde(rename = "type", default)]
        type_name: Option<Arc<str>>,
        #[serde(default)]
        bases: Vec<Arc<str>>,
        #[serde(default)]
        retry: Option<RetryAdvice>,
        #[serde(default)]
        traceback: Option<Arc<str>>,
        #[serde(default)]
        which: Option<serde_json::Value>,
    }
    let reported: Option<Reported> = object::optional(deserializer)?;
    Ok(reported.map(|Reported { kind, type_name, bases, retry, traceback, which }| {
        let kind = kind.and_then(|kind| ErrorKind::deserialize(kind).ok()).unwrap_or(ErrorKind::TaskFailed);
        let which = which.and_then(|which| Timeout::deserialize(which).ok());
        Arc::new(TaskError { kind, type_name, bases, retry, traceback, which, cause: None })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUE: &str = r#""id":"00000000-0000-0007-0000-000000000001","issue":1,"incarnation":2"#;

    fn read(rest: &str) -> TaskEnded {
        TaskEnded::read(format!("{{{ISSUE}{rest}}}").as_bytes(), "w").unwrap()
    }

    #[test]
    fn an_outcome_survives_a_round_trip() {
        let issue = read(r#","status":"SUCCESS""#).issue();
        let at = |millis| Timestamp::from_millis(millis);
        let which = Some(Timeout::Heartbeat);
        let error = TaskError { type_name: Some("T".into()), which, ..TaskError::new(ErrorKind::TimedOut) };
        for outcome in [
            Outcome::Success { data: Json::from_checked("[1]") },
            Outcome::Launched { data: Json::null() },
            Outcome::Failed { msg: "no".into(), error: Some(error.into()) },
            Outcome::Failed { msg: "no".into(), error: None },
        ] {
            let span = Span { started_at: at(1000), ended_at: at(1500) };
            let ended = TaskEnded::new(issue, outcome.clone(), Some("printed".to_owned()), span);
            let defaults = ModuleDefaults::read(Json::from_checked(r#"{"retry":2}"#)).unwrap();
            let ended = ended.with_progress(Some(Json::null())).with_defaults(Some(defaults.clone().into()));
            let read = TaskEnded::read(&super::super::encode(&ended), "w").unwrap();
            let result = read.into_result(&"w".into());
            assert_eq!((result.issue, result.outcome), (issue, outcome));
            assert_eq!((result.took, result.log.as_deref()), (Duration::from_millis(500), Some("printed")));
            assert_eq!((result.progress, result.defaults.as_deref()), (Some(Json::null()), Some(&defaults)));
        }
    }

    #[test]
    fn optional_fields_may_be_absent() {
        let ended = read(r#","status":"SUCCESS""#);
        assert_eq!((ended.status, ended.data, ended.error), (ResultStatus::Success, None, None));
        assert_eq!(ended.number, 1);
    }

    #[test]
    fn an_unknown_error_kind_is_a_failed_task() {
        let kind = |error: &str| {
            read(&format!(r#","status":"FAILED","msg":"no","error":{error}"#)).error.map(|error| error.kind)
        };
        for error in [r#"{"kind":"MY_OWN"}"#, r#"{"kind":7}"#, "{}", r#"{"other":[]}"#] {
            assert_eq!(kind(error), Some(ErrorKind::TaskFailed), "{error}");
        }
        assert_eq!(kind(r#"{"kind":"BAD_ARGUMENTS"}"#), Some(ErrorKind::BadArguments));
        assert_eq!(kind("null"), None);
    }

    #[test]
    fn an_unreadable_result_fails_the_task_that_it_names() {
        for rest in
            [r#","status":"success""#, "", r#","status":"SUCCESS","log":7"#, r#","status":"FAILED","error":["x"]"#]
        {
            let ended = read(rest);
            assert_eq!(
                (ended.status, ended.error.unwrap().kind),
                (ResultStatus::Failed, ErrorKind::BadResult),
                "{rest}"
            );
            assert!(ended.msg.unwrap().starts_with("the worker w reported a result that cannot be read: "));
        }
        let marked =
            not_a_number::marked(format!(r#"{{{ISSUE},"status":"SUCCESS","data":[1,NaN]}}"#).as_bytes()).unwrap();
        let failed = TaskEnded::read(&marked, "w").unwrap().without_marks("w");
        assert_eq!((failed.status, failed.data), (ResultStatus::Failed, None));
        let list = br#"["00000000-0000-0007-0000-000000000001",1,2,"SUCCESS"]"#;
        TaskEnded::read(list, "w").unwrap_err();
    }
}
