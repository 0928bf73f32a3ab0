//! Messages in the queue of results: reports of workers, and results from outside.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hub_core::IssueId;
use hub_core::text::beginning;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

pub use hub_core::machine::Returned as ReturnReason;

use super::control::MAXIMUM_NAME;
use super::{TaskEnded, WireError, brief, check_version, encode, first_version, not_a_number, object};
use crate::operations::ResultUpdate;

/// The beginning of results as written by Hub's own workers.
const RESULTS: &[u8] = br#"{"type":"results","#;

/// A message in the queue of results.
#[derive(Clone, Debug)]
pub enum ResultMessage {
    /// A report of a worker, which has a `type`.
    FromWorker(FromWorker),
    /// A result from outside, which has no `type`.
    Posted(ResultUpdate),
}

/// A report of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromWorker {
    /// The worker runs these issues, and holds a lease on them from now on.
    Started(Started),
    /// Issues have ended or were launched. A message of the type `result` contains one and is decoded as this, too.
    Results(Results),
    /// The worker returns an issue without having run it.
    Returned(Returned),
}

/// A report of started tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// The worker's id.
    #[serde(deserialize_with = "worker_id")]
    pub worker: Arc<str>,
    /// The running issues.
    #[serde(deserialize_with = "object::list")]
    pub tasks: Vec<RunningIssue>,
}

/// An issue that a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningIssue {
    /// The issue.
    #[serde(flatten)]
    pub issue: IssueId,
    /// The time that it has been running, in milliseconds.
    #[serde(default)]
    pub ran_ms: u64,
}

/// A report of results, from any jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// The worker's id.
    #[serde(deserialize_with = "worker_id")]
    pub worker: Arc<str>,
    /// The results.
    #[serde(deserialize_with = "object::list")]
    pub results: Vec<TaskEnded>,
}

/// A report of a returned issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// The issue.
    #[serde(flatten)]
    pub issue: IssueId,
    /// The worker's id.
    #[serde(deserialize_with = "worker_id")]
    pub worker: Arc<str>,
    /// The reason.
    pub reason: ReturnReason,
}

impl RunningIssue {
    /// The time that it has been running.
    #[must_use]
    pub const fn ran(self) -> Duration {
        Duration::from_millis(self.ran_ms)
    }
}

impl From<(IssueId, Duration)> for RunningIssue {
    fn from((issue, ran): (IssueId, Duration)) -> Self {
        Self { issue, ran_ms: u64::try_from(ran.as_millis()).unwrap_or(u64::MAX) }
    }
}

impl Results {
    /// Encodes the message for the queue of results.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        #[derive(Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum Tagged<'a> {
            Results(&'a Results),
        }
        encode(&Tagged::Results(self))
    }

    /// Decodes a message with invalid results, which do not affect the others.
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
            tracing::warn!(%worker, count = ignored.len(), %error, "ignored results without a task");
        }
        Ok(Self { v, results: readable, worker })
    }

    /// Decodes a message with a single result.
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
    /// Decodes a body.
    ///
    /// # Errors
    /// If it has a newer format or is not a message of this queue.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        // The fast path for nearly all messages. Errors are diagnosed below.
        if body.starts_with(RESULTS)
            && let Ok(results) = object::from_slice::<Results>(body)
            && check_version(Some(results.v)).is_ok()
        {
            return Ok(Self::FromWorker(FromWorker::Results(results)));
        }
        // Internally tagged enums buffer their content, which does not support raw JSON text. So the tag is decoded
        // first, and the rest by its type.
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
                let unknown = format!("unknown type {other:?}; known types: started, results, result, returned");
                return Err(WireError::Malformed(serde::de::Error::custom(unknown)));
            }
        })
    }

    /// Decodes results with values that JSON does not have. Their tasks fail, and the other results count.
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

/// The id of the worker, truncated to the maximum length in heartbeats.
fn worker_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    let id = Arc::<str>::deserialize(deserializer)?;
    Ok(if id.len() > MAXIMUM_NAME { beginning(&id, MAXIMUM_NAME).into() } else { id })
}

/// The worker of a report without a worker.
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
    fn an_invalid_result_does_not_affect_others() {
        let result = |task: u32, status: &str| {
            let id = format!("00000000-0000-0007-0000-{task:012}");
            format!(r#"{{"id":"{id}","issue":1,"incarnation":1,"status":"{status}","started_at":1,"ended_at":2}}"#)
        };
        let (good, bad) = ([result(1, "SUCCESS"), result(3, "FAILED")], result(2, "success"));
        let body = |results: &str| format!(r#"{{"type":"results","v":1,"worker":"w","results":[{results}]}}"#);
        let whole = read(&body(&good.join(",")));
        assert_eq!((whole.worker.as_ref(), whole.results.len()), ("w", 2));
        // An invalid result with an issue fails its task. One without an issue is ignored.
        let flawed = read(&body(&format!("{},{bad},[],{}", good[0], good[1])));
        let statuses: Vec<_> = flawed.results.iter().map(|result| result.status).collect();
        assert_eq!(statuses, [ResultStatus::Success, ResultStatus::Failed, ResultStatus::Failed]);
        assert_eq!((&flawed.results[0], &flawed.results[2]), (&whole.results[0], &whole.results[1]));
    }

    #[test]
    fn nan_as_written_by_python_fails_only_its_task() {
        let id = |task: u32| format!("00000000-0000-0007-0000-{task:012}");
        let result = |task, data| {
            format!(r#"{{"id":"{}","issue":1,"incarnation":1,"status":"SUCCESS","data":{data}}}"#, id(task))
        };
        let body =
            format!(r#"{{"type":"results","v":1,"worker":"w","results":[{},{}]}}"#, result(1, "NaN"), result(2, "3"));
        let statuses: Vec<_> = read(&body).results.iter().map(|ended| ended.status).collect();
        assert_eq!(statuses, [ResultStatus::Failed, ResultStatus::Success]);
        let one = format!(
            r#"{{"type":"result","id":"{}","issue":1,"incarnation":1,"status":"SUCCESS","data":[NaN]}}"#,
            id(1)
        );
        let one = read(&one);
        assert_eq!((&*one.worker, one.results[0].status), ("unnamed", ResultStatus::Failed));
        ResultMessage::decode(br#"{"id": NaN}"#).unwrap_err();
    }

    #[test]
    fn quoted_texts_and_names_of_other_workers_are_truncated() {
        let (id, long) = ("00000000-0000-0007-0000-000000000001", "x".repeat(9_000_000));
        let issue = format!(r#""id":"{id}","issue":1,"incarnation":1"#);
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
    fn lists_are_refused_and_the_default_version_is_one() {
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
            format!(r#"{{"type":"started","worker":"w","tasks":[{{"id":"{id}","issue":1,"incarnation":1}}]}}"#);
        let read = ResultMessage::decode(started.as_bytes()).unwrap();
        assert!(matches!(read, ResultMessage::FromWorker(FromWorker::Started(started)) if started.v == 1));
    }
}
