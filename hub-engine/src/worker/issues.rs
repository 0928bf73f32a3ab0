//! The issues of a worker: waiting for a slot, running, and recently finished.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hub_core::job::{ModuleDefaults, Timeouts};
use hub_core::{IdMap, IssueId};
use hub_transport::supervisor::DeliveryRef;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::recent::Recent;
use super::waiting::{Waiting, WaitingIssues};
use crate::runner::{Catalogue, RunControl};
use crate::wire::{Progress, ReturnReason, TaskEnded, TaskMessage};

/// Maximum size of the progress in a heartbeat, in bytes. Further values are in the next one.
const MAXIMUM_PROGRESS_BYTES: usize = 1024 * 1024;

/// The current issues of a worker.
#[derive(Debug, Default)]
pub(super) struct Issues {
    waiting: WaitingIssues,
    running: IdMap<IssueId, Running>,
    /// Number of running issues that have not ended.
    at_work: usize,
    /// Number of those that may still become long.
    short: usize,
    /// Issues in the order of their start, beginning with the first that may become long.
    started: VecDeque<(Instant, IssueId)>,
    done: Recent<IssueId>,
    /// Issues that were stopped before they began, or before they arrived.
    withdrawn: Recent<IssueId>,
    /// Notified when an issue has another progress.
    progressed: Arc<Notify>,
}

/// An issue that runs, or whose result is not confirmed yet.
#[derive(Debug)]
pub(super) struct Running {
    /// The delivery to acknowledge at its end. `None` under a lease.
    pub(super) delivery: Option<DeliveryRef>,
    pub(super) since: Instant,
    pub(super) control: RunControl,
    /// Its module, if the dispatcher awaits the defaults of this.
    awaited: Option<AwaitedDefaults>,
    /// Whether the report `started` was published for it.
    announced: bool,
    /// Whether it has ended. Its result is being published, and its slot is free.
    over: bool,
}

/// The defaults of a module that the result has to name.
#[derive(Debug)]
struct AwaitedDefaults {
    module: Arc<str>,
    /// As they were when the issue began. `None`: the module was not known to work.
    known: Option<Arc<ModuleDefaults>>,
}

/// An issue to run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) task: Box<TaskMessage>,
    pub(super) control: RunControl,
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
    /// The issue was stopped before. It must be returned.
    Stopped,
}

impl Issues {
    /// Adds a delivery.
    pub(super) fn arrive(&mut self, task: Box<TaskMessage>, delivery: DeliveryRef) -> Arrival {
        let id = task.issue;
        if self.done.contains(&id) {
            return Arrival::Settle;
        }
        if self.withdrawn.contains(&id) {
            return Arrival::Stopped;
        }
        if let Some(running) = self.running.get_mut(&id) {
            return match &mut running.delivery {
                Some(held) => take_over(held, delivery),
                None => Arrival::Settle,
            };
        }
        if let Some(held) = self.waiting.delivery_mut(id) {
            return take_over(held, delivery);
        }
        self.waiting.push_back(Waiting { task, delivery });
        Arrival::Queued
    }

    /// Starts the next waiting issue. Where the dispatcher did not know the module yet, the limits that the module sets apply.
    pub(super) fn start_next(&mut self, catalogue: &Catalogue, now: Instant) -> Option<Run> {
        let Waiting { task, delivery } = self.waiting.pop()?;
        let awaited = task.awaits_defaults.then(|| {
            let module = Arc::clone(&task.task_name);
            AwaitedDefaults { known: catalogue.defaults(&module), module }
        });
        let of_module = || awaited.as_ref()?.known.as_ref()?.timeouts().map(Timeouts::of_attempt);
        let control = RunControl::new(task.timeout.map(Into::into).or_else(of_module), Arc::clone(&self.progressed));
        let (id, delivery, run) = (task.issue, Some(delivery), control.clone());
        let running = Running { delivery, since: now, control, awaited, announced: false, over: false };
        self.running.insert(id, running);
        self.started.push_back((now, id));
        self.at_work += 1;
        self.short += 1;
        Some(Run { task, control: run })
    }

