//! Requests to the dispatcher and its replies.

use std::time::Duration;

use hub_core::JobId;
use hub_core::definition::Reference;
use hub_transport::Message;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{VERSION, WireError, check_version, first_version, object, raw};
use crate::operations::{
    AliasChange, DefinitionDraft, JobCancel, JobFilter, JobRetry, JobSignal, NamePage, Pausable, PauseRequest,
    PriorityRequest, Request, RequestError, ResultUpdate, ScheduleRequest, TaskApproval, TaskQuery, TaskRepair, View,
};

/// The header of clients that support [`Replies`]. Its value is `many`.
pub const REPLIES_HEADER: &str = "replies";

/// The value of [`REPLIES_HEADER`].
pub const MANY: &str = "many";

/// Whether the sender of this message supports [`Replies`].
#[must_use]
pub fn reads_many(message: &Message) -> bool {
    message.headers.get(REPLIES_HEADER).is_some_and(|value| value == MANY)
}

/// A message in the queue of requests.
#[derive(Clone, Debug, Serialize)]
pub struct RequestMessage {
    /// The version of the message format.
    pub v: u32,
    /// The request.
    #[serde(flatten)]
    pub request: Request,
}

/// The answer to a request or a submission.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The version of the message format.
    pub v: u32,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Box<RawValue>>,
    /// The refusal.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "object::optional")]
    pub error: Option<RequestError>,
}

/// Several answers to the same client in one message, which has no correlation id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "R: Deserialize<'de>"))]
pub struct Replies<R> {
    /// The version of the message format.
    pub v: u32,
    /// The answers.
    #[serde(deserialize_with = "object::list")]
    pub replies: Vec<ReplyFor<R>>,
}

/// One of several answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplyFor<R> {
    /// The correlation id of the request.
    pub to: String,
    /// A [`Reply`].
    pub reply: R,
}

