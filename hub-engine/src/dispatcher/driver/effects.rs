//! What a turn has caused, on its way: commits, publishes, answers, acknowledgements.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hub_core::action::{Assignment, Change};
use hub_core::machine::Published;
use hub_core::{Attempt, TaskId};
use hub_transport::supervisor::DeliveryRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Driver, End, sleep_until_instant};
use crate::clock::now;
use crate::dispatcher::batch::{Answer, Batch};
use crate::dispatcher::inputs::{FinalOutcome, Input};
use crate::dispatcher::publish::{self, Issue};
use crate::dispatcher::settings::JOBS;
use crate::store::{Store, StoreError};
use crate::wire::HeldAttempt;

/// How long the store is left alone after it has failed.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// How long saying goodbye to the broker may take where the store cannot be used.
const GIVE_UP: Duration = Duration::from_secs(2);
/// Finished jobs are forgotten when so many have ended since the last time, at the latest.
const PRUNE_STEP: u64 = 1000;

impl Driver {
    /// Keeps a delivery until what it caused is safe.
    pub(super) fn hold(&mut self, delivery: DeliveryRef, ordered: bool) {
        self.batches.hold(delivery, self.pending.number, ordered);
        self.pending.deliveries += 1;
    }

    /// Starts what the inputs of this turn have caused.
    pub(super) fn flush(&mut self) {
        self.machine.poll_actions(now(), &mut self.actions);
        let effects = self.pending.absorb(&mut self.actions);
        for ended in self.machine.poll_ended() {
            let is_awaited = self.waiters.contains_key(&ended.id());
            self.pending.ended.push((ended.id(), is_awaited.then(|| Arc::new(ended.into_snapshot()))));
        }
        for pool in effects.probes {
            publish::probe(&self.link, &self.settings.names, pool, self.inputs.clone());
        }
        let wait = self.pending.commit_first || self.committing.as_ref().is_some_and(|batch| batch.commit_first);
        if wait {
            self.pending.deferred.extend(effects.assignments);
            self.pending.deferred_stops.extend(effects.stops);
        } else {
            self.publish(self.pending.number, effects.assignments, effects.stops);
        }
        let now = Instant::now();
        if self.committing.is_none() && self.pending.is_due(now, self.committed_at) {
            self.committed_at = Some(now);
            self.commit();
        }
    }

    pub(super) fn publish(&mut self, batch: u64, assignments: Vec<Assignment>, stops: Vec<HeldAttempt>) {
        if !assignments.is_empty() {
            let exchange = self.settings.names.tasks().into();
            let issues = assignments.into_iter().map(|assignment| Issue::new(&exchange, assignment)).collect();
            self.publish_issues(batch, issues);
        }
        if !stops.is_empty() {
            publish::stops(&self.link, &self.settings.names, stops);
        }
    }

    fn publish_issues(&mut self, batch: u64, issues: Vec<Issue>) {
        if !issues.is_empty() {
            self.batches.publishing(batch);
            publish::issues(&self.link, issues, batch, self.inputs.clone());
        }
    }

    /// A part of a batch's issues has outcomes.
    pub(super) fn handle_published(&mut self, batch: u64, outcomes: Vec<(TaskId, Attempt, FinalOutcome)>) {
        let mut again = Vec::new();
        for (task, attempt, outcome) in outcomes {
            let ended = match outcome {
                FinalOutcome::Confirmed => Published::Confirmed,
                FinalOutcome::Unroutable => Published::Unroutable,
                FinalOutcome::Rejected(reason) => Published::Rejected(reason.into()),
                FinalOutcome::Unknown(issue) => {
                    // Under the same message id: a worker that gets it twice runs it once, and of two results one
                    // counts. What has come back or was issued anew meanwhile is not wanted any more.
                    if self.machine.is_on_its_way(task, attempt) {
                        again.push(*issue);
                    }
                    continue;
                }
            };
            self.machine.handle_published(task, attempt, ended, now());
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
                        tokio::time::sleep(STORE_RETRY).await;
                    }
                }
            };
            let _ = inputs.send(input);
        });
    }

    pub(super) fn handle_committed(&mut self, number: u64) {
        let Some(batch) = self.committing.take_if(|batch| batch.number == number) else { return };
        batch.answers.into_iter().chain(batch.idle_answers).for_each(Answer::give);
        self.ended_since_prune += batch.ended.len() as u64;
        for (id, ended) in batch.ended {
            self.lately.keep(id);
            for waiter in self.waiters.remove(&id).unwrap_or_default() {
                let _ = waiter.send(ended.clone());
            }
        }
        self.publish(number, batch.deferred, batch.deferred_stops);
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

    /// The same at once: what the store holds counts, whoever has put it there.
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
        let live = self.machine.stats().live_tasks;
        let high = self.settings.live_tasks_high;
        if !self.intake_paused && live > high {
            tracing::warn!(live_tasks = live, "enough jobs in memory: further submissions wait in the broker");
            self.intake_paused = true;
            self.link.pause(JOBS).await;
        } else if self.intake_paused && live < high - high / 5 {
            self.intake_paused = false;
            self.link.resume(JOBS).await;
        }
    }

    /// Ends without another word to the store: what is not acknowledged is delivered again, to whoever takes over.
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
        self.replier.flush().await;
        if let Err(error) = self.link.close(deadline.saturating_duration_since(Instant::now())).await {
            tracing::warn!(%error, "the connection did not end well");
        }
    }
}

async fn keep(store: &dyn Store, changes: &Arc<Vec<Change>>) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    store.commit(Arc::clone(changes)).await
}
