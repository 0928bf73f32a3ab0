//! The state of a job as far as it was seen: it says what has changed since, and counts.

use std::collections::BTreeSet;
use std::time::Duration;

use hub_core::state::JobSummary;
use hub_core::{JobStatus, TaskStatus, Timestamp};

use super::changes::{Change, Kind, between};
use super::rate::{Progress, Rate};
use super::seen::TaskSeen;

/// Maximum part of the remaining tasks that may wait for their next attempts, one in this number, for an estimate.
const RETRIES_OF_REST: u64 = 10;

/// A job.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) status: JobStatus,
    pub(super) submitted_at: Timestamp,
    tasks: Vec<TaskSeen>,
    /// Number of failed items of each task when that was last shown.
    shown_failures: Vec<u32>,
    /// The names of the tasks with `for_each`. `None` if they are not known.
    with_items: Option<BTreeSet<String>>,
    /// Whether all tasks were seen at least once.
    is_complete: bool,
    rate: Rate,
}

/// Numbers of tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) total: usize,
    pub(super) ended: usize,
    pub(super) succeeded: usize,
    pub(super) failed: usize,
    pub(super) running: usize,
    pub(super) held: usize,
    /// Waiting for their next attempts.
    pub(super) retrying: usize,
    /// Waiting for something from outside.
    pub(super) waiting_for_outside: usize,
}

impl Model {
    pub(super) fn new(summary: &JobSummary, with_items: Option<Vec<String>>) -> Self {
        Self {
            name: summary.name.to_string(),
            status: summary.status,
            submitted_at: summary.submitted_at,
            tasks: Vec::new(),
            shown_failures: Vec::new(),
            with_items: with_items.map(|names| names.into_iter().collect()),
            is_complete: false,
            rate: Rate::default(),
        }
    }

    pub(super) fn tasks(&self) -> &[TaskSeen] {
        &self.tasks
    }

    /// The next tasks to ask for, from `from` on: their first position and their number. Ended tasks never change.
    pub(super) fn next_open(&self, from: usize, page: usize) -> Option<(usize, usize)> {
        let is_open = |task: &TaskSeen| !task.has_ended();
        let first = self.tasks.iter().skip(from).position(is_open).map(|at| from + at);
        if !self.is_complete {
            return Some((first.unwrap_or_else(|| self.tasks.len().max(from)), page));
        }
        let last = self.tasks.iter().rposition(is_open)?;
        first.map(|first| (first, (last + 1 - first).min(page)))
    }

    /// Notes that no task follows those that were seen.
    pub(super) const fn complete(&mut self) {
        self.is_complete = true;
    }

    /// Takes tasks that were seen, and returns what has changed. Tasks that are seen for the first time begin as pending ones.
    pub(super) fn see(&mut self, from: usize, seen: Vec<TaskSeen>) -> Vec<Change> {
        let mut changes = Vec::new();
        for (position, new) in (from..).zip(seen) {
            if position >= self.tasks.len() {
                self.tasks.resize_with(position + 1, TaskSeen::default);
                self.shown_failures.resize(position + 1, 0);
            }
            for kind in between(&self.tasks[position], &new) {
                if kind == Kind::ItemsFailed {
                    // Further failures are shown when their number has doubled.
                    let failed = new.items.map_or(0, |items| items.failed);
                    if failed < self.shown_failures[position].saturating_mul(2) {
                        continue;
                    }
                    self.shown_failures[position] = failed;
                }
                changes.push(Change { position, kind });
            }
            self.tasks[position] = new;
        }
        changes
    }

    /// Notes the progress at this time since the begin of the watch.
    pub(super) fn note(&mut self, now: Duration) {
        let progress = self.progress();
        self.rate.note(now, progress);
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts { total: self.tasks.len(), ..Counts::default() };
        for task in &self.tasks {
            counts.ended += usize::from(task.has_ended());
            counts.succeeded += usize::from(task.known_status() == Some(TaskStatus::Success));
            counts.failed += usize::from(task.known_status() == Some(TaskStatus::Failed));
            counts.held += usize::from(task.is_held());
            counts.retrying += usize::from(task.waits_for_attempt());
            let waits = task.waits_for_outside();
            counts.waiting_for_outside += usize::from(waits);
            counts.running += usize::from(task.runs() && !waits);
        }
        counts
    }

    /// Number of items of all tasks, and of those that have ended.
    pub(super) fn items(&self) -> Progress {
        self.tasks.iter().filter_map(|task| task.items).fold(Progress { ended: 0, total: 0 }, |sum, items| Progress {
            ended: sum.ended + u64::from(items.ended()),
            total: sum.total + u64::from(items.total),
        })
    }

    /// Number of tasks and items that end in a second.
    pub(super) fn per_second(&self) -> Option<f64> {
        self.rate.per_second()
    }

    /// The estimated time until all tasks have ended. `None` without a sound basis: see [`Rate::rest`]. There is none either while
    /// the job does not run, while something waits for people or for other programs, and while the number of items is not known.
    pub(super) fn rest(&self, now: Duration) -> Option<Duration> {
        let names = self.with_items.as_ref()?;
        let (counts, progress) = (self.counts(), self.progress());
        let waits = counts.held + counts.waiting_for_outside > 0
            || counts.retrying as u64 * RETRIES_OF_REST > progress.total.saturating_sub(progress.ended)
            || self.tasks.iter().any(|task| task.delayed_until.is_some() && !task.has_ended());
        let is_open = |task: &TaskSeen| !task.has_ended() && task.items.is_none() && names.contains(&task.name);
        if self.status != JobStatus::Running || !self.is_complete || waits || self.tasks.iter().any(is_open) {
            return None;
        }
        self.rate.rest(now)
    }

    /// What the rate counts: items, and tasks without items that are no handlers.
    fn progress(&self) -> Progress {
        let is_counted = |task: &&TaskSeen| task.handler.is_none() && task.items.is_none();
        let mut sum = self.items();
        for task in self.tasks.iter().filter(is_counted) {
            sum.total += 1;
            sum.ended += u64::from(task.has_ended());
        }
        sum
    }
}
