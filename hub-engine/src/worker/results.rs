//! Gathers results into messages: under load one message for many, when idle one for each at once.

use hub_core::{IssueId, Timestamp};

use crate::bundle::Bounds;
use crate::runner::{Outcome, TaskReport};
use crate::wire::{ResultStatus, TaskEnded};

/// A message has so many results at most.
const MOST: usize = 128;
/// What a result takes beside what the task returned, raised and printed.
const FRAME: usize = 256;

/// When an issue ran, by this machine's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) started_at: Timestamp,
    pub(super) ended_at: Timestamp,
}

/// What is to be told of an issue that is over.
#[derive(Debug)]
pub(super) enum Told {
    /// This.
    Result(TaskEnded),
    /// That this worker cannot run it.
    UnknownModule,
    /// That this worker cannot run it now, since the machine is short of this.
    Shortage(String),
    /// Nothing: whoever had it stopped knows.
    Nothing,
}

/// Results that are not on their way yet.
///
/// Those of all slots go together, since one partition holds them all: see [`crate::wire::Names::result_key`].
#[derive(Debug)]
pub(super) struct Results {
    ended: Vec<TaskEnded>,
    bounds: Bounds,
}

impl Told {
    /// What there is to tell of what a runner reports.
    pub(super) fn of(issue: IssueId, report: TaskReport, span: Span) -> Self {
        let (status, data, msg, error) = match report.outcome {
            Outcome::Success { data } => (ResultStatus::Success, Some(data), None, None),
            Outcome::Launched { data } => (ResultStatus::Running, Some(data), None, None),
            Outcome::Failed { msg, error } => (ResultStatus::Failed, None, Some(msg.into()), Some(error)),
            Outcome::Unknown => return Self::UnknownModule,
            Outcome::Shortage { what } => return Self::Shortage(what),
            Outcome::Cancelled | Outcome::NotBegun => return Self::Nothing,
        };
        let Span { started_at, ended_at } = span;
        let log = report.log.map(Into::into);
        let IssueId { task: id, number: issue, incarnation } = issue;
        Self::Result(TaskEnded { id, issue, incarnation, status, data, msg, error, log, started_at, ended_at })
    }
}

impl Results {
    /// `max_message_bytes`: what the broker takes at most, where that is known.
    pub(super) fn new(max_message_bytes: Option<usize>) -> Self {
        Self { ended: Vec::new(), bounds: Bounds::new(MOST, max_message_bytes) }
    }

    /// Adds one.
    pub(super) fn push(&mut self, ended: TaskEnded) {
        self.ended.push(ended);
    }

    /// Takes all, message by message.
    pub(super) fn take(&mut self) -> Vec<Vec<TaskEnded>> {
        self.bounds.divide(std::mem::take(&mut self.ended), size)
    }
}

/// About how many bytes it takes in a message.
fn size(ended: &TaskEnded) -> usize {
    let texts =
        [ended.msg.as_deref(), ended.log.as_deref(), ended.error.as_ref().and_then(|error| error.traceback.as_deref())];
    FRAME
        + ended.data.as_ref().map_or(0, |data| data.get().len())
        + texts.into_iter().flatten().map(str::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use hub_core::{Issue, JobId, Json};
    use uuid::Uuid;

    use super::*;

    fn ended(task: u32, data: String) -> TaskEnded {
        let issue = Issue { number: 1, incarnation: 1 }.of(JobId::new(Uuid::from_u128(1 << 64)).task(task));
        let at = Timestamp::from_millis(0);
        let report = TaskReport::silent(Outcome::Success { data: Json::from_checked(data) });
        match Told::of(issue, report, Span { started_at: at, ended_at: at }) {
            Told::Result(ended) => ended,
            told => panic!("{told:?} of a success"),
        }
    }

    #[test]
    fn what_a_task_returned_counts_for_the_size_of_a_message() {
        let mut results = Results::new(Some(2 * FRAME + 100));
        results.push(ended(0, "1".to_owned()));
        results.push(ended(1, format!("{:?}", "x".repeat(100))));
        (2..4).for_each(|task| results.push(ended(task, "1".to_owned())));
        let ids: Vec<Vec<_>> =
            results.take().into_iter().map(|message| message.into_iter().map(|ended| ended.id).collect()).collect();
        let id = |task| ended(task, "0".to_owned()).id;
        assert_eq!(ids, [vec![id(0)], vec![id(1)], vec![id(2), id(3)]]);
        assert!(results.take().is_empty());
    }
}
