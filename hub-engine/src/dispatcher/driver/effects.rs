//! What a turn has caused, on its way: commits, publishes, answers, acknowledgements.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hub_core::IssueId;
use hub_core::action::{Assignment, Change};
use hub_core::machine::{EndedJob, Published};
use hub_transport::supervisor::DeliveryRef;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Driver, End, sleep_until_instant};
use crate::clock::now;
use crate::dispatcher::batch::{Batch, PendingAnswer};
use crate::dispatcher::discard::{LARGE, discard};
use crate::dispatcher::inputs::{Ended, Input};
use crate::dispatcher::publish::{self, FinalOutcome, Outcomes, OutgoingIssue};
use crate::dispatcher::settings::JOBS;
use crate::store::{Store, StoreError};

/// How long the store is left alone after it has failed.
pub(super) const STORE_RETRY_DELAY: Duration = Duration::from_secs(1);
/// How long saying goodbye to the broker may take where the store cannot be used.
const GIVE_UP: Duration = Duration::from_secs(2);
/// Maximum size of what is published and not confirmed, in bytes: with more, nothing further is handed out.
const PUBLISHING_BYTES: usize = 64 * 1024 * 1024;
/// Maximum number of issues that are published and not committed. After a `kill -9` at most these are handed out a second
/// time, however long a commit takes.
const MAXIMUM_UNCOMMITTED: usize = 4096;
/// Finished jobs are forgotten at the latest when this number of them has ended since the last time.
const PRUNE_STEP: u64 = 1000;

impl Driver {
    /// Keeps a delivery until what it caused is safe.
    pub(super) fn hold(&mut self, delivery: DeliveryRef, ordered: bool) {
        self.batches.hold(delivery, self.pending.number, ordered);
        self.pending.deliveries += 1;
    }

    /// Starts what the inputs of this turn have caused.
    pub(super) fn flush(&mut self) {
        self.machine.hold_back(self.publishing_bytes > PUBLISHING_BYTES);
        // What is cancelled must be in the store before it is stopped, as in the turn that began it.
        self.pending.commit_first |= self.machine.is_sweeping();
        self.machine.poll_actions(now(), &mut self.actions);
        // So must a sub-job, before anything of it is published.
        self.pending.commit_first |= self.machine.take_begun_sub_jobs();
        let effects = self.pending.absorb(&mut self.actions, self.events.are_recorded());
        self.desk.prepare_runs(effects.starts);
        for ended in self.machine.poll_ended() {
            let (id, tasks) = (ended.id(), ended.tasks());
            self.refused.remove(&id);
            if self.waiters.contains_key(&id) {
                self.pending.ended.push((id, Some(ended)));
            } else {
                self.pending.ended.push((id, None));
                discard(ended, tasks);
            }
        }
        // A broker that cannot count is not asked: what it loses is not noticed then.
        for pool in effects.probes.into_iter().filter(|_| self.capabilities.counts) {
            let inputs = self.inputs.clone();
            publish::probe(&self.link, &self.settings.names, pool, move |depth| drop(inputs.send(Input::Depth(depth))));
        }
        let wait = self.pending.commit_first || self.committing.as_ref().is_some_and(|batch| batch.commit_first);
        let (mut assignments, mut stops) = (effects.assignments, effects.stops);
        let room = if wait || !self.pending.deferred.is_empty() { 0 } else { self.uncommitted_room() };
        self.pending.deferred.extend(assignments.drain(room.min(assignments.len())..));
        if wait {
            self.pending.deferred_stops.append(&mut stops);
        }
        self.pending.published += assignments.len();
        self.publish(self.pending.number, assignments, stops);
        let now = Instant::now();
        if self.committing.is_none() && self.pending.is_due(now, self.committed_at) {
            self.committed_at = Some(now);
            self.commit();
        }
    }

    /// How many more issues may be published before their commit.
    fn uncommitted_room(&self) -> usize {
        let published = self.pending.published + self.committing.as_ref().map_or(0, |batch| batch.published);
        MAXIMUM_UNCOMMITTED.saturating_sub(published)
    }

