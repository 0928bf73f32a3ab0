//! The worker's book of the issues it has: waiting for a slot, running, and lately done with.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use hub_core::IssueId;
use hub_transport::supervisor::DeliveryRef;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::wire::TaskMessage;

/// How many finished or stopped issues are remembered, so that a second delivery of one is not run again.
const REMEMBERED: usize = 16_384;

/// What the worker has at present.
#[derive(Debug, Default)]
pub(super) struct Issues {
    waiting: VecDeque<Waiting>,
    /// In an order of its own, so that the same issues are always named in the same order.
    running: BTreeMap<IssueId, Running>,
    /// How many of them are not over.
    at_work: usize,
    /// How many of those may still turn out to be long ones.
    short: usize,
    /// Issues in the order in which they were started, from the first that may turn out to be a long one.
    started: VecDeque<(Instant, IssueId)>,
    done: Recent<IssueId>,
}

/// An issue that waits for a slot.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) task: TaskMessage,
    pub(super) delivery: DeliveryRef,
}

/// An issue that runs, or whose result is on its way.
#[derive(Debug)]
pub(super) struct Running {
    /// What to acknowledge at its end. `None` once a lease holds it.
    pub(super) delivery: Option<DeliveryRef>,
    pub(super) since: Instant,
    pub(super) stop: CancellationToken,
    /// Whether `started` has been published for it.
    pub(super) announced: bool,
    /// It has ended; its result is on its way, and it takes no slot any more.
    pub(super) over: bool,
}

/// An issue that is to be run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) task: TaskMessage,
    /// Cancelled where nobody wants its result any more.
    pub(super) stop: CancellationToken,
}

/// What to do with a delivery that has just come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It waits for a slot now.
    Queued,
    /// It is here already; the new delivery stands for it from now on, and this earlier one does not: acknowledge it.
    Adopted(DeliveryRef),
    /// It is here already under a lease or a newer delivery, or is done with: acknowledge this delivery.
    Settle,
}

impl Issues {
    /// Takes in a delivery.
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

    /// The next issue that waits for a slot, which runs from now on.
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

    /// The next issue that waits for a slot.
    pub(super) fn next(&self) -> Option<&TaskMessage> {
        self.waiting.front().map(|waiting| &waiting.task)
    }

    /// An issue has ended, and its result is on its way. Returns how long that took.
    pub(super) fn end(&mut self, id: IssueId, now: Instant) -> Option<Duration> {
        let running = self.running.get_mut(&id).filter(|running| !running.over)?;
        self.short -= usize::from(running.may_be_announced());
        running.over = true;
        let took = now - running.since;
        self.at_work -= 1;
        self.forget_started();
        Some(took)
    }

    /// An issue was started, but has not begun: it waits for a slot again, before all others. Returns it where that
    /// cannot be: it is not wanted any more, or the dispatcher was told that it runs.
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

    /// Takes out everything that waits for a slot.
    pub(super) fn take_waiting(&mut self) -> Vec<Waiting> {
        self.waiting.drain(..).collect()
    }

    /// Stops an issue. Returns the delivery to acknowledge where it had not begun.
    pub(super) fn stop(&mut self, id: IssueId) -> Option<DeliveryRef> {
        if let Some(running) = self.running.get(&id) {
            running.stop.cancel();
            return None;
        }
        self.done.insert(id);
        let at = self.waiting.iter().position(|waiting| waiting.task.issue == id)?;
        self.waiting.remove(at).map(|waiting| waiting.delivery)
    }

    /// An issue is done with. Returns the delivery to acknowledge, where a lease does not hold it.
    pub(super) fn finish(&mut self, id: IssueId) -> Option<DeliveryRef> {
        self.done.insert(id);
        self.leave(id)?.delivery
    }

    /// An issue does not run any more.
    fn leave(&mut self, id: IssueId) -> Option<Running> {
        let running = self.running.remove(&id)?;
        self.at_work -= usize::from(!running.over);
        self.short -= usize::from(running.may_be_announced());
        self.forget_started();
        Some(running)
    }

    /// Forgets those of the first started that cannot turn out to be long ones any more.
    fn forget_started(&mut self) {
        let running = &self.running;
        let is_settled = |(since, id): &(Instant, IssueId)| {
            running.get(id).is_none_or(|running| running.since != *since || !running.may_be_announced())
        };
        while self.started.front().is_some_and(is_settled) {
            self.started.pop_front();
        }
    }

    /// Issues that have run longer than `limit` and were not announced as started, with how long they have run; they count as
    /// announced now.
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

    /// From now on a lease holds these. Returns the deliveries to acknowledge.
    pub(super) fn lease(&mut self, ids: &[IssueId]) -> Vec<DeliveryRef> {
        ids.iter().filter_map(|id| self.running.get_mut(id)?.delivery.take()).collect()
    }

    /// When the next issue becomes a long one.
    pub(super) fn next_long(&self, limit: Duration) -> Option<Instant> {
        self.started.front().map(|(since, _)| *since + limit)
    }

    /// Whether every issue that takes a slot is a long one.
    pub(super) const fn all_long(&self) -> bool {
        self.short == 0
    }

    /// What leases hold.
    pub(super) fn held(&self) -> impl Iterator<Item = IssueId> + '_ {
        self.running.iter().filter(|(_, running)| running.announced).map(|(id, _)| *id)
    }

    /// What deliveries hold: issues that wait for a slot or run, and those whose report is on its way.
    pub(super) fn present(&self) -> impl Iterator<Item = IssueId> + '_ {
        let waiting = self.waiting.iter().map(|waiting| waiting.task.issue);
        waiting.chain(self.running.iter().filter(|(_, running)| !running.announced).map(|(id, _)| *id))
    }

    /// Every running issue.
    pub(super) fn running(&self) -> impl Iterator<Item = (&IssueId, &Running)> {
        self.running.iter()
    }

    /// How many run.
    pub(super) const fn running_count(&self) -> usize {
        self.at_work
    }

    /// Whether nothing runs and every result has arrived.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// How many wait for a slot.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }
}

impl Running {
    /// Whether it may turn out to be a long one.
    const fn may_be_announced(&self) -> bool {
        !self.announced && !self.over
    }
}

/// Has the newer of two deliveries of an issue stand for it. One that a dead session left behind may be read late:
/// it must not take the place of a living one.
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
        while self.order.len() > REMEMBERED {
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
    async fn the_oldest_that_may_turn_out_long_is_known_whatever_ends_first() {
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
