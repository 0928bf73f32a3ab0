//! The known workers and their leases. A lease belongs to a worker, not to a task: one heartbeat renews it for all
//! issues that the worker holds, and each worker has one deadline.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::catalogue::Catalogue;
use super::timers::Timers;
use super::types::{WorkerId, WorkerReport};
use crate::job::{ModuleDefaults, Need};
use crate::{Issue, IssueId, Now, Steady, TaskId, Timestamp};

/// All workers whose leases have not expired.
#[derive(Debug)]
pub(super) struct Workers {
    lease: Duration,
    grace: Duration,
    /// Whether the link to the broker is up.
    link_up: bool,
    /// When the link last came up.
    link_up_since: Steady,
    /// All messages that workers sent up to this time have been read.
    heard_until: Steady,
    workers: BTreeMap<WorkerId, LiveWorker>,
    /// The deadlines of the leases.
    timers: Timers<Lease>,
    /// Approximate size of all reports in bytes.
    report_bytes: usize,
    catalogue: Catalogue,
}

#[derive(Debug)]
struct LiveWorker {
    /// The last report. `None` if no heartbeat has arrived or the worker has left.
    report: Option<WorkerReport>,
    /// When its last message arrived; in the future during the grace period.
    last_seen: Steady,
    /// The time of its last message by the wall clock, without the grace period.
    heard_at: Timestamp,
    left: bool,
    /// The issues under its lease.
    held: BTreeMap<TaskId, Issue>,
    /// The issues under its lease that its heartbeats do not name, and since when. Usually empty.
    missing: BTreeMap<TaskId, Steady>,
}

/// A deadline of a lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lease {
    /// The lease of a worker on all its issues.
    Worker(WorkerId),
    /// The lease of a worker on an issue that its heartbeats do not name.
    Issue(WorkerId, TaskId),
}

/// Whether a heartbeat was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was accepted.
    Taken,
    /// It was ignored, because its worker has left.
    Left,
    /// It was refused, because there are too many workers or their reports are too large.
    TooMany,
}

/// Maximum number of known workers. Workers choose their ids, so the memory for them must be bounded.
const MAXIMUM_WORKERS: usize = 10_000;
/// Approximate maximum size of all reports in bytes.
const MAXIMUM_REPORT_BYTES: usize = 256 * 1024 * 1024;

/// The expired leases of a worker.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) worker: WorkerId,
    /// Whether the worker died. Otherwise it left, or its heartbeats did not name the issue.
    pub(super) died: bool,
    pub(super) held: Vec<LostIssue>,
}

/// An issue whose lease has expired.
#[derive(Debug)]
pub(super) struct LostIssue {
    pub(super) issue: IssueId,
    /// Another live worker that runs the same issue, because the broker delivered it twice.
    pub(super) successor: Option<WorkerId>,
}

impl Workers {
    /// Creates the state without workers and without a link.
    pub(super) fn new(lease: Duration, grace: Duration) -> Self {
        Self {
            lease,
            grace,
            link_up: false,
            link_up_since: Steady::default(),
            heard_until: Steady::default(),
            workers: BTreeMap::new(),
            timers: Timers::default(),
            report_bytes: 0,
            catalogue: Catalogue::default(),
        }
    }

    /// The slots and modules of the live workers.
    pub(super) const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The live workers in the order of their ids, and the times of their last messages.
    pub(super) fn reports(&self) -> impl Iterator<Item = (&WorkerReport, Timestamp)> {
        self.workers.values().filter_map(|worker| Some((worker.report.as_ref()?, worker.heard_at)))
    }

    /// Whether a heartbeat of this worker has arrived.
    pub(super) fn is_known(&self, id: &str) -> bool {
        self.workers.get(id).is_some_and(|worker| worker.report.is_some())
    }

    /// What a worker has that tasks may need, including broken modules.
    pub(super) fn offers_of(&self, id: &str) -> impl Iterator<Item = Need> {
        let report = self.workers.get(id).and_then(|worker| worker.report.as_ref());
        report.into_iter().flat_map(WorkerReport::offers)
    }

    /// The defaults of a module on a worker. The outer `None`: the worker has not reported that it has the module.
    pub(super) fn defaults_of(&self, id: &str, module: &str) -> Option<Option<&Arc<ModuleDefaults>>> {
        let report = self.workers.get(id)?.report.as_ref()?;
        report.tasks.contains_key(module).then(|| report.defaults.get(module))
    }