    /// The next waiting issue.
    pub(super) fn next(&self) -> Option<&TaskMessage> {
        self.waiting.next()
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

    /// Puts an issue that the runner did not start at the front of the waiting ones. If that is impossible, because the
    /// issue was stopped or announced as running, it must be returned for this reason.
    pub(super) fn put_back(&mut self, task: Box<TaskMessage>) -> Option<ReturnReason> {
        let id = task.issue;
        let running = self.running.get_mut(&id)?;
        if running.control.is_stopped() {
            return Some(ReturnReason::Stopped);
        }
        if running.announced {
            return Some(ReturnReason::Busy);
        }
        let delivery = running.delivery.take()?;
        self.leave(id);
        self.waiting.push_front(Waiting { task, delivery });
        None
    }

    /// Removes and returns all waiting issues.
    pub(super) fn take_waiting(&mut self) -> Vec<Waiting> {
        self.waiting.take_all()
    }

    /// Stops an issue, whose processes have `grace` to end. Returns it if it was waiting: then it must be returned.
    pub(super) fn stop(&mut self, id: IssueId, grace: Option<Duration>) -> Option<Waiting> {
        if let Some(running) = self.running.get(&id) {
            running.control.stop(grace);
            return None;
        }
        self.withdrawn.insert(id);
        self.waiting.remove(id)
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
        let mut long: Vec<(IssueId, Duration)> = long
            .map(|(id, running)| {
                running.announced = true;
                (*id, now - running.since)
            })
            .collect();
        long.sort_unstable();
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
        self.sorted(|running| running.announced).into_iter().map(|(id, _)| *id)
    }

    /// The issues with unacknowledged deliveries: waiting ones, running ones, and those whose report is not confirmed.
    pub(super) fn present(&self) -> impl Iterator<Item = IssueId> + '_ {
        self.waiting.ids().chain(self.sorted(|running| !running.announced).into_iter().map(|(id, _)| *id))
    }

    /// The progress of running issues for a heartbeat, beginning with what has changed since the last one. With
    /// `only_new`, the rest is left out.
    pub(super) fn take_progress(&self, only_new: bool) -> Vec<Progress> {
        let running = self.running().into_iter();
        let (new, known): (Vec<_>, Vec<_>) = running.partition(|(_, running)| running.control.has_new_progress());
        let mut left = MAXIMUM_PROGRESS_BYTES;
        let mut taken = Vec::new();
        for (id, running) in new.into_iter().chain(known.into_iter().filter(|_| !only_new)) {
            let Some(value) = running.control.progress() else { continue };
            let Some(rest) = left.checked_sub(value.get().len()) else { break };
            left = rest;
            running.control.take_new_progress();
            taken.push(Progress::new(*id, value));
        }
        taken
    }

    /// The report of an issue that has ended, with its newest progress, and with the defaults of its module if the dispatcher
    /// awaits them and the module works.
    pub(super) fn complete(&self, id: IssueId, ended: TaskEnded, catalogue: &Catalogue) -> TaskEnded {
        let Some(running) = self.running.get(&id) else { return ended };
        let of = |awaited: &AwaitedDefaults| awaited.known.clone().or_else(|| catalogue.defaults(&awaited.module));
        ended.with_progress(running.control.progress()).with_defaults(running.awaited.as_ref().and_then(of))
    }

    /// Notified when an issue has another progress.
    pub(super) fn progressed(&self) -> Arc<Notify> {
        Arc::clone(&self.progressed)
    }

    /// The running issues that have not ended.
    pub(super) fn running(&self) -> Vec<(&IssueId, &Running)> {
        self.sorted(|running| !running.over)
    }

