//! The message of an issue to a worker.

use std::borrow::Cow;
use std::sync::Arc;

use hub_core::action::Assignment;
use hub_core::job::Secret;
use hub_core::{IssueId, JobId, Json, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{LimitsMs, VERSION, WireError, check_version, object, progress};

/// An issue of a task, published to `hub.tasks` with its pool as routing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMessage {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// The id of the issue. The result must contain it.
    #[serde(flatten)]
    pub issue: IssueId,
    /// The task's job.
    pub parent_id: JobId,
    /// The task's name in the job.
    pub name: Arc<str>,
    /// The task module to run.
    pub task_name: Arc<str>,
    /// The number of the attempt, from 1.
    #[serde(default = "first_attempt", skip_serializing_if = "is_first_attempt")]
    pub attempt: u32,
    /// The time limits of the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<LimitsMs>,
    /// Whether the dispatcher does not know the defaults of the module: the result has to name them, and the time limits among them
    /// apply if there is no `timeout`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_defaults: bool,
    /// The newest progress that an earlier attempt reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_progress: Option<Json>,
    /// The pool that it was published to, for diagnosis.
    pub pool: Arc<str>,
    /// The positional arguments: a JSON array.
    pub args: Json,
    /// The keyword arguments: a JSON object.
    pub kwargs: Json,
    /// What it runs instead of a task module: a JSON object with its keys of the job format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Json>,
    /// The secrets to put into these values, each with its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Arc<[Secret]>>,
    /// Whether the result has to name the content of the module that ran.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wants_content: bool,
}

const fn first_attempt() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_first_attempt(attempt: &u32) -> bool {
    *attempt == 1
}

impl TaskMessage {
    /// Decodes a body.
    ///
    /// # Errors
    /// If it has a newer format or is not a task.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        // Borrowed from the body, so that each value is copied once.
        #[derive(Deserialize)]
        struct Body<'a> {
            v: Option<u32>,
            id: TaskId,
            parent_id: JobId,
            #[serde(borrow)]
            name: Cow<'a, str>,
            #[serde(borrow)]
            task_name: Cow<'a, str>,
            attempt: Option<u32>,
            #[serde(default, deserialize_with = "object::optional")]
            timeout: Option<LimitsMs>,
            awaits_defaults: Option<bool>,
            #[serde(default, deserialize_with = "progress::optional")]
            last_progress: Option<Json>,
            #[serde(borrow)]
            pool: Cow<'a, str>,
            #[serde(borrow)]
            args: &'a RawValue,
            #[serde(borrow)]
            kwargs: &'a RawValue,
            #[serde(borrow)]
            run: Option<&'a RawValue>,
            secrets: Option<Arc<[Secret]>>,
            wants_content: Option<bool>,
            issue: u32,
            incarnation: u64,
        }
        let body: Body<'_> = object::from_slice(body)?;
        check_version(body.v)?;
        // The Python runner would unpack a string into arguments.
        if !body.args.get().starts_with('[') || !body.kwargs.get().starts_with('{') {
            return Err(WireError::Malformed(serde::de::Error::custom(
                "args is not a list or kwargs is not an object",
            )));
        }
        Ok(Self {
            v: body.v.unwrap_or(1),
            issue: IssueId { task: body.id, number: body.issue, incarnation: body.incarnation },
            parent_id: body.parent_id,
            name: body.name.into(),
            task_name: body.task_name.into(),
            attempt: body.attempt.unwrap_or(1),
            timeout: body.timeout,
            awaits_defaults: body.awaits_defaults.unwrap_or(false),
            last_progress: body.last_progress,
            pool: body.pool.into(),
            args: body.args.into(),
            kwargs: body.kwargs.into(),
            run: body.run.map(Into::into),
            secrets: body.secrets,
            wants_content: body.wants_content.unwrap_or(false),
        })
    }

    /// The message id, which is the same for repeated publishes.
    #[must_use]
    pub fn message_id(&self) -> String {
        self.issue.to_string()
    }
}

impl From<Assignment> for TaskMessage {
    fn from(assignment: Assignment) -> Self {
        Self {
            v: VERSION,
            issue: assignment.issue,
            parent_id: assignment.job,
            name: assignment.name,
            task_name: assignment.task_name,
            attempt: assignment.attempt,
            timeout: assignment.limits.map(Into::into),
            awaits_defaults: assignment.awaits_defaults,
            last_progress: assignment.last_progress,
            pool: assignment.pool,
            args: assignment.args,
            kwargs: assignment.kwargs,
            run: assignment.run,
            secrets: assignment.secrets,
            wants_content: assignment.wants_content,
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_core::job::AttemptLimits;

    use super::*;

    fn body(args: &str, kwargs: &str) -> String {
        let id = "00000000-0000-0007-0000-000000000001";
        format!(
            r#"{{"id":"{id}","parent_id":"{id}","name":"t","task_name":"t","pool":"p","args":{args},"kwargs":{kwargs},"issue":1,"incarnation":1}}"#
        )
    }

    #[test]
    fn arguments_must_be_a_list_and_an_object() {
        let read = TaskMessage::decode(body(r#"["ab"]"#, r#"{"c":1}"#).as_bytes()).unwrap();
        assert_eq!((read.v, read.args.get()), (1, r#"["ab"]"#));
        for (args, kwargs) in
            [(r#""ab""#, "{}"), ("{}", "{}"), ("null", "{}"), ("[]", "[]"), ("[]", r#""ab""#), ("1", "{}")]
        {
            TaskMessage::decode(body(args, kwargs).as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn limits_and_progress_are_optional_and_bounded() {
        let read = |more: &str| {
            let body = body("[]", "{}");
            let read = TaskMessage::decode(format!("{}{more}}}", body.trim_end_matches('}')).as_bytes()).unwrap();
            assert_eq!(TaskMessage::decode(&super::super::encode(&read)).unwrap(), read);
            read
        };
        let body = read("");
        assert_eq!((body.timeout, body.last_progress), (None, None));
        let body = read(r#","timeout":null,"last_progress":null"#);
        assert_eq!((body.timeout, body.last_progress), (None, Some(Json::null())));
        let seconds = std::time::Duration::from_secs;
        let limits = AttemptLimits { start_to_close: Some(seconds(1)), heartbeat: None, grace: seconds(0) };
        let body = read(r#","timeout":{"start_to_close_ms":1000,"grace_ms":0,"other":7}"#);
        assert_eq!(body.timeout.map(AttemptLimits::from), Some(limits));
        assert_eq!(body.timeout, Some(limits.into()));
        let body = read(r#","timeout":{"heartbeat_ms":18446744073709551615}"#);
        let limits = body.timeout.map(AttemptLimits::from).unwrap();
        assert_eq!((limits.heartbeat, limits.grace), (Some(seconds(366 * 24 * 3600)), seconds(10)));
        let large = format!(r#","last_progress":{:?}"#, "x".repeat(5000));
        assert_eq!(read(&large).last_progress, None);
    }
}
