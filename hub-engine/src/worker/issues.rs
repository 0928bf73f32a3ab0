//! The issues of a worker: waiting for a slot, running, and recently finished.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use hub_core::IssueId;
use hub_transport::supervisor::DeliveryRef;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::wire::TaskMessage;

/// Maximum number of finished or stopped issues that are remembered, so that a redelivered one is not run again.
const MAXIMUM_REMEMBERED: usize = 16_384;

/// The current issues of a worker.
#[derive(Debug, Default)]
pub(super) struct Issues {
    waiting: VecDeque<Waiting>,
    /// Ordered, so that heartbeats name issues in a deterministic order.
    running: BTreeMap<IssueId, Running>,
    /// Number of running issues that have not ended.
    at_work: usize,
    /// Number of those that may still become long.
    short: usize,
    /// Issues in the order of their start, beginning with the first that may become long.
    started: VecDeque<(Instant, IssueId)>,
    done: Recent<IssueId>,
}

/// An issue that waits for a slot.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) task: TaskMessage,
    pub(super) delivery: DeliveryRef,
}

/// An issue that runs, or whose result is not confirmed yet.
#[derive(Debug)]
pub(super) struct Running {
    /// The delivery to acknowledge at its end. `None` under a lease.
    pub(super) delivery: Option<DeliveryRef>,
    pub(super) since: Instant,
    pub(super) stop: CancellationToken,
    /// Whether the report `started` was published for it.
    pub(super) announced: bool,
    /// Whether it has ended. Its result is being published, and its slot is free.
    pub(super) over: bool,
}

/// An issue to run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) task: TaskMessage,
    /// Cancelled if its result is no longer needed.
    pub(super) stop: CancellationToken,
}

/// What to do with a new delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The issue waits for a slot.
    Queued,
    /// The issue is known. The new delivery replaces this earlier one, which must be acknowledged.
    Adopted(DeliveryRef),
    /// The issue is under a lease, has a newer delivery, or is finished. The new delivery must be acknowledged.
    Settle,
}

