//! What workers and the broker report: starts, results, heartbeats, and what went astray.

use hub_core::machine::{DeadLetter, Heard, Published, Verdict, WorkerReport};
use hub_core::{IssueId, TaskId};
use hub_transport::supervisor::DeliveryRef;
use hub_transport::{Death, Delivery, Message};

use super::Driver;
use crate::clock::{now, steady};
use crate::dispatcher::batch::PendingAnswer;
use crate::dispatcher::publish;
use crate::operations::{RequestError, RequestErrorKind, ResultUpdate};
use crate::wire::{FromWorker, Heartbeat, ResultMessage, Results};

impl Driver {
    /// A message of the results queue.
    pub(super) fn handle_report(&mut self, at: DeliveryRef, delivery: Delivery) {
        if !self.settings.names.is_result(&delivery.message) {
            self.refuse_way(&delivery, "a result");
            return self.hold(at, true);
        }
        match ResultMessage::decode(&delivery.message.body) {
            Ok(ResultMessage::FromWorker(report)) => {
                self.handle_worker(report);
                self.hold(at, true);
            }
            Ok(ResultMessage::Posted(update)) => {
                self.handle_posted(update, &delivery.message);
                self.hold(at, true);
            }
            Err(error) => {
                tracing::warn!(%error, message_id = delivery.message.message_id.as_deref(), "ignored a result");
                let refusal = RequestError::new(RequestErrorKind::InvalidRequest, error.to_string());
                self.desk.refuse(&delivery.message, refusal);
                self.hold(at, true);
            }
        }
    }

    /// A message came by a way that its kind does not take: its sender may lack the right to take that way.
    fn refuse_way(&self, delivery: &Delivery, what: &str) {
        let Message { exchange, routing_key: key, .. } = &delivery.message;
        tracing::warn!(%exchange, %key, "refused {what}: it came by another exchange or under another key than it must");
        let message = format!("{what} under the key {key:?} of the exchange {exchange:?} is not accepted");
        let refusal = RequestError::new(RequestErrorKind::InvalidRequest, message);
        self.desk.refuse(&delivery.message, refusal);
    }

    /// A result from outside, from the results queue.
    fn handle_posted(&mut self, update: ResultUpdate, message: &Message) {
        let answer = match self.post(update.id, update.to_update()) {
            Some(outcome) => PendingAnswer::new(self.desk.posted(message, update.id, outcome)),
            None => PendingAnswer::new(self.desk.posted_late(message, update)),
        };
        self.pending.answers.push(answer);
    }

    pub(super) fn handle_worker(&mut self, report: FromWorker) {
        let now = now();
        match report {
            FromWorker::Started(started) => {
                for running in &started.tasks {
                    self.machine.handle_running(&started.worker, running.issue, running.ran(), now);
                }
            }
            FromWorker::Returned(returned) => {
                note(self.machine.handle_returned(returned.issue, returned.reason, &returned.worker, now));
            }
            FromWorker::Results(Results { worker, results, .. }) => {
                for ended in results {
                    note(self.machine.handle_result(ended.into_result(&worker), now));
                }
            }
        }
    }

    pub(super) fn handle_heartbeat(&mut self, delivery: &Delivery) {
        match Heartbeat::decode(&delivery.message.body) {
            Ok(heartbeat) if !self.settings.names.is_heartbeat_of(&heartbeat.worker, &delivery.message) => {
                self.refuse_way(delivery, "a heartbeat");
            }
            Ok(heartbeat) if heartbeat.leaving => self.machine.handle_worker_left(&heartbeat.worker),
            Ok(heartbeat) => {
                let heard = self.machine.handle_heartbeat(worker_report(heartbeat), now());
                if heard == Heard::TooMany && !std::mem::replace(&mut self.too_many_workers, true) {
                    tracing::warn!(
                        "more workers send heartbeats, or longer ones, than can be kept (10,000; 256 MiB): further ones are ignored"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "ignored a heartbeat"),
        }
    }

    fn handle_dead_letter(&mut self, issue: IssueId, death: Option<&Death>) {
        let Some(removed) = death.filter(|death| is_removed_by_policy(death)) else {
            tracing::warn!(task = %issue.task, ?death, "the broker gave a task up");
            note(self.machine.handle_dead_letter(issue, DeadLetter::DeliveryLimit, now()));
            return;
        };
        let verdict = self.machine.handle_dead_letter(issue, DeadLetter::Policy, now());
        if verdict == Verdict::Applied {
            self.note_removal(&removed.queue, &removed.reason);
        }
    }

    /// The broker does not take an issue of this task at present.
    pub(super) fn note_refusal(&mut self, task: TaskId) {
        let pool = self.machine.pool_of(task).map(|pool| self.settings.names.pool_queue(pool));
        if let Some(queue) = pool {
            self.note_removal(&queue, "refused");
        }
    }

    fn note_removal(&mut self, queue: &str, reason: &str) {
        if let Some(messages) = self.removals.note(queue, reason, steady()) {
            tracing::warn!(
                queue,
                reason,
                messages,
                "a policy of the broker keeps tasks out of their queue: they are handed out again, which costs time; \
                 exempt Hub's queues from message TTLs and maximum lengths"
            );
        }
    }

    /// What found no queue, or what the broker gave up.
    pub(super) fn handle_stray(&mut self, dead: bool, delivery: &Delivery) {
        // Only what was published as a task, with the dispatcher's rights, says anything about one.
        let (names, exchange) = (&self.settings.names, &delivery.message.exchange);
        let is_task = *exchange == if dead { names.dead() } else { names.tasks() };
        let Some(issue) = publish::decode_stray(&delivery.message).filter(|_| is_task) else {
            tracing::warn!(
                exchange = %delivery.message.exchange,
                key = %delivery.message.routing_key,
                message_id = delivery.message.message_id.as_deref(),
                "dropped a message that no queue takes and that is no task"
            );
            return;
        };
        if dead {
            self.handle_dead_letter(issue, delivery.death.as_ref());
        } else {
            tracing::debug!(task = %issue.task, "a task found no queue");
            self.machine.handle_published(issue, Published::Unroutable, now());
        }
    }
}

/// Whether a policy of the broker removed the message from its queue: no worker has had it then.
fn is_removed_by_policy(death: &Death) -> bool {
    matches!(&*death.reason, "expired" | "maxlen")
}

fn note(verdict: Verdict) {
    if verdict != Verdict::Applied {
        tracing::debug!(?verdict, "a report changed nothing");
    }
}

fn worker_report(heartbeat: Heartbeat) -> WorkerReport {
    WorkerReport {
        progress: heartbeat.progress.into_iter().map(|one| (one.issue(), one.value)).collect(),
        id: heartbeat.worker,
        host: heartbeat.host,
        pid: heartbeat.pid,
        pools: heartbeat.pools,
        slots: heartbeat.slots,
        running: heartbeat.running,
        tasks: heartbeat.tasks,
        contents: heartbeat.contents,
        defaults: heartbeat.defaults,
        broken: heartbeat.broken,
        allow: heartbeat.allow,
        shortage: heartbeat.shortage,
        present: heartbeat.present,
        held: heartbeat.held,
    }
}