    /// The number of issues under a lease.
    pub(super) fn leased(&self) -> usize {
        self.workers.values().map(|worker| worker.held.len()).sum()
    }

    /// Stores the report of a heartbeat. A heartbeat that arrives after its worker has left is ignored, because
    /// messages can overtake each other. A heartbeat beyond the limits is refused.
    pub(super) fn report(&mut self, report: WorkerReport, now: Now) -> Heard {
        if self.workers.len() >= MAXIMUM_WORKERS && !self.workers.contains_key(&report.id) {
            return Heard::TooMany;
        }
        let worker = heard(&mut self.workers, &mut self.timers, self.lease, &report.id, now);
        if worker.left {
            return Heard::Left;
        }
        let (before, after) = (worker.report.as_ref().map_or(0, report_bytes), report_bytes(&report));
        if self.report_bytes - before + after > MAXIMUM_REPORT_BYTES {
            return Heard::TooMany;
        }
        self.report_bytes = self.report_bytes - before + after;
        let named: HashSet<&IssueId> = report.held.iter().collect();
        for (task, issue) in &worker.held {
            let timer = || Lease::Issue(Arc::clone(&report.id), *task);
            if !named.contains(&issue.of(*task)) {
                let since = *worker.missing.entry(*task).or_insert(now.steady);
                self.timers.set(timer(), since.after(self.lease));
            } else if worker.missing.remove(task).is_some() {
                self.timers.stop(timer());
            }
        }
        let before = worker.report.take();
        if !before.as_ref().is_some_and(|before| has_same_capabilities(before, &report)) {
            if let Some(before) = &before {
                self.catalogue.remove(before);
            }
            self.catalogue.add(&report);
        }
        worker.report = Some(report);
        Heard::Taken
    }

    /// A worker leaves. Results of its issues may still arrive.
    pub(super) fn leave(&mut self, id: &str) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.left = true;
            if let Some(report) = worker.report.take() {
                self.report_bytes -= report_bytes(&report);
                self.catalogue.remove(&report);
            }
        }
    }

    /// Adds an issue to the lease of a worker.
    pub(super) fn hold(&mut self, id: &WorkerId, issue: IssueId, now: Now) {
        self.release(id, issue.task);
        let worker = heard(&mut self.workers, &mut self.timers, self.lease, id, now);
        worker.held.insert(issue.task, issue.issue());
    }

    /// Removes a task from the lease of a worker.
    pub(super) fn release(&mut self, id: &WorkerId, task: TaskId) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.held.remove(&task);
            if worker.missing.remove(&task).is_some() {
                self.timers.stop(Lease::Issue(Arc::clone(id), task));
            }
        }
    }

    /// The link to the broker has come up or gone down. While it is down, heartbeats cannot arrive and no lease
    /// expires. When it comes up, every worker has a full lease period and a grace period for its next heartbeat.
    pub(super) fn set_link(&mut self, up: bool, now: Steady) {
        if up && !self.link_up {
            self.link_up_since = now;
            for (id, worker) in &mut self.workers {
                worker.last_seen = now.after(self.grace);
                self.timers.set(Lease::Worker(Arc::clone(id)), worker.last_seen.after(self.lease));
                for task in std::mem::take(&mut worker.missing).into_keys() {
                    self.timers.stop(Lease::Issue(Arc::clone(id), task));
                }
            }
        }
        self.link_up = up;
    }

    /// When the link last came up.
    pub(super) const fn link_up_since(&self) -> Steady {
        self.link_up_since
    }

    /// Whether the link to the broker is up.
    pub(super) const fn is_link_up(&self) -> bool {
        self.link_up
    }

    /// The time up to which all messages of workers have been read.
    pub(super) const fn heard_until(&self) -> Steady {
        self.heard_until
    }

    /// When the next lease expires.
    pub(super) fn next_expiry(&self) -> Option<Steady> {
        self.timers.next_timeout().filter(|_| self.link_up)
    }

    /// All messages that workers sent up to `until` have been read. Removes the workers without a message for one lease
    /// period, and the issues that heartbeats have not named for one lease period.
    pub(super) fn expire(&mut self, until: Steady) -> Vec<Lost> {
        self.heard_until = self.heard_until.max(until);
        if !self.link_up {
            return Vec::new();
        }
        let due: BTreeSet<WorkerId> = self.timers.take_due(until).into_iter().map(Lease::into_worker).collect();
        let mut lost = Vec::new();
        for id in due {
            lost.extend(self.expire_worker(id, until));
        }
        self.find_successors(&mut lost);
        lost
    }

    /// The issues that a worker has lost by then.
    fn expire_worker(&mut self, id: WorkerId, until: Steady) -> Option<Lost> {
        let (lease, worker) = (self.lease, self.workers.get_mut(&id)?);
        let silent = worker.last_seen.after(lease) <= until;
        let is_due = |task: &TaskId| worker.missing.get(task).is_some_and(|since| since.after(lease) <= until);
        let due = worker.held.iter().filter(|(task, _)| silent || is_due(task));
        let held: Vec<LostIssue> =
            due.map(|(task, issue)| LostIssue { issue: issue.of(*task), successor: None }).collect();
        let died = silent && !worker.left;
        held.iter().for_each(|lost| self.release(&id, lost.issue.task));
        if silent && let Some(report) = self.workers.remove(&id).and_then(|worker| worker.report) {
            self.report_bytes -= report_bytes(&report);
            self.catalogue.remove(&report);
        }
        (silent || !held.is_empty()).then_some(Lost { worker: id, died, held })
    }

    fn find_successors(&self, lost: &mut [Lost]) {
        if lost.iter().all(|lost| lost.held.is_empty()) {
            return;
        }
        let running: HashMap<&IssueId, &WorkerId> =
            self.reports().flat_map(|(report, _)| report.held.iter().map(move |issue| (issue, &report.id))).collect();
        for lost in lost {
            for LostIssue { issue, successor: inherits } in &mut lost.held {
                let successor = running.get(issue).copied();
                *inherits = successor.filter(|successor| **successor != lost.worker).cloned();
            }
        }
    }
}