impl Issues {
    /// Adds a delivery.
    pub(super) fn arrive(&mut self, task: TaskMessage, delivery: DeliveryRef) -> Arrival {
        let id = task.issue;
        if self.done.contains(&id) {
            return Arrival::Settle;
        }
        if let Some(running) = self.running.get_mut(&id) {
            return match &mut running.delivery {
                Some(held) => take_over(held, delivery),
                None => Arrival::Settle,
            };
        }
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.task.issue == id) {
            return take_over(&mut waiting.delivery, delivery);
        }
        self.waiting.push_back(Waiting { task, delivery });
        Arrival::Queued
    }

    /// Starts the next waiting issue.
    pub(super) fn start_next(&mut self, now: Instant) -> Option<Run> {
        let Waiting { task, delivery } = self.waiting.pop_front()?;
        let stop = CancellationToken::new();
        let stopper = stop.clone();
        let running = Running { delivery: Some(delivery), since: now, stop: stopper, announced: false, over: false };
        let id = task.issue;
        self.running.insert(id, running);
        self.started.push_back((now, id));
        self.at_work += 1;
        self.short += 1;
        Some(Run { task, stop })
    }

    /// The next waiting issue.
    pub(super) fn next(&self) -> Option<&TaskMessage> {
        self.waiting.front().map(|waiting| &waiting.task)
    }

    /// An issue has ended, and its result will be published. Returns its duration.
    pub(super) fn end(&mut self, id: IssueId, now: Instant) -> Option<Duration> {
        let running = self.running.get_mut(&id).filter(|running| !running.over)?;
        self.short -= usize::from(running.may_be_announced());
        running.over = true;
        let took = now - running.since;
        self.at_work -= 1;
        self.forget_started();
        Some(took)
    }

    /// Puts an issue that the runner did not start at the front of the waiting ones. Returns the issue if that is
    /// impossible, because it was stopped or announced as running.
    pub(super) fn put_back(&mut self, task: TaskMessage) -> Option<TaskMessage> {
        let id = task.issue;
        let running = self.running.get_mut(&id)?;
        if running.announced || running.stop.is_cancelled() {
            return Some(task);
        }
        let delivery = running.delivery.take()?;
        self.leave(id);
        self.waiting.push_front(Waiting { task, delivery });
        None
    }

    /// Removes and returns all waiting issues.
    pub(super) fn take_waiting(&mut self) -> Vec<Waiting> {
        self.waiting.drain(..).collect()
    }

    /// Stops an issue. Returns the delivery to acknowledge if it was waiting.
    pub(super) fn stop(&mut self, id: IssueId) -> Option<DeliveryRef> {
        if let Some(running) = self.running.get(&id) {
            running.stop.cancel();
            return None;
        }
        self.done.insert(id);
        let at = self.waiting.iter().position(|waiting| waiting.task.issue == id)?;
        self.waiting.remove(at).map(|waiting| waiting.delivery)
    }

    /// An issue is finished. Returns the delivery to acknowledge, unless it was under a lease.
    pub(super) fn finish(&mut self, id: IssueId) -> Option<DeliveryRef> {
        self.done.insert(id);
        self.leave(id)?.delivery
    }

    /// Removes a running issue.
    fn leave(&mut self, id: IssueId) -> Option<Running> {
        let running = self.running.remove(&id)?;
        self.at_work -= usize::from(!running.over);
        self.short -= usize::from(running.may_be_announced());
        self.forget_started();
        Some(running)
    }

    /// Removes the first issues in `started` that cannot become long any more.
    fn forget_started(&mut self) {
        let running = &self.running;
        let is_settled = |(since, id): &(Instant, IssueId)| {
            running.get(id).is_none_or(|running| running.since != *since || !running.may_be_announced())
        };
        while self.started.front().is_some_and(is_settled) {
            self.started.pop_front();
        }
    }

    /// Marks the issues that have run longer than `limit` as announced. Returns those that were not announced before,
    /// with their durations.
    pub(super) fn announce_long(&mut self, limit: Duration, now: Instant) -> Vec<(IssueId, Duration)> {
        let is_long = |running: &Running| running.may_be_announced() && now - running.since >= limit;
        let long = self.running.iter_mut().filter(|(_, running)| is_long(running));
        let long: Vec<(IssueId, Duration)> = long
            .map(|(id, running)| {
                running.announced = true;
                (*id, now - running.since)
            })
            .collect();
        self.short -= long.len();
        self.forget_started();
        long
    }

    /// These issues are under a lease now. Returns the deliveries to acknowledge.
    pub(super) fn lease(&mut self, ids: &[IssueId]) -> Vec<DeliveryRef> {
        ids.iter().filter_map(|id| self.running.get_mut(id)?.delivery.take()).collect()
    }

    /// When the next issue becomes long.
    pub(super) fn next_long(&self, limit: Duration) -> Option<Instant> {
        self.started.front().map(|(since, _)| *since + limit)
    }

    /// Whether all issues that occupy slots are long.
    pub(super) const fn all_long(&self) -> bool {
        self.short == 0
    }

    /// The issues under leases.
    pub(super) fn held(&self) -> impl Iterator<Item = IssueId> + '_ {
        self.running.iter().filter(|(_, running)| running.announced).map(|(id, _)| *id)
    }

    /// The issues with unacknowledged deliveries: waiting ones, running ones, and those whose report is not confirmed.
    pub(super) fn present(&self) -> impl Iterator<Item = IssueId> + '_ {
        let waiting = self.waiting.iter().map(|waiting| waiting.task.issue);
        waiting.chain(self.running.iter().filter(|(_, running)| !running.announced).map(|(id, _)| *id))
    }

    /// The running issues.
    pub(super) fn running(&self) -> impl Iterator<Item = (&IssueId, &Running)> {
        self.running.iter()
    }

    /// Number of running issues.
    pub(super) const fn running_count(&self) -> usize {
        self.at_work
    }

    /// Whether no issue runs and all results are confirmed.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Number of waiting issues.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }
}

impl Running {
    /// Whether it may become long.
    const fn may_be_announced(&self) -> bool {
        !self.announced && !self.over
    }
}

/// Keeps the newer of two deliveries of an issue. A delivery of a dead session may be read late, and must not replace
/// one of a live session.
const fn take_over(held: &mut DeliveryRef, delivery: DeliveryRef) -> Arrival {
    if delivery.epoch < held.epoch {
        return Arrival::Settle;
    }
    Arrival::Adopted(std::mem::replace(held, delivery))
}

