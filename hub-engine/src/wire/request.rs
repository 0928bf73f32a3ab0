//! Questions to the dispatcher and its answers.

use std::time::Duration;

use hub_core::JobId;
use hub_transport::Message;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{VERSION, WireError, check_version, object, raw};
use crate::operations::{JobFilter, RequestError, ResultUpdate, View};

/// The header with which a client says that it reads [`Replies`]; its value is `many`.
pub const REPLIES_HEADER: &str = "replies";

/// The value of [`REPLIES_HEADER`].
pub const MANY: &str = "many";

/// Whether whoever sends this reads [`Replies`].
#[must_use]
pub fn reads_many(message: &Message) -> bool {
    message.headers.get(REPLIES_HEADER).is_some_and(|value| value == MANY)
}

/// A message on the request queue.
#[derive(Clone, Debug, Serialize)]
pub struct RequestMessage {
    /// The version of the message format.
    pub v: u32,
    /// What is asked.
    #[serde(flatten)]
    pub request: Request,
}

/// What can be asked.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// The status record of a job.
    Job {
        /// The job.
        id: JobId,
        /// Answer only when the job has ended or so many milliseconds have passed.
        #[serde(skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
        /// What to show of it: everything, unless something is said.
        #[serde(flatten)]
        view: View,
    },
    /// How a job stands, in few words.
    Summary {
        /// The job.
        id: JobId,
        /// As for its record.
        #[serde(skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
    },
    /// The records of some of a job's tasks.
    Tasks {
        /// The job.
        id: JobId,
        /// So many tasks stand before.
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<u32>,
        /// At most so many.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// What to show of each.
        #[serde(flatten)]
        view: View,
    },
    /// A page of the listing.
    Jobs {
        /// Which jobs.
        filter: JobFilter,
    },
    /// Stop a job.
    Cancel {
        /// The job.
        id: JobId,
    },
    /// Forget a job that has ended.
    Remove {
        /// The job.
        id: JobId,
    },
    /// End a task from outside, with an answer.
    Result {
        /// How.
        result: ResultUpdate,
    },
    /// The live workers.
    Workers,
    /// How the dispatcher is.
    Health,
}

/// The answer to a request or a submission.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The version of the message format.
    pub v: u32,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Box<RawValue>>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "object::optional")]
    pub error: Option<RequestError>,
}

/// Answers to the same client, in one message. It has no correlation id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "R: Deserialize<'de>"))]
pub struct Replies<R> {
    /// The version of the message format.
    pub v: u32,
    /// The answers.
    #[serde(deserialize_with = "object::list")]
    pub replies: Vec<ReplyFor<R>>,
}

/// One of many answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplyFor<R> {
    /// The correlation id of what it answers.
    pub to: String,
    /// A [`Reply`].
    pub reply: R,
}

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// Where it is of a newer format, or is none of the requests.
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
            fields: Option<Vec<String>>,
            #[serde(default)]
            no_data: bool,
            #[serde(default)]
            no_tasks: bool,
            #[serde(default, deserialize_with = "object::optional")]
            filter: Option<JobFilter>,
            #[serde(default, deserialize_with = "object::optional")]
            result: Option<ResultUpdate>,
        }
        let body: Body<'_> = object::from_slice(body)?;
        check_version(body.v)?;
        let id = || body.id.ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("id")));
        let view = View { fields: body.fields, no_data: body.no_data, no_tasks: body.no_tasks };
        Ok(match &*body.kind {
            "job" => Self::Job { id: id()?, wait_ms: body.wait_ms, view },
            "summary" => Self::Summary { id: id()?, wait_ms: body.wait_ms },
            "tasks" => Self::Tasks { id: id()?, after: body.after, limit: body.limit, view },
            "jobs" => Self::Jobs { filter: body.filter.unwrap_or_default() },
            "cancel" => Self::Cancel { id: id()? },
            "remove" => Self::Remove { id: id()? },
            "result" => Self::Result {
                result: body.result.ok_or_else(|| WireError::Malformed(serde::de::Error::missing_field("result")))?,
            },
            "workers" => Self::Workers,
            "health" => Self::Health,
            other => {
                let unknown = format!(
                    "unknown type {other:?}: known are job, summary, tasks, jobs, cancel, remove, result, workers, health"
                );
                return Err(WireError::Malformed(serde::de::Error::custom(unknown)));
            }
        })
    }

    /// Whether it does more than to look something up.
    #[must_use]
    pub const fn changes_something(&self) -> bool {
        match self {
            Self::Cancel { .. } | Self::Remove { .. } | Self::Result { .. } => true,
            Self::Job { .. }
            | Self::Summary { .. }
            | Self::Tasks { .. }
            | Self::Jobs { .. }
            | Self::Workers
            | Self::Health => false,
        }
    }

    /// How long the asker is ready to wait for the job's end.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Job { wait_ms, .. } | Self::Summary { wait_ms, .. } => wait_ms.map(Duration::from_millis),
            _ => None,
        }
    }
}

impl<'a> Replies<&'a RawValue> {
    /// Reads a body, but for the answers in it.
    ///
    /// # Errors
    /// Where it is of a newer format, or is none.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let replies: Self = object::from_slice(body)?;
        check_version(Some(replies.v))?;
        Ok(replies)
    }
}

impl Reply {
    /// The answer that `outcome` makes.
    #[must_use]
    pub fn new<T: Serialize>(outcome: Result<T, RequestError>) -> Self {
        match outcome {
            Ok(value) => Self { v: VERSION, ok: Some(raw(&value)), error: None },
            Err(error) => Self { v: VERSION, ok: None, error: Some(error) },
        }
    }

    /// Reads a body: the value asked for, or the refusal.
    ///
    /// # Errors
    /// Where it is of a newer format, or is no answer of this kind.
    pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<Result<T, RequestError>, WireError> {
        let reply: Self = object::from_slice(body)?;
        check_version(Some(reply.v))?;
        match (reply.ok, reply.error) {
            (_, Some(error)) => Ok(Err(error)),
            (Some(value), None) => Ok(Ok(serde_json::from_str(value.get())?)),
            (None, None) => Err(WireError::Malformed(serde::de::Error::missing_field("ok"))),
        }
    }
}
