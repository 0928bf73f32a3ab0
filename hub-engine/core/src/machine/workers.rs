//! Who works, and who holds which lease. Leases are of workers, not of tasks: one heartbeat renews all that
//! a worker holds, and there is one moment for each worker at which it is given up.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::catalogue::Catalogue;
use super::timers::Timers;
use super::types::{WorkerId, WorkerReport};
use crate::{Issue, IssueId, Now, Steady, TaskId, Timestamp};

/// Every worker that was heard of and has not been given up.
#[derive(Debug)]
pub(super) struct Workers {
    lease: Duration,
    grace: Duration,
    /// Whether workers can be heard at all.
    link_up: bool,
    /// When it came up last.
    link_up_since: Steady,
    /// What workers sent up to here has been read.
    heard_until: Steady,
    workers: BTreeMap<WorkerId, LiveWorker>,
    /// When their leases run out.
    timers: Timers<Lease>,
    /// About how many bytes their reports take.
    weight: usize,
    catalogue: Catalogue,
}

#[derive(Debug)]
struct LiveWorker {
    /// What it said of itself; `None` where only a report of started tasks was seen, or it has left.
    report: Option<WorkerReport>,
    /// When it was last heard of; in the future where it has a grace.
    last_seen: Steady,
    /// The same for people, without a grace.
    heard_at: Timestamp,
    left: bool,
    /// The issues that its lease holds.
    held: BTreeMap<TaskId, Issue>,
    /// Those of them that its heartbeats do not name, and since when. Hardly ever any.
    missing: BTreeMap<TaskId, Steady>,
}

/// A lease that runs out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lease {
    /// That of a worker, on all that it holds.
    Worker(WorkerId),
    /// That of a worker on an issue that its heartbeats do not name.
    Issue(WorkerId, TaskId),
}

/// Whether a heartbeat counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It counts.
    Taken,
    /// Its worker has left already.
    Left,
    /// More workers, or more of what they say of themselves, is known than there can be in good faith.
    TooMany,
}

/// Maximum number of workers that are known at a time: ids are chosen by workers, and must not fill the memory.
const MAXIMUM_WORKERS: usize = 10_000;
/// Maximum number of bytes that all reports take, by and large.
const MAXIMUM_WEIGHT: usize = 256 * 1024 * 1024;

/// Leases of a worker that have run out.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) worker: WorkerId,
    /// The worker died, rather than left or lost track of a task.
    pub(super) died: bool,
    pub(super) held: Vec<LostIssue>,
}

/// An issue whose lease has run out.
#[derive(Debug)]
pub(super) struct LostIssue {
    pub(super) issue: IssueId,
    /// A live worker that runs the same issue, since the broker delivered it twice.
    pub(super) heir: Option<WorkerId>,
}

impl Workers {
    /// No workers, and no link to hear of any.
    pub(super) fn new(lease: Duration, grace: Duration) -> Self {
        Self {
            lease,
            grace,
            link_up: false,
            link_up_since: Steady::default(),
            heard_until: Steady::default(),
            workers: BTreeMap::new(),
            timers: Timers::default(),
            weight: 0,
            catalogue: Catalogue::default(),
        }
    }

    /// What the live workers can do.
    pub(super) const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The live workers in the order of their ids, and when each was last heard of.
    pub(super) fn reports(&self) -> impl Iterator<Item = (&WorkerReport, Timestamp)> {
        self.workers.values().filter_map(|worker| Some((worker.report.as_ref()?, worker.heard_at)))
    }

    /// The modules that a worker has, broken ones included.
    pub(super) fn modules_of(&self, id: &str) -> impl Iterator<Item = &Arc<str>> {
        let report = self.workers.get(id).and_then(|worker| worker.report.as_ref());
        report.into_iter().flat_map(|report| report.tasks.keys().chain(report.broken.keys()))
    }

    /// How many leases there are.
    pub(super) fn leased(&self) -> usize {
        self.workers.values().map(|worker| worker.held.len()).sum()
    }

    /// Takes in what a worker says of itself; whether that counts. That of a worker that has left does not: what it
    /// sent before it left was only overtaken. Nor does that of one worker too many.
    pub(super) fn report(&mut self, report: WorkerReport, now: Now) -> Heard {
        if self.workers.len() >= MAXIMUM_WORKERS && !self.workers.contains_key(&report.id) {
            return Heard::TooMany;
        }
        let worker = heard(&mut self.workers, &mut self.timers, self.lease, &report.id, now);
        if worker.left {
            return Heard::Left;
        }
        let (before, after) = (worker.report.as_ref().map_or(0, weight), weight(&report));
        if self.weight - before + after > MAXIMUM_WEIGHT {
            return Heard::TooMany;
        }
        self.weight = self.weight - before + after;
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
        if !before.as_ref().is_some_and(|before| can_the_same(before, &report)) {
            if let Some(before) = &before {
                self.catalogue.remove(before);
            }
            self.catalogue.add(&report);
        }
        worker.report = Some(report);
        Heard::Taken
    }