/// A set that forgets its oldest members.
#[derive(Debug)]
struct Recent<T> {
    members: HashSet<T>,
    order: VecDeque<T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { members: HashSet::new(), order: VecDeque::new() }
    }
}

impl<T: Copy + Eq + Hash> Recent<T> {
    fn insert(&mut self, member: T) {
        if self.members.insert(member) {
            self.order.push_back(member);
        }
        while self.order.len() > MAXIMUM_REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.members.remove(&oldest);
            }
        }
    }

    fn contains(&self, member: &T) -> bool {
        self.members.contains(member)
    }
}

#[cfg(test)]
mod tests {
    use hub_core::{Issue, JobId, Json};
    use hub_transport::DeliveryTag;
    use hub_transport::supervisor::SubscriptionId;
    use uuid::Uuid;

    use super::*;

    fn delivery(tag: u64) -> DeliveryRef {
        delivery_of(2, tag)
    }

    fn delivery_of(epoch: u64, tag: u64) -> DeliveryRef {
        DeliveryRef { epoch, subscription: SubscriptionId(1), tag: DeliveryTag(tag) }
    }

    fn job() -> JobId {
        JobId::new(Uuid::from_u128(1 << 64))
    }

    fn issue(index: u32) -> IssueId {
        Issue { number: 1, incarnation: 1 }.of(job().task(index))
    }

    fn task() -> TaskMessage {
        TaskMessage {
            v: crate::wire::VERSION,
            attempt: 1,
            issue: issue(0),
            parent_id: job(),
            name: "t".into(),
            task_name: "t".into(),
            pool: "default".into(),
            args: Json::from_checked("[]"),
            kwargs: Json::from_checked("{}"),
        }
    }

    #[tokio::test]
    async fn the_oldest_issue_that_may_become_long_is_known() {
        let (mut issues, limit, begin) = (Issues::default(), Duration::from_secs(5), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let tasks: Vec<TaskMessage> = (0..4).map(|index| TaskMessage { issue: issue(index), ..task() }).collect();
        let ids: Vec<IssueId> = tasks.iter().map(|task| task.issue).collect();
        for (second, task) in (0..).zip(tasks) {
            issues.arrive(task, delivery(second + 1));
            issues.start_next(at(second)).unwrap();
        }
        assert_eq!((issues.next_long(limit), issues.all_long()), (Some(at(5)), false));
        issues.finish(ids[1]);
        assert_eq!(issues.next_long(limit), Some(at(5)));
        issues.end(ids[0], at(3));
        assert_eq!(issues.next_long(limit), Some(at(7)));
        assert_eq!(issues.announce_long(limit, at(7)), [(ids[2], limit)]);
        assert_eq!((issues.next_long(limit), issues.all_long()), (Some(at(8)), false));
        // Put back and started again: the first start does not count.
        assert!(issues.put_back(TaskMessage { issue: ids[3], ..task() }).is_none());
        assert_eq!((issues.next_long(limit), issues.all_long()), (None, true));
        issues.start_next(at(9)).unwrap();
        assert_eq!((issues.next_long(limit), issues.running_count()), (Some(at(14)), 2));
        for id in ids {
            issues.finish(id);
        }
        assert_eq!((issues.next_long(limit), issues.running_count(), issues.is_idle()), (None, 0, true));
    }

    #[tokio::test]
    async fn each_delivery_of_an_issue_is_acknowledged_once() {
        let mut issues = Issues::default();
        let id = task().issue;
        assert_eq!(issues.arrive(task(), delivery(1)), Arrival::Queued);
        assert_eq!(issues.arrive(task(), delivery(2)), Arrival::Adopted(delivery(1)));
        issues.start_next(Instant::now()).unwrap();
        assert_eq!(issues.arrive(task(), delivery(3)), Arrival::Adopted(delivery(2)));
        assert_eq!(issues.arrive(task(), delivery_of(1, 9)), Arrival::Settle);
        assert_eq!(issues.lease(&[id]), [delivery(3)]);
        assert_eq!(issues.arrive(task(), delivery(4)), Arrival::Settle);
        assert_eq!(issues.finish(id), None);
        assert_eq!(issues.arrive(task(), delivery(5)), Arrival::Settle);
    }
}