impl RequestMessage {
    /// Decodes a body.
    ///
    /// # Errors
    /// If it has a newer format or is not a request.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        // As in `ResultMessage::decode`: raw JSON does not survive a tagged enum.
        #[derive(Deserialize)]
        struct Body<'a> {
            v: Option<u32>,
            #[serde(rename = "type", borrow)]
            kind: std::borrow::Cow<'a, str>,
            id: Option<JobId>,
            wait_ms: Option<u64>,
            after: Option<u32>,
            limit: Option<u32>,
            of: Option<String>,
            task: Option<String>,
            fields: Option<Vec<String>>,
            #[serde(default)]
            no_data: bool,
            #[serde(default)]
            no_tasks: bool,
            #[serde(default, deserialize_with = "object::optional")]
            filter: Option<JobFilter>,
            #[serde(default, deserialize_with = "object::optional")]
            result: Option<ResultUpdate>,
            #[serde(default, deserialize_with = "object::optional")]
            repair: Option<TaskRepair>,
            #[serde(default, deserialize_with = "object::optional")]
            retry: Option<JobRetry>,
            #[serde(default)]
            now: bool,
            #[serde(default)]
            handlers: bool,
            pool: Option<String>,
            priority: Option<i64>,
            by: Option<String>,
            reason: Option<String>,
            #[serde(default, deserialize_with = "object::optional")]
            signal: Option<JobSignal>,
            #[serde(default, deserialize_with = "object::optional")]
            approval: Option<TaskApproval>,
            #[serde(default, deserialize_with = "object::optional")]
            definition: Option<DefinitionDraft>,
            #[serde(default, deserialize_with = "object::optional")]
            alias: Option<AliasChange>,
            #[serde(default, deserialize_with = "object::optional")]
            page: Option<NamePage>,
            reference: Option<Reference>,
            #[serde(default, deserialize_with = "object::optional")]
            schedule: Option<ScheduleRequest>,
        }
        let body: Body<'_> = object::from_slice(body)?;
        check_version(body.v)?;
        let id = || body.id.ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("id")));
        let view = View { fields: body.fields, no_data: body.no_data, no_tasks: body.no_tasks };
        let wait = body.wait_ms.map(Duration::from_millis);
        let pause = || {
            let of = match body.pool {
                Some(pool) => Pausable::Pool(pool),
                None => Pausable::Job(id()?),
            };
            Ok::<_, WireError>(PauseRequest { of, by: body.by.clone(), reason: body.reason.clone() })
        };
        let request = match &*body.kind {
            "job" => Request::Job { id: id()?, wait, view },
            "summary" => Request::Summary { id: id()?, wait },
            "tasks" => {
                let query = TaskQuery { after: body.after, limit: body.limit, of: body.of, view };
                Request::Tasks { id: id()?, query }
            }
            "jobs" => Request::Jobs { filter: body.filter.unwrap_or_default() },
            "explain" => Request::Explain { id: id()?, task: body.task },
            "document" => Request::Document { id: id()?, after: body.after },
            "cancel" => {
                let Body { now, handlers, by, reason, .. } = body;
                Request::Cancel { cancel: JobCancel { id: id()?, now, handlers, by, reason } }
            }
            "pause" => Request::Pause { of: pause()? },
            "resume" => Request::Resume { of: pause()? },
            "priority" => {
                let missing = || WireError::Malformed(serde::de::Error::missing_field("priority"));
                let priority = body.priority.ok_or_else(missing)?;
                Request::Priority { of: PriorityRequest { id: id()?, priority, by: body.by, reason: body.reason } }
            }
            "remove" => Request::Remove { id: id()? },
            "result" => Request::Result {
                result: body.result.ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("result")))?,
            },
            "repair" => Request::Repair {
                repair: body.repair.ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("repair")))?,
            },
            "retry" => Request::Retry {
                retry: body.retry.ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("retry")))?,
            },
            "signal" => Request::Signal {
                signal: body.signal.ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("signal")))?,
            },
            "approve" => Request::Approve {
                approval: body
                    .approval
                    .ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("approval")))?,
            },
            "define" => Request::Define {
                definition: body
                    .definition
                    .ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("definition")))?,
            },
            "alias" => Request::Alias {
                change: body.alias.ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("alias")))?,
            },
            "definitions" => Request::Definitions { filter: body.page.unwrap_or_default() },
            "definition" => Request::Definition {
                reference: body
                    .reference
                    .ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("reference")))?,
            },
            "schedule" => Request::Schedule {
                schedule: body
                    .schedule
                    .ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("schedule")))?,
            },
            "workers" => Request::Workers,
            "health" => Request::Health,
            other => {
                let unknown = format!(
                    "unknown type {other:?}; known types: job, summary, tasks, jobs, explain, document, cancel, pause, resume, priority, remove, result, repair, retry, signal, approve, define, alias, definitions, definition, schedule, workers, health"
                );
                return Err(WireError::Malformed(serde::de::Error::custom(unknown)));
            }
        };
        Ok(Self { v: body.v.unwrap_or_else(first_version), request })
    }
}

impl<'a> Replies<&'a RawValue> {
    /// Decodes a body without the answers in it.
    ///
    /// # Errors
    /// If it has a newer format or is not of this type.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let replies: Self = object::from_slice(body)?;
        check_version(Some(replies.v))?;
        Ok(replies)
    }
}

impl Reply {
    /// The reply for `outcome`.
    #[must_use]
    pub fn new<T: Serialize>(outcome: Result<T, RequestError>) -> Self {
        match outcome {
            Ok(value) => Self { v: VERSION, ok: Some(raw(&value)), error: None },
            Err(error) => Self { v: VERSION, ok: None, error: Some(error) },
        }
    }

    /// Decodes a body: the answer or the refusal.
    ///
    /// # Errors
    /// If it has a newer format or is not an answer of this type.
    pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<Result<T, RequestError>, WireError> {
        Self::decode_with(body, |value| serde_json::from_str(value))
    }

    /// Like [`Reply::decode`]. `read` decodes the answer.
    ///
    /// # Errors
    /// The errors of [`Reply::decode`].
    pub fn decode_with<T>(
        body: &[u8],
        read: impl FnOnce(&str) -> serde_json::Result<T>,
    ) -> Result<Result<T, RequestError>, WireError> {
        let reply: Self = object::from_slice(body)?;
        check_version(Some(reply.v))?;
        match (reply.ok, reply.error) {
            (_, Some(error)) => Ok(Err(error)),
            (Some(value), None) => Ok(Ok(read(value.get())?)),
            (None, None) => Err(WireError::Malformed(serde::de::Error::missing_field("ok"))),
        }
    }
}
