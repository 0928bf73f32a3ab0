//! What is reported of tasks, on the results queue: by workers, and by anyone from outside.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hub_core::state::TaskError;
use hub_core::{Attempt, Json, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{WireError, check_version, encode};
use crate::operations::ResultUpdate;

/// How results begin, as Hub's own workers write them.
const RESULTS: &[u8] = br#"{"type":"results","#;

/// Any message of the results queue.
#[derive(Clone, Debug)]
pub enum ResultMessage {
    /// From a worker: it has a `type`.
    FromWorker(FromWorker),
    /// From outside: it has none.
    Posted(ResultUpdate),
}

/// What a worker reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromWorker {
    /// It runs these, and holds a lease on them from now on.
    Started(Started),
    /// Issues of tasks have ended, or were launched. A message of the type `result`, which has one, is read as this too.
    Results(Results),
    /// It gives an issue back without having run it.
    Returned(Returned),
}

/// An issue of a task that a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAttempt {
    /// The task.
    pub id: TaskId,
    /// Which issue: counted per task.
    pub attempt: u32,
    /// Which issue: the dispatcher's start.
    pub incarnation: u64,
}

/// A worker runs these tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The version of the message format.
    pub v: u32,
    /// The worker's id.
    pub worker: Arc<str>,
    /// What it runs.
    pub tasks: Vec<HeldAttempt>,
}

/// What has ended on a worker since it last said so, of any jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The version of the message format.
    pub v: u32,
    /// The worker's id.
    pub worker: Arc<str>,
    /// What has ended.
    pub results: Vec<TaskEnded>,
}

/// An issue of a task has ended, or was launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnded {
    /// The task.
    pub id: TaskId,
    /// Which issue: counted per task.
    pub attempt: u32,
    /// Which issue: the dispatcher's start.
    pub incarnation: u64,
    /// How it ended.
    pub status: ResultStatus,
    /// What it returned; absent where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// Why it failed, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msg: Option<Arc<str>>,
    /// Why it failed, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError>,
    /// What it printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Arc<str>>,
    /// When the worker began with it, by the worker's clock.
    pub started_at: Timestamp,
    /// When it was over, by the worker's clock.
    pub ended_at: Timestamp,
}

/// How an issue of a task ended on its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ResultStatus {
    /// It returned.
    Success,
    /// It raised, died or could not be run.
    Failed,
    /// It is asynchronous and was launched; its result comes from outside.
    Running,
}

/// A worker gives an issue back without having run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// The version of the message format.
    pub v: u32,
    /// The task.
    pub id: TaskId,
    /// Which issue: counted per task.
    pub attempt: u32,
    /// Which issue: the dispatcher's start.
    pub incarnation: u64,
    /// The worker's id.
    pub worker: Arc<str>,
    /// Why.
    pub reason: ReturnReason,
}

/// Why a worker gives an issue back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnReason {
    /// It has no such task module.
    UnknownModule,
    /// Its slots are held by tasks that run long.
    Busy,
    /// It stops.
    Draining,
}

impl HeldAttempt {
    /// The task and its issue.
    #[must_use]
    pub fn parts(self) -> (TaskId, Attempt) {
        (self.id, Attempt { attempt: self.attempt, incarnation: self.incarnation })
    }
}

impl From<(TaskId, Attempt)> for HeldAttempt {
    fn from((id, attempt): (TaskId, Attempt)) -> Self {
        Self { id, attempt: attempt.attempt, incarnation: attempt.incarnation }
    }
}

impl TaskEnded {
    /// How long it took. Nothing else follows from its times: clocks of two machines differ.
    #[must_use]
    pub const fn took(&self) -> Duration {
        Duration::from_millis(self.ended_at.as_millis().saturating_sub(self.started_at.as_millis()))
    }

    /// The task and its issue.
    #[must_use]
    pub const fn key(&self) -> (TaskId, Attempt) {
        (self.id, Attempt { attempt: self.attempt, incarnation: self.incarnation })
    }
}

