//! The state of a job that few jobs have. It is apart: in memory in a shared box, in the store in one column.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::job::{Labels, Phase};
use crate::job_clock::JobClock;
use crate::received::{KEPT_SIGNAL_BYTES, KEPT_SIGNALS, ReceivedSignal, SignalKey};
use crate::schedule::Run;
use crate::{JobId, JobStatus, Json, TaskId, Timestamp};

/// What only some jobs have. A field that is not set takes no room in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobDetails {
    /// The task that runs it, if it is a sub-job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// Its inputs, an object, if it has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Json>,
    /// The labels that a sub-job inherits from the job whose task runs it, and a retry of a sub-job from that. They come with the
    /// commit that adds the job, and never change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Arc<Labels>>,
    /// The schedule and the time that it was started for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Arc<Run>>,
    /// The job that it is a retry of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Of a retry: what identifies the request, besides its origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_digest: Option<u64>,
    /// That the job was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelRecord>,
    /// Why the job is paused. It is paused while there is a cause.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pauses: BTreeMap<PauseCause, PauseRecord>,
    /// The priority that it was given after its submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<PriorityRecord>,
    /// The clock of its durations.
    #[serde(skip_serializing_if = "is_default")]
    pub clock: JobClock,
    /// The list of tasks that runs, while the job is live.
    #[serde(skip_serializing_if = "is_tasks")]
    pub phase: Phase,
    /// How the job ends, once that is known: its handlers may still run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<JobStatus>,
    /// When the handlers that run have to end, as a time of the job's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handlers_until: Option<Timestamp>,
    /// The stop of the handlers that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler_stop: Option<HandlerStop>,
    /// How the tasks of the job ended, as its handlers see it, if one of them asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Json>,
    /// Signals that came before a task waited for them, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<ReceivedSignal>,
    /// The keys of the newest signals, at most [`KEPT_SIGNALS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signal_keys: Vec<SignalKey>,
}

/// The job that another job is a retry of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The job whose tasks run again.
    pub job: JobId,
    /// The first job of the chain of retries, which is no retry.
    pub root: JobId,
    /// The number of jobs in the chain from the root to the retry, so the first retry is try 2.
    #[serde(rename = "try")]
    pub number: u32,
    /// Who asked for it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// Why, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}

/// The task that runs a sub-job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The job of the task.
    pub job: JobId,
    /// The task.
    pub task: TaskId,
    /// The first job of the chain, which is no sub-job.
    pub root: JobId,
    /// Whether the sub-job goes on by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detached: bool,
    /// The priority of the task, which tasks of the sub-job have if they and the sub-job have none.
    #[serde(default)]
    pub priority: i32,
}

/// What a job is paused by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PauseCause {
    /// A request to pause this job.
    #[serde(rename = "self")]
    Own,
    /// The pause of the job whose task runs this one.
    #[serde(rename = "parent")]
    Parent,
}

/// A pause of a job or of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseRecord {
    /// When it began.
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// Who asked for it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// Why, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}

/// The newest change of a job's priority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorityRecord {
    /// The priority since then.
    pub priority: i32,
    /// When it was changed.
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// Who asked for it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// Why, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}

/// The cancellation of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRecord {
    /// When it was asked for first.
    #[serde(with = "crate::time::rfc3339")]
    pub at: Timestamp,
    /// Whether running tasks are killed without a grace period.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
    /// Whether the handlers are stopped too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handlers: bool,
    /// Who asked for it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// Why, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}

/// A stop of the handlers that run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerStop {
    /// Why they are stopped.
    pub why: Arc<str>,
    /// Whether they are killed without a grace period.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
    /// Whether somebody has asked for it. Otherwise it counts as a failure of the handlers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cancel: bool,
}

impl JobDetails {
    /// The details without what can be large: values of users and tasks.
    #[must_use]
    pub fn without_values(&self) -> Self {
        Self { signals: Vec::new(), signal_keys: Vec::new(), failure: None, inputs: None, ..self.clone() }
    }

    /// Whether a signal with this key was accepted before.
    #[must_use]
    pub fn knows(&self, name: &str, key: &str) -> bool {
        self.signal_keys.iter().any(|known| *known.key == *key && *known.name == *name)
    }

    /// Remembers the key of a signal, and forgets the oldest one if there are too many.
    pub fn remember(&mut self, key: SignalKey) {
        if self.signal_keys.len() == KEPT_SIGNALS {
            self.signal_keys.remove(0);
        }
        self.signal_keys.push(key);
    }

    /// Whether there is room for a further signal with this data.
    #[must_use]
    pub fn has_room_for(&self, data: &Json) -> bool {
        let kept = self.signals.iter().filter_map(|signal| signal.data.as_ref());
        let bytes = kept.chain([data]).map(|data| data.get().len()).sum::<usize>();
        self.signals.len() < KEPT_SIGNALS && bytes <= KEPT_SIGNAL_BYTES
    }

    /// Takes the oldest signals with this name, at most `count`.
    pub fn take_signals(&mut self, name: &str, count: usize) -> Vec<ReceivedSignal> {
        let mut left = count;
        self.signals
            .extract_if(.., |signal| {
                let is_taken = left > 0 && *signal.name == *name;
                left -= usize::from(is_taken);
                is_taken
            })
            .collect()
    }

    /// About how many bytes of memory its lists take.
    #[must_use]
    pub fn weight(&self) -> usize {
        let keys = self.signal_keys.iter().map(|key| size_of::<SignalKey>() + key.key.len());
        let values = [&self.failure, &self.inputs].into_iter().flatten().map(|value| value.get().len());
        self.signals.iter().map(ReceivedSignal::weight).sum::<usize>() + keys.sum::<usize>() + values.sum::<usize>()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_tasks(phase: &Phase) -> bool {
    *phase == Phase::Tasks
}

fn is_default(clock: &JobClock) -> bool {
    *clock == JobClock::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::received::SIGNAL_BYTES;

    fn signal(name: &str, data: &str) -> ReceivedSignal {
        let data = Some(Json::parse(data).unwrap());
        ReceivedSignal { name: name.into(), at: Timestamp::default(), by: None, data }
    }

    #[test]
    fn signals_are_taken_in_their_order() {
        let signals = vec![signal("a", "1"), signal("b", "2"), signal("a", "3"), signal("a", "4")];
        let mut details = JobDetails { signals, ..JobDetails::default() };
        assert_eq!(details.take_signals("a", 2), [signal("a", "1"), signal("a", "3")]);
        assert_eq!(details.signals, [signal("b", "2"), signal("a", "4")]);
        assert_eq!((details.take_signals("c", 1), details.take_signals("a", 9).len()), (vec![], 1));
    }

    #[test]
    fn the_number_of_signals_and_keys_is_limited() {
        let mut details = JobDetails::default();
        for number in 0..=KEPT_SIGNALS {
            details.remember(SignalKey { name: "a".into(), key: number.to_string().into() });
        }
        assert_eq!(details.signal_keys.len(), KEPT_SIGNALS);
        assert!(details.knows("a", "1") && !details.knows("a", "0") && !details.knows("b", "1"));
        let large = Json::string(&"x".repeat(SIGNAL_BYTES - 2));
        while details.has_room_for(&large) {
            details.signals.push(ReceivedSignal { data: Some(large.clone()), ..signal("a", "0") });
        }
        assert_eq!(details.signals.len(), KEPT_SIGNAL_BYTES / SIGNAL_BYTES);
        details.signals = vec![signal("a", "0"); KEPT_SIGNALS];
        assert!(!details.has_room_for(&Json::null()));
    }
}