impl Lease {
    fn into_worker(self) -> WorkerId {
        match self {
            Self::Worker(id) | Self::Issue(id, _) => id,
        }
    }
}

/// The entry of a worker whose message has just arrived. Renews its lease.
fn heard<'a>(
    workers: &'a mut BTreeMap<WorkerId, LiveWorker>,
    timers: &mut Timers<Lease>,
    lease: Duration,
    id: &WorkerId,
    now: Now,
) -> &'a mut LiveWorker {
    let worker = workers.entry(Arc::clone(id)).or_insert_with(|| LiveWorker {
        report: None,
        last_seen: now.steady,
        heard_at: now.wall,
        left: false,
        held: BTreeMap::new(),
        missing: BTreeMap::new(),
    });
    worker.last_seen = worker.last_seen.max(now.steady);
    worker.heard_at = now.wall;
    timers.set(Lease::Worker(Arc::clone(id)), worker.last_seen.after(lease));
    worker
}

/// The approximate size of a report in bytes.
fn report_bytes(report: &WorkerReport) -> usize {
    const ENTRY: usize = 64;
    let pools = report.pools.iter().map(|name| name.len() + ENTRY);
    let tasks =
        report.tasks.iter().map(|(name, signature)| name.len() + signature.as_ref().map_or(0, |s| s.len()) + ENTRY);
    let broken = report.broken.iter().map(|(name, why)| name.len() + why.len() + ENTRY);
    let issues = (report.held.len() + report.present.len()) * ENTRY;
    let contents = report.contents.keys().map(|name| name.len() + size_of::<crate::digest::Digest>() + ENTRY);
    let defaults = report.defaults.iter().map(|(name, defaults)| name.len() + defaults.text().get().len() + ENTRY);
    let shortage = report.shortage.as_ref().map_or(0, |what| what.len());
    ENTRY + shortage + issues + pools.chain(tasks).chain(broken).chain(contents).chain(defaults).sum::<usize>()
}

fn has_same_capabilities(before: &WorkerReport, after: &WorkerReport) -> bool {
    before.slots == after.slots
        && before.pools == after.pools
        && before.tasks.keys().eq(after.tasks.keys())
        && before.broken.keys().eq(after.broken.keys())
        && before.contents == after.contents
        && before.defaults == after.defaults
        && before.allow == after.allow
}