    pub(super) fn publish(&mut self, batch: u64, assignments: Vec<Assignment>, stops: Vec<(IssueId, Duration)>) {
        if !assignments.is_empty() {
            let exchange = self.settings.names.tasks().into();
            // Without an alternate exchange a task that no queue takes has to come back another way.
            let mandatory = !self.capabilities.alternate_exchanges;
            let issues = assignments
                .into_iter()
                .map(|assignment| OutgoingIssue::new(&exchange, assignment, mandatory))
                .collect();
            self.publish_issues(batch, issues);
        }
        if !stops.is_empty() {
            publish::stops(&self.link, &self.settings.names, stops);
        }
    }

    fn publish_issues(&mut self, batch: u64, issues: Vec<OutgoingIssue>) {
        if !issues.is_empty() {
            self.batches.publishing(batch);
            let bytes = issues.iter().map(OutgoingIssue::bytes).sum::<usize>();
            self.publishing_bytes += bytes;
            let inputs = self.inputs.clone();
            publish::issues(&self.link, issues, move |outcomes| {
                let _ = inputs.send(Input::Published { batch, bytes, outcomes });
            });
        }
    }

    /// A part of a batch's issues has outcomes.
    pub(super) fn handle_published(&mut self, batch: u64, bytes: usize, outcomes: Outcomes) {
        self.publishing_bytes -= bytes;
        let (mut again, now) = (Vec::new(), now());
        for (issue, outcome) in outcomes {
            let ended = match outcome {
                FinalOutcome::Confirmed => Published::Confirmed,
                FinalOutcome::Unroutable => Published::Unroutable,
                FinalOutcome::Rejected(reason) => Published::Rejected(reason.into()),
                FinalOutcome::Refused => {
                    self.note_refusal(issue.task);
                    Published::Refused
                }
                FinalOutcome::Unknown(outgoing) => {
                    // Under the same message id: a worker that gets it twice runs it once, and of two results one
                    // counts. What has come back or was issued anew meanwhile is not wanted any more.
                    if self.machine.is_on_its_way(issue) {
                        again.push(*outgoing);
                    }
                    continue;
                }
            };
            self.machine.handle_published(issue, ended, now);
        }
        // Before this part counts as published: the batch is not done yet.
        self.publish_issues(batch, again);
        let done = self.batches.published(batch);
        self.acknowledge(done);
    }

    /// Hands the pending batch to the store.
    pub(super) fn commit(&mut self) {
        let next = self.pending.number + 1;
        let mut batch = std::mem::replace(&mut self.pending, Batch::new(next));
        self.batches.open(next);
        let (number, changes) = (batch.number, Arc::new(std::mem::take(&mut batch.changes)));
        self.committing = Some(batch);
        self.commit_changes(number, changes);
    }