    /// Some of the running issues, sorted, so that heartbeats name them in a deterministic order.
    fn sorted(&self, counts: impl Fn(&Running) -> bool) -> Vec<(&IssueId, &Running)> {
        let mut running: Vec<_> = self.running.iter().filter(|(_, running)| counts(running)).collect();
        running.sort_unstable_by_key(|(id, _)| **id);
        running
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

#[cfg(test)]
mod tests {
    use hub_core::state::ErrorKind;
    use hub_core::{Issue, JobId, Json, Timestamp};
    use hub_transport::DeliveryTag;
    use hub_transport::supervisor::SubscriptionId;
    use uuid::Uuid;

    use super::*;
    use crate::runner::{Language, Outcome, TaskInfo};
    use crate::wire::Span;

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

    fn none() -> Catalogue {
        Catalogue::default()
    }

    fn task() -> TaskMessage {
        TaskMessage {
            v: crate::wire::VERSION,
            attempt: 1,
            timeout: None,
            last_progress: None,
            issue: issue(0),
            parent_id: job(),
            name: "t".into(),
            task_name: "t".into(),
            pool: "default".into(),
            args: Json::from_checked("[]"),
            kwargs: Json::from_checked("{}"),
            run: None,
            secrets: None,
            wants_content: false,
            awaits_defaults: false,
        }
    }

    #[tokio::test]
    async fn the_oldest_issue_that_may_become_long_is_known() {
        let (mut issues, limit, begin) = (Issues::default(), Duration::from_secs(5), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let tasks: Vec<TaskMessage> = (0..4).map(|index| TaskMessage { issue: issue(index), ..task() }).collect();
        let ids: Vec<IssueId> = tasks.iter().map(|task| task.issue).collect();
        for (second, task) in (0..).zip(tasks) {
            issues.arrive(task.into(), delivery(second + 1));
            issues.start_next(&none(), at(second)).unwrap();
        }
        assert_eq!((issues.next_long(limit), issues.all_long()), (Some(at(5)), false));
        issues.finish(ids[1]);
        assert_eq!(issues.next_long(limit), Some(at(5)));
        issues.end(ids[0], at(3));
        assert_eq!(issues.next_long(limit), Some(at(7)));
        assert_eq!(issues.announce_long(limit, at(7)), [(ids[2], limit)]);
        assert_eq!((issues.next_long(limit), issues.all_long()), (Some(at(8)), false));
        // Put back and started again: the first start does not count.
        assert!(issues.put_back(TaskMessage { issue: ids[3], ..task() }.into()).is_none());
        assert_eq!((issues.next_long(limit), issues.all_long()), (None, true));
        issues.start_next(&none(), at(9)).unwrap();
        assert_eq!((issues.next_long(limit), issues.running_count()), (Some(at(14)), 2));
        for id in ids {
            issues.finish(id);
        }
        assert_eq!((issues.next_long(limit), issues.running_count(), issues.is_idle()), (None, 0, true));
    }

    #[tokio::test]
    async fn a_result_names_what_the_module_set_when_the_issue_began() {
        let set = |text: &'static str| {
            let defaults = ModuleDefaults::read(Json::from_checked(text)).unwrap();
            let info = TaskInfo { defaults: Some(defaults.into()), ..TaskInfo::plain(Language::Python) };
            Catalogue { tasks: [("t".to_owned(), info)].into(), ..none() }
        };
        let span = Span { started_at: Timestamp::from_millis(0), ended_at: Timestamp::from_millis(0) };
        for (begin, end, named) in [
            (set(r#"{"retry": 5}"#), set("{}"), Some(r#"{"retry": 5}"#)),
            (none(), set("{}"), Some("{}")),
            // The module cannot be loaded.
            (none(), none(), None),
        ] {
            let mut issues = Issues::default();
            issues.arrive(TaskMessage { awaits_defaults: true, ..task() }.into(), delivery(1));
            issues.start_next(&begin, Instant::now()).unwrap();
            let ended = TaskEnded::new(issue(0), Outcome::failed(ErrorKind::TaskFailed, "no"), None, span);
            let ended = issues.complete(issue(0), ended, &end);
            assert_eq!(ended.defaults.as_ref().map(|defaults| defaults.text().get()), named);
        }
    }

    #[tokio::test]
    async fn each_delivery_of_an_issue_is_acknowledged_once() {
        let mut issues = Issues::default();
        let id = task().issue;
        assert_eq!(issues.arrive(task().into(), delivery(1)), Arrival::Queued);
        assert_eq!(issues.arrive(task().into(), delivery(2)), Arrival::Adopted(delivery(1)));
        issues.start_next(&none(), Instant::now()).unwrap();
        assert_eq!(issues.arrive(task().into(), delivery(3)), Arrival::Adopted(delivery(2)));
        assert_eq!(issues.arrive(task().into(), delivery_of(1, 9)), Arrival::Settle);
        assert_eq!(issues.lease(&[id]), [delivery(3)]);
        assert_eq!(issues.arrive(task().into(), delivery(4)), Arrival::Settle);
        assert_eq!(issues.finish(id), None);
        assert_eq!(issues.arrive(task().into(), delivery(5)), Arrival::Settle);
    }

    #[tokio::test]
    async fn an_issue_that_goes_back_may_arrive_again() {
        let mut issues = Issues::default();
        issues.arrive(task().into(), delivery(1));
        let run = issues.start_next(&none(), Instant::now()).unwrap();
        assert_eq!(issues.put_back(run.task), None);
        assert_eq!(issues.arrive(task().into(), delivery(2)), Arrival::Adopted(delivery(1)));
        let taken = issues.take_waiting();
        assert_eq!(taken.iter().map(|waiting| waiting.delivery).collect::<Vec<_>>(), [delivery(2)]);
        assert_eq!(issues.arrive(task().into(), delivery(3)), Arrival::Queued);
    }

    #[tokio::test]
    async fn issues_are_named_in_order() {
        let (mut issues, begin) = (Issues::default(), Instant::now());
        let start = |issues: &mut Issues, indices: [u32; 3]| {
            for index in indices {
                issues.arrive(TaskMessage { issue: issue(index), ..task() }.into(), delivery(1));
                issues.start_next(&none(), begin).unwrap();
            }
        };
        start(&mut issues, [5, 3, 4]);
        let limit = Duration::from_secs(5);
        let long = issues.announce_long(limit, begin + limit);
        start(&mut issues, [2, 0, 1]);
        assert_eq!(long, [3, 4, 5].map(|index| (issue(index), limit)));
        assert!(issues.held().eq([3, 4, 5].map(issue)) && issues.present().eq([0, 1, 2].map(issue)));
    }

    #[tokio::test]
    async fn an_issue_that_is_stopped_before_it_runs_is_returned_each_time() {
        let mut issues = Issues::default();
        let (id, other) = (issue(0), issue(1));
        issues.arrive(task().into(), delivery(1));
        assert_eq!(issues.stop(id, None).map(|waiting| waiting.delivery), Some(delivery(1)));
        assert!(issues.stop(other, None).is_none(), "it has not arrived");
        for id in [id, other] {
            assert_eq!(issues.arrive(TaskMessage { issue: id, ..task() }.into(), delivery(2)), Arrival::Stopped);
        }
        assert_eq!(issues.waiting_count(), 0);
        issues.arrive(TaskMessage { issue: issue(2), ..task() }.into(), delivery(3));
        let run = issues.start_next(&none(), Instant::now()).unwrap();
        assert!(issues.stop(issue(2), Some(Duration::ZERO)).is_none() && run.control.is_stopped());
        assert_eq!(issues.put_back(run.task), Some(ReturnReason::Stopped));
    }

    #[tokio::test]
    async fn new_progress_comes_first_and_all_of_it_in_the_end() {
        let mut issues = Issues::default();
        let runs: Vec<Run> = (0..300)
            .map(|index| {
                issues.arrive(TaskMessage { issue: issue(index), ..task() }.into(), delivery(u64::from(index)));
                issues.start_next(&none(), Instant::now()).unwrap()
            })
            .collect();
        let value = |text: &str| Json::string(&text.repeat(4000));
        runs.iter().for_each(|run| run.control.report_progress(value("a")).unwrap());
        let taken = |issues: &Issues, only_new| issues.take_progress(only_new).len();
        let most = MAXIMUM_PROGRESS_BYTES / 4002;
        assert_eq!([taken(&issues, true), taken(&issues, true), taken(&issues, true)], [most, 300 - most, 0]);
        runs[299].control.report_progress(value("b")).unwrap();
        let all = issues.take_progress(false);
        assert_eq!((all.len(), &all[0]), (most, &Progress::new(issue(299), value("b"))));
        issues.end(issue(0), Instant::now());
        runs[0].control.report_progress(value("c")).unwrap();
        assert_eq!(taken(&issues, true), 0, "its result has it");
    }
}