impl Results {
    /// The message, as the results queue has it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        #[derive(Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum Tagged<'a> {
            Results(&'a Results),
        }
        encode(&Tagged::Results(self))
    }

    /// A message of which not every result can be read: one of them takes no others with it.
    fn with_flaws(body: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Flawed<'a> {
            v: u32,
            worker: Arc<str>,
            #[serde(borrow)]
            results: Vec<&'a RawValue>,
        }
        let Flawed { v, worker, results } = serde_json::from_slice(body)?;
        let readable = results.into_iter().filter_map(|result| {
            let read = serde_json::from_str(result.get());
            read.inspect_err(|error| tracing::warn!(%worker, %error, "ignored a result")).ok()
        });
        Ok(Self { v, results: readable.collect(), worker: Arc::clone(&worker) })
    }

    /// The only one of a message that has no list.
    fn of_one(body: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Common {
            v: u32,
            worker: Arc<str>,
        }
        let Common { v, worker } = serde_json::from_slice(body)?;
        Ok(Self { v, worker, results: vec![serde_json::from_slice(body)?] })
    }
}

impl ResultMessage {
    /// Reads a body.
    ///
    /// # Errors
    /// Where it is of a newer format, or is none of the messages of this queue.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        // What workers write of nearly every task, read at once; what is wrong with it is found out below.
        if body.starts_with(RESULTS)
            && let Ok(results) = serde_json::from_slice::<Results>(body)
            && check_version(Some(results.v)).is_ok()
        {
            return Ok(Self::FromWorker(FromWorker::Results(results)));
        }
        // Internally tagged enums buffer their content, which raw JSON text does not survive: the tag is
        // read first, the rest by its type.
        #[derive(Deserialize)]
        struct Head<'a> {
            v: Option<u32>,
            #[serde(rename = "type", default, borrow)]
            kind: Option<std::borrow::Cow<'a, str>>,
        }
        let head: Head<'_> = serde_json::from_slice(body)?;
        check_version(head.v)?;
        Ok(match head.kind.as_deref() {
            None => Self::Posted(serde_json::from_slice(body)?),
            Some("started") => Self::FromWorker(FromWorker::Started(serde_json::from_slice(body)?)),
            Some("results") => Self::FromWorker(FromWorker::Results(Results::with_flaws(body)?)),
            Some("result") => Self::FromWorker(FromWorker::Results(Results::of_one(body)?)),
            Some("returned") => Self::FromWorker(FromWorker::Returned(serde_json::from_slice(body)?)),
            Some(other) => {
                let unknown = format!("unknown type {other:?}: known are started, results, result, returned");
                return Err(WireError::Malformed(serde::de::Error::custom(unknown)));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_result_that_cannot_be_read_takes_no_others_with_it() {
        let result = |task: u32, status: &str| {
            let id = format!("00000000-0000-0007-0000-{task:012}");
            format!(r#"{{"id":"{id}","attempt":1,"incarnation":1,"status":"{status}","started_at":1,"ended_at":2}}"#)
        };
        let (good, bad) = ([result(1, "SUCCESS"), result(3, "FAILED")], result(2, "success"));
        for results in [format!("{},{bad},{}", good[0], good[1]), good.join(",")] {
            let body = format!(r#"{{"type":"results","v":1,"worker":"w","results":[{results}]}}"#);
            let Ok(ResultMessage::FromWorker(FromWorker::Results(read))) = ResultMessage::decode(body.as_bytes())
            else {
                panic!("not read: {body}");
            };
            let again = ResultMessage::decode(&read.encode()).unwrap();
            assert!(matches!(again, ResultMessage::FromWorker(FromWorker::Results(again)) if again == read));
            assert_eq!((read.worker.as_ref(), read.results.len()), ("w", 2));
            assert_eq!(read.results[1].status, ResultStatus::Failed);
        }
    }
}