    /// Has the store keep the changes of a batch, however long that takes. Nothing of the batch is acknowledged or answered
    /// before it is kept: the broker and the clients hold what does not fit.
    pub(super) fn commit_changes(&self, number: u64, changes: Arc<Vec<Change>>) {
        let (store, works, inputs) = (Arc::clone(&self.store), Arc::clone(&self.store_works), self.inputs.clone());
        tokio::spawn(async move {
            let input = loop {
                match keep(&*store, &changes).await {
                    Ok(()) => {
                        works.store(true, Ordering::Relaxed);
                        break Input::Committed(number);
                    }
                    Err(StoreError::Refused { change, source }) => {
                        break Input::Refused { number, changes, change, why: source.to_string() };
                    }
                    Err(error) => {
                        works.store(false, Ordering::Relaxed);
                        if error.is_final() {
                            break Input::StoreBroken(error);
                        }
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "the store takes no changes: nothing is acknowledged until it does"
                        );
                        tokio::time::sleep(STORE_RETRY_DELAY).await;
                    }
                }
            };
            let _ = inputs.send(input);
        });
    }

    pub(super) fn handle_committed(&mut self, number: u64) {
        let Some(batch) = self.committing.take_if(|batch| batch.number == number) else { return };
        self.events.publish(batch.notices, batch.lacks_notices);
        batch.answers.into_iter().chain(batch.idle_answers).for_each(PendingAnswer::give);
        self.ended_since_prune += batch.ended.len() as u64;
        for (id, ended) in batch.ended {
            self.lately.keep(id);
            tell_of_end(ended, self.waiters.remove(&id).unwrap_or_default());
        }
        self.publish(number, batch.deferred, batch.deferred_stops);
        self.read_jobs(batch.reads);
        let done = self.batches.committed(number);
        self.acknowledge(done);
        self.prune();
        self.lately.forget_old();
    }

    /// Has the store forget the oldest finished jobs, where a tenth more than the number may have ended since the last time.
    pub(super) fn prune(&mut self) {
        let step = (self.settings.retain_jobs / 10).clamp(1, PRUNE_STEP);
        if self.ended_since_prune >= step {
            self.prune_now();
        }
    }

    /// The same at once: what the store holds counts, whichever dispatcher stored it.
    pub(super) fn prune_now(&mut self) {
        self.ended_since_prune = 0;
        self.acks.hurry();
        let (store, keep) = (Arc::clone(&self.store), self.settings.retain_jobs);
        tokio::spawn(async move {
            match store.prune(keep, u32::MAX).await {
                Ok(0) => {}
                Ok(pruned) => tracing::debug!(pruned, "forgot the oldest finished jobs"),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "old jobs could not be forgotten");
                }
            }
        });
    }

    /// Leaves further submissions in the broker while there is more in memory than is good.
    pub(super) async fn regulate_intake(&mut self) {
        self.note_live();
        let is_paused = self.room.is_full() || self.room.is_crowded(self.intake_paused);
        if is_paused != std::mem::replace(&mut self.intake_paused, is_paused) {
            if is_paused {
                self.link.pause(JOBS).await;
            } else {
                self.link.resume(JOBS).await;
            }
        }
    }

    /// Says whether live jobs take as much as they may; and once they did, until they take a fifth less.
    pub(super) fn note_live(&mut self) {
        let (tasks, bytes) = self.machine.live();
        let was_full = self.room.is_full();
        let limit = |most: u64| if was_full { most - most / 5 } else { most };
        let is_full = tasks > limit(self.settings.live_tasks_high) || bytes > limit(self.settings.max_live_bytes);
        if is_full && !was_full {
            tracing::warn!(
                live_tasks = tasks,
                live_bytes = bytes,
                "enough unfinished jobs in memory: further submissions wait in the broker"
            );
        }
        self.room.set_full(is_full);
    }

    /// Ends without another word to the store: what is not acknowledged is delivered again, to the dispatcher that takes over.
    pub(super) async fn give_up(mut self, error: StoreError) {
        tracing::error!(error = &error as &dyn std::error::Error, "stopping: the store cannot be used");
        self.waiters.clear();
        self.broken.send_replace(Some(Arc::new(error)));
        if let Err(error) = self.link.close(GIVE_UP).await {
            tracing::warn!(%error, "the connection did not end well");
        }
    }

    /// Brings to an end what has begun: commits, publishes, acknowledgements.
    pub(super) async fn stop(mut self, mut inputs: mpsc::UnboundedReceiver<Input>, grace: Duration) {
        let deadline = Instant::now() + grace;
        // Whoever waits for a job's end is answered now, as long as answers get out.
        self.waiters.clear();
        self.pending.commit_first = true;
        self.flush();
        while self.committing.is_some() || !self.pending.is_empty() || !self.batches.is_idle(self.pending.number) {
            tokio::select! {
                biased;
                Some(input) = inputs.recv() => {
                    if let Some(End::GiveUp(error)) = self.handle_input(input) {
                        return self.give_up(error).await;
                    }
                    self.pending.commit_first = true;
                    self.flush();
                }
                () = sleep_until_instant(self.lingers_until()) => self.flush(),
                () = tokio::time::sleep_until(deadline) => {
                    tracing::warn!("stopped before everything was confirmed: it is taken up again at the next start");
                    break;
                }
            }
        }
        self.acks.send_all(&self.link).await;
        self.desk.close().await;
        if let Err(error) = self.link.close(deadline.saturating_duration_since(Instant::now())).await {
            tracing::warn!(%error, "the connection did not end well");
        }
    }
}

/// Tells who waited for a job's end, once that is in the store. The states of a large one are put together elsewhere.
fn tell_of_end(ended: Option<EndedJob>, waiters: Vec<oneshot::Sender<Ended>>) {
    let tasks = ended.as_ref().map_or(0, EndedJob::tasks);
    let tell = move || {
        let ended = ended.map(|ended| Arc::new(ended.into_snapshot()));
        waiters.into_iter().for_each(|waiter| drop(waiter.send(ended.clone())));
    };
    if tasks > LARGE {
        drop(tokio::task::spawn_blocking(tell));
    } else {
        tell();
    }
}

async fn keep(store: &dyn Store, changes: &Arc<Vec<Change>>) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    store.commit(Arc::clone(changes)).await
}
