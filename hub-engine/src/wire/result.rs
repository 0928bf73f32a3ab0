//! What is reported of tasks, on the results queue: by workers, and by anyone from outside.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hub_core::text::beginning;
use hub_core::{Attempt, TaskId};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

pub use hub_core::machine::Returned as ReturnReason;

use super::control::MAXIMUM_NAME;
use super::{TaskEnded, WireError, brief, check_version, encode, first_version, not_a_number, object};
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

/// A worker runs these tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// The worker's id.
    #[serde(deserialize_with = "worker_id")]
    pub worker: Arc<str>,
    /// What it runs.
    #[serde(deserialize_with = "object::list")]
    pub tasks: Vec<RunningAttempt>,
}

/// An issue of a task that a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningAttempt {
    /// The task.
    pub id: TaskId,
    /// Which issue: counted per task.
    pub attempt: u32,
    /// Which issue: the dispatcher's start.
    pub incarnation: u64,
    /// How long it has run, in milliseconds.
    #[serde(default)]
    pub ran_ms: u64,
}

/// What has ended on a worker since it last said so, of any jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// The worker's id.
    #[serde(deserialize_with = "worker_id")]
    pub worker: Arc<str>,
    /// What has ended.
    #[serde(deserialize_with = "object::list")]
    pub results: Vec<TaskEnded>,
}

/// A worker gives an issue back without having run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// The task.
    pub id: TaskId,
    /// Which issue: counted per task.
    pub attempt: u32,
    /// Which issue: the dispatcher's start.
    pub incarnation: u64,
    /// The worker's id.
    #[serde(deserialize_with = "worker_id")]
    pub worker: Arc<str>,
    /// Why.
    pub reason: ReturnReason,
}

impl RunningAttempt {
    /// The task and its issue.
    #[must_use]
    pub fn parts(self) -> (TaskId, Attempt) {
        (self.id, Attempt { attempt: self.attempt, incarnation: self.incarnation })
    }

    /// How long it has run.
    #[must_use]
    pub const fn ran(self) -> Duration {
        Duration::from_millis(self.ran_ms)
    }
}

impl From<((TaskId, Attempt), Duration)> for RunningAttempt {
    fn from(((id, attempt), ran): ((TaskId, Attempt), Duration)) -> Self {
        let ran_ms = u64::try_from(ran.as_millis()).unwrap_or(u64::MAX);
        Self { id, attempt: attempt.attempt, incarnation: attempt.incarnation, ran_ms }
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
            #[serde(default = "first_version")]
            v: u32,
            #[serde(default = "unnamed", deserialize_with = "worker_id")]
            worker: Arc<str>,
            #[serde(borrow)]
            results: Vec<&'a RawValue>,
        }
        let Flawed { v, worker, results } = object::from_slice(body)?;
        let (mut readable, mut ignored) = (Vec::with_capacity(results.len()), Vec::new());
        for result in results {
            match TaskEnded::read(result.get().as_bytes(), &worker) {
                Ok(ended) => readable.push(ended),
                Err(error) => ignored.push(error),
            }
        }
        if let Some(error) = ignored.first().map(brief) {
            tracing::warn!(%worker, count = ignored.len(), %error, "ignored results that name no task");
        }
        Ok(Self { v, results: readable, worker })
    }

    /// The only one of a message that has no list.
    fn of_one(body: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Common {
            #[serde(default = "first_version")]
            v: u32,
            #[serde(default = "unnamed", deserialize_with = "worker_id")]
            worker: Arc<str>,
        }
        let Common { v, worker } = object::from_slice(body)?;
        let ended = TaskEnded::read(body, &worker)?;
        Ok(Self { v, worker, results: vec![ended] })
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
            && let Ok(results) = object::from_slice::<Results>(body)
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
        let head: Head<'_> = match object::from_slice(body) {
            Ok(head) => head,
            Err(error) => return Self::decode_marked(body).ok_or(WireError::Malformed(error)),
        };
        check_version(head.v)?;
        Ok(match head.kind.as_deref() {
            None => Self::Posted(object::from_slice(body)?),
            Some("started") => Self::FromWorker(FromWorker::Started(object::from_slice(body)?)),
            Some("results") => Self::FromWorker(FromWorker::Results(Results::with_flaws(body)?)),
            Some("result") => Self::FromWorker(FromWorker::Results(Results::of_one(body)?)),
            Some("returned") => Self::FromWorker(FromWorker::Returned(object::from_slice(body)?)),
            Some(other) => {
                let unknown = format!("unknown type {other:?}: known are started, results, result, returned");
                return Err(WireError::Malformed(serde::de::Error::custom(unknown)));
            }
        })
    }

    /// Reads results of which some have values that JSON does not have: their tasks fail, the others count.
    fn decode_marked(body: &[u8]) -> Option<Self> {
        let Self::FromWorker(FromWorker::Results(Results { v, worker, results })) =
            Self::decode(&not_a_number::marked(body)?).ok()?
        else {
            return None;
        };
        let results = results.into_iter().map(|ended| ended.without_marks(&worker)).collect();
        Some(Self::FromWorker(FromWorker::Results(Results { v, worker, results })))
    }
}