    /// A worker says goodbye. What it holds may still have a result on its way.
    pub(super) fn leave(&mut self, id: &str) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.left = true;
            if let Some(report) = worker.report.take() {
                self.weight -= weight(&report);
                self.catalogue.remove(&report);
            }
        }
    }

    /// From now on a worker's lease holds this issue.
    pub(super) fn hold(&mut self, id: &WorkerId, issue: IssueId, now: Now) {
        self.release(id, issue.task);
        let worker = heard(&mut self.workers, &mut self.timers, self.lease, id, now);
        worker.held.insert(issue.task, issue.issue());
    }

    /// A worker's lease on this task ends.
    pub(super) fn release(&mut self, id: &WorkerId, task: TaskId) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.held.remove(&task);
            if worker.missing.remove(&task).is_some() {
                self.timers.stop(Lease::Issue(Arc::clone(id), task));
            }
        }
    }

    /// The broker is there or not. While it is not, no heartbeat can arrive and no lease expires; when it is
    /// back, every worker has a whole lease and a grace period for its next heartbeat.
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

    /// When the link came up last.
    pub(super) const fn link_up_since(&self) -> Steady {
        self.link_up_since
    }

    /// Whether workers can be heard at all.
    pub(super) const fn is_link_up(&self) -> bool {
        self.link_up
    }

    /// Up to when everything that workers sent has been read.
    pub(super) const fn heard_until(&self) -> Steady {
        self.heard_until
    }

    /// When the next lease runs out.
    pub(super) fn next_expiry(&self) -> Option<Steady> {
        self.timers.next_timeout().filter(|_| self.link_up)
    }

    /// Everything that workers sent up to `until` has been read: gives up workers that were not heard of for a lease by
    /// then, and issues that were not named for one.
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
        self.find_heirs(&mut lost);
        lost
    }

    /// What a worker has lost by then.
    fn expire_worker(&mut self, id: WorkerId, until: Steady) -> Option<Lost> {
        let (lease, worker) = (self.lease, self.workers.get_mut(&id)?);
        let silent = worker.last_seen.after(lease) <= until;
        let is_due = |task: &TaskId| worker.missing.get(task).is_some_and(|since| since.after(lease) <= until);
        let due = worker.held.iter().filter(|(task, _)| silent || is_due(task));
        let held: Vec<LostIssue> = due.map(|(task, issue)| LostIssue { issue: issue.of(*task), heir: None }).collect();
        let died = silent && !worker.left;
        held.iter().for_each(|lost| self.release(&id, lost.issue.task));
        if silent && let Some(report) = self.workers.remove(&id).and_then(|worker| worker.report) {
            self.weight -= weight(&report);
            self.catalogue.remove(&report);
        }
        (silent || !held.is_empty()).then_some(Lost { worker: id, died, held })
    }

    fn find_heirs(&self, lost: &mut [Lost]) {
        if lost.iter().all(|lost| lost.held.is_empty()) {
            return;
        }
        let running: HashMap<&IssueId, &WorkerId> =
            self.reports().flat_map(|(report, _)| report.held.iter().map(move |issue| (issue, &report.id))).collect();
        for lost in lost {
            for LostIssue { issue, heir: inherits } in &mut lost.held {
                let heir = running.get(issue).copied();
                *inherits = heir.filter(|heir| **heir != lost.worker).cloned();
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

/// The entry of a worker, which was heard of just now: its lease begins anew.
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

/// About how many bytes a report takes.
fn weight(report: &WorkerReport) -> usize {
    const ENTRY: usize = 64;
    let pools = report.pools.iter().map(|name| name.len() + ENTRY);
    let tasks =
        report.tasks.iter().map(|(name, signature)| name.len() + signature.as_ref().map_or(0, |s| s.len()) + ENTRY);
    let broken = report.broken.iter().map(|(name, why)| name.len() + why.len() + ENTRY);
    let issues = (report.held.len() + report.present.len()) * ENTRY;
    let shortage = report.shortage.as_ref().map_or(0, |what| what.len());
    ENTRY + shortage + issues + pools.chain(tasks).chain(broken).sum::<usize>()
}

fn can_the_same(before: &WorkerReport, after: &WorkerReport) -> bool {
    before.slots == after.slots
        && before.pools == after.pools
        && before.tasks.keys().eq(after.tasks.keys())
        && before.broken.keys().eq(after.broken.keys())
}