/// The id of a worker that reports; of one that is longer than a heartbeat may have it, the beginning.
fn worker_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    let id = Arc::<str>::deserialize(deserializer)?;
    Ok(if id.len() > MAXIMUM_NAME { beginning(&id, MAXIMUM_NAME).into() } else { id })
}

/// The worker of a report that names none.
fn unnamed() -> Arc<str> {
    "unnamed".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ResultStatus;

    fn read(body: &str) -> Results {
        let Ok(ResultMessage::FromWorker(FromWorker::Results(read))) = ResultMessage::decode(body.as_bytes()) else {
            panic!("not read: {body}");
        };
        let again = ResultMessage::decode(&read.encode()).unwrap();
        assert!(matches!(again, ResultMessage::FromWorker(FromWorker::Results(again)) if again == read));
        read
    }

    #[test]
    fn one_result_that_cannot_be_read_takes_no_others_with_it() {
        let result = |task: u32, status: &str| {
            let id = format!("00000000-0000-0007-0000-{task:012}");
            format!(r#"{{"id":"{id}","attempt":1,"incarnation":1,"status":"{status}","started_at":1,"ended_at":2}}"#)
        };
        let (good, bad) = ([result(1, "SUCCESS"), result(3, "FAILED")], result(2, "success"));
        let body = |results: &str| format!(r#"{{"type":"results","v":1,"worker":"w","results":[{results}]}}"#);
        let whole = read(&body(&good.join(",")));
        assert_eq!((whole.worker.as_ref(), whole.results.len()), ("w", 2));
        // One that names its issue fails the task; one that does not is left out.
        let flawed = read(&body(&format!("{},{bad},[],{}", good[0], good[1])));
        let statuses: Vec<_> = flawed.results.iter().map(|result| result.status).collect();
        assert_eq!(statuses, [ResultStatus::Success, ResultStatus::Failed, ResultStatus::Failed]);
        assert_eq!((&flawed.results[0], &flawed.results[2]), (&whole.results[0], &whole.results[1]));
    }

    #[test]
    fn what_python_writes_of_nan_fails_its_task_and_no_other() {
        let id = |task: u32| format!("00000000-0000-0007-0000-{task:012}");
        let result = |task, data| {
            format!(r#"{{"id":"{}","attempt":1,"incarnation":1,"status":"SUCCESS","data":{data}}}"#, id(task))
        };
        let body =
            format!(r#"{{"type":"results","v":1,"worker":"w","results":[{},{}]}}"#, result(1, "NaN"), result(2, "3"));
        let statuses: Vec<_> = read(&body).results.iter().map(|ended| ended.status).collect();
        assert_eq!(statuses, [ResultStatus::Failed, ResultStatus::Success]);
        let one = format!(
            r#"{{"type":"result","id":"{}","attempt":1,"incarnation":1,"status":"SUCCESS","data":[NaN]}}"#,
            id(1)
        );
        let one = read(&one);
        assert_eq!((&*one.worker, one.results[0].status), ("unnamed", ResultStatus::Failed));
        ResultMessage::decode(br#"{"id": NaN}"#).unwrap_err();
    }

    #[test]
    fn texts_of_foreign_workers_are_cut_where_they_are_quoted_or_are_names() {
        let (id, long) = ("00000000-0000-0007-0000-000000000001", "x".repeat(9_000_000));
        let issue = format!(r#""id":"{id}","attempt":1,"incarnation":1"#);
        for status in ["SUCCESS", &long] {
            let results = read(&format!(
                r#"{{"type":"results","worker":"{long}","results":[{{{issue},"status":"{status}","started_at":1,"ended_at":2}}]}}"#
            ));
            assert_eq!(results.worker.len(), MAXIMUM_NAME);
            let msg = results.results[0].msg.as_deref().unwrap_or_default();
            assert!(msg.len() < 2000, "{} bytes", msg.len());
        }
        for body in [
            format!(r#"{{"type":"{long}"}}"#),
            format!(r#"{{"{long}":1}}"#),
            format!(r#"{{"id":"{long}","status":"SUCCESS"}}"#),
            format!(r#"{{"type":"returned",{issue},"worker":"w","reason":"{long}"}}"#),
        ] {
            let error = ResultMessage::decode(body.as_bytes()).unwrap_err().to_string();
            assert!(error.len() < 1200, "{} bytes", error.len());
        }
    }

    #[test]
    fn a_list_is_no_message_and_a_message_without_a_version_is_of_the_first() {
        let id = "00000000-0000-0007-0000-000000000001";
        for list in [
            format!(r#"["{id}","SUCCESS",1]"#),
            format!(r#"{{"type":"started","worker":"w","tasks":[["{id}",1,1]]}}"#),
            r#"{"type":"results","v":1,"worker":"w","results":{}}"#.to_owned(),
            format!(r#"["started",1,"w",["{id}",1,1]]"#),
        ] {
            ResultMessage::decode(list.as_bytes()).unwrap_err();
        }
        let started =
            format!(r#"{{"type":"started","worker":"w","tasks":[{{"id":"{id}","attempt":1,"incarnation":1}}]}}"#);
        let read = ResultMessage::decode(started.as_bytes()).unwrap();
        assert!(matches!(read, ResultMessage::FromWorker(FromWorker::Started(started)) if started.v == 1));
    }
}
