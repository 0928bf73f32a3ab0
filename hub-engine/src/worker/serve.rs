//! The worker's loop: handles deliveries, control messages, ended tasks and timers one at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hub_core::IssueId;
use hub_transport::supervisor::{DeliveryRef, Link, LinkEvent, LinkEvents, SubscriptionId};
use hub_transport::{Delivery, Settlement};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::dead_letters::DeadLetters;
use super::heartbeat::{self, Occasion, Rhythm};
use super::internal::Internal;
use super::issues::{Arrival, Issues, Run};
use super::pace::Pace;
use super::report::Reporter;
use super::results::Results;
use super::settings::WorkerSettings;
use super::shortage::Shortage;
use super::task_group::TaskGroup;
use super::timer::sleep_until;
use crate::acks::Acks;
use crate::runner::{Catalogue, NoOutcome, Runner, TaskReport};
use crate::wire::{Control, ControlMessage, ReturnReason, Span, TaskEnded, TaskMessage};

/// Maximum time for the last messages and for the runner's shutdown.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for the last confirms with a connection. The broker may be electing the leader of a queue, which takes
/// about ten seconds.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of inputs in one turn, so that results and acknowledgements are sent in between.
const MAXIMUM_INPUTS_PER_TURN: usize = 512;

/// Commands of the worker's owner to the loop.
#[derive(Debug)]
pub(super) enum Order {
    /// Take no further tasks, and end when the running tasks have ended or this time has passed.
    Drain(Duration),
    /// Confirm that the loop is alive.
    Answer(oneshot::Sender<()>),
}

/// The loop's state.
pub(super) struct Serve {
    settings: WorkerSettings,
    link: Link,
    runner: Arc<dyn Runner>,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    reporter: Reporter,
    issues: Issues,
    heartbeats: Rhythm,
    results: Results,
    acks: Acks,
    dead_letters: DeadLetters,
    pace: Pace,
    shortage: Shortage,
    ready: watch::Sender<bool>,
    internal: mpsc::UnboundedSender<Internal>,
    from_internal: mpsc::UnboundedReceiver<Internal>,
    paused: bool,
    /// Whether the subscriptions for short tasks are active.
    short_tasks: bool,
    draining: bool,
}

impl Serve {
    pub(super) fn new(
        settings: WorkerSettings,
        link: Link,
        acks: Acks,
        results: Results,
        dead_letters: DeadLetters,
        runner: Arc<dyn Runner>,
        ready: watch::Sender<bool>,
    ) -> Self {
        let reporter = Reporter::new(link.clone(), settings.names.clone(), Arc::clone(&settings.id));
        let (internal, from_internal) = mpsc::unbounded_channel();
        let issues = Issues::default();
        Self {
            catalogue: runner.catalogue(),
            heartbeats: Rhythm::new(settings.heartbeat, issues.progressed()),
            settings,
            link,
            runner,
            reporter,
            issues,
            results,
            acks,
            dead_letters,
            pace: Pace::new(),
            shortage: Shortage::new(),
            ready,
            internal,
            from_internal,
            paused: false,
            short_tasks: false,
            draining: false,
        }
    }

    /// Serves until it is told to drain and has drained.
    pub(super) async fn run(mut self, mut events: LinkEvents, mut orders: mpsc::UnboundedReceiver<Order>) {
        let grace = loop {
            let next_long = self.issues.next_long(self.settings.long_after);
            // The rarest inputs first, so that many deliveries do not delay a heartbeat or a command.
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Drain(grace)) => break grace,
                    Some(Order::Answer(answer)) => drop(answer.send(())),
                    None => break Duration::ZERO,
                },
                occasion = self.heartbeats.next() => self.send_heartbeat(occasion),
                Ok(()) = self.catalogue.changed() => {
                    self.catalogue.borrow_and_update();
                    self.send_heartbeat(Occasion::Regular);
                }
                () = sleep_until(next_long) => self.announce_long().await,
                () = sleep_until(self.acks.due()) => {}
                () = sleep_until(self.shortage.due()) => {}
                Some(internal) = self.from_internal.recv() => self.handle_internal(internal),
                event = events.next() => match event {
                    Some(event) => self.handle_event(event).await,
                    None => return,
                },
            }
            self.take_available(&mut events).await;
            self.report_results();
            self.fill_slots().await;
            self.acks.send(&self.link).await;
        };
        self.drain(events, orders, grace).await;
    }

    /// Handles the available inputs, so that a turn is one message when idle and many under load.
    async fn take_available(&mut self, events: &mut LinkEvents) {
        for _ in 0..MAXIMUM_INPUTS_PER_TURN {
            if let Ok(internal) = self.from_internal.try_recv() {
                self.handle_internal(internal);
            } else if let Some(event) = events.try_next() {
                self.handle_event(event).await;
            } else {
                return;
            }
        }
    }

    async fn handle_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { .. } => {
                self.send_heartbeat(Occasion::Regular);
                if !self.ready.send_replace(true) {
                    tracing::info!(
                        worker = %self.settings.id,
                        pools = %self.settings.pools.join(","),
                        slots = self.settings.slots,
                        "Starting worker, waiting for tasks..."
                    );
                }
            }
            LinkEvent::Delivery(SubscriptionId(0), at, delivery) => {
                self.handle_control(&delivery);
                self.settle(at, Settlement::Ack).await;
            }
            LinkEvent::Delivery(_, at, delivery) => {
                self.acks.note(at);
                self.handle_task(at, &delivery).await;
            }
            LinkEvent::Down { .. } => self.acks.forget_all(),
            LinkEvent::Blocked(_) | LinkEvent::Unblocked => {}
        }
    }

    fn handle_control(&mut self, delivery: &Delivery) {
        match ControlMessage::decode(&delivery.message.body) {
            Ok(ControlMessage { control: Control::Announce, .. }) => self.send_heartbeat(Occasion::Regular),
            Ok(ControlMessage { control: Control::Stop { tasks, grace_ms }, .. }) => {
                let grace = Duration::from_millis(grace_ms);
                for id in tasks {
                    if let Some(waiting) = self.issues.stop(id, Some(grace)) {
                        self.give_back(id, waiting.delivery, ReturnReason::Stopped);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "ignored a control message"),
        }
    }

    async fn handle_task(&mut self, at: DeliveryRef, delivery: &Delivery) {
        let task = match TaskMessage::decode(&delivery.message.body) {
            Ok(task) => task,
            Err(error) => {
                // The dispatcher reads the queue of dead letters.
                tracing::warn!(%error, message_id = delivery.message.message_id.as_deref(), "dead-lettered a message that is not a task");
                return self.give_up(at, delivery).await;
            }
        };
        if self.dead_letters.is_given_up(delivery) {
            tracing::warn!(task = %task.issue.task, "dead-lettered a task that was delivered too often: the workers that received it were lost");
            return self.give_up(at, delivery).await;
        }
        if self.draining {
            return self.settle(at, Settlement::Requeue).await;
        }
        let id = task.issue;
        match self.issues.arrive(task.into(), at) {
            Arrival::Queued => {}
            Arrival::Stopped => self.give_back(id, at, ReturnReason::Stopped),
            // The earlier delivery usually belongs to a dead session. An issue may also be in the queue twice.
            Arrival::Adopted(earlier) => self.acks.done(earlier),
            Arrival::Settle => self.acks.done(at),
        }
    }

    fn handle_internal(&mut self, internal: Internal) {
        match internal {
            Internal::Ended(id, report, span) => self.handle_ended(id, report, span),
            Internal::NotBegun(task) => {
                let id = task.issue;
                if let Some(reason) = self.issues.put_back(task) {
                    self.hand_back(id, reason);
                }
            }
            Internal::Finished(ids) => ids.into_iter().for_each(|id| self.finish(id)),
            Internal::Leased(ids) => self.issues.lease(&ids).into_iter().for_each(|at| self.acks.done(at)),
            Internal::GivenBack(delivery) => self.acks.done(delivery),
        }
    }

    /// An issue has ended. Its outcome is reported to the dispatcher. An issue without an outcome is returned.
    fn handle_ended(&mut self, id: IssueId, report: TaskReport, span: Span) {
        if let Some(outside) = self.issues.end(id, Instant::now()) {
            self.pace.note(report.took.unwrap_or(outside));
        }
        if !matches!(report.outcome, Err(NoOutcome::Shortage { .. })) {
            self.shortage.note_end();
        }
        match report.outcome {
            Ok(outcome) => {
                let ended = TaskEnded::new(id, outcome, report.log, span).with_content(report.content);
                self.results.push(self.issues.complete(id, ended, &self.catalogue.borrow()));
            }
            Err(NoOutcome::Unknown) => self.hand_back(id, ReturnReason::UnknownModule),
            Err(NoOutcome::Shortage { what }) => {
                self.hand_back(id, ReturnReason::Busy);
                self.note_shortage(&what);
            }
            Err(NoOutcome::Cancelled) => self.hand_back(id, ReturnReason::Stopped),
            Err(NoOutcome::NotBegun) => self.hand_back(id, ReturnReason::Busy),
        }
    }

    /// An issue has ended, and its report is confirmed.
    fn finish(&mut self, id: IssueId) {
        self.issues.finish(id).into_iter().for_each(|delivery| self.acks.done(delivery));
    }

    /// No process could be started for a task because of a shortage on the machine.
    fn note_shortage(&mut self, what: &str) {
        if let Some(delay) = self.shortage.note(what, Instant::now()) {
            let seconds = delay.as_secs();
            tracing::warn!(
                "no process can be started for tasks: {what}. They are returned, and no tasks are taken for {seconds} s"
            );
            self.send_heartbeat(Occasion::Regular);
        }
    }

    /// Publishes the collected results.
    fn report_results(&mut self) {
        for results in self.results.take() {
            let (reporter, internal) = (self.reporter.clone(), self.internal.clone());
            let ids = results.iter().map(TaskEnded::issue).collect();
            tokio::spawn(async move {
                reporter.ended(results).await;
                let _ = internal.send(Internal::Finished(ids));
            });
        }
    }

    /// Returns an issue to the dispatcher.
    fn hand_back(&self, id: IssueId, reason: ReturnReason) {
        let (reporter, internal) = (self.reporter.clone(), self.internal.clone());
        tokio::spawn(async move {
            reporter.returned(id, reason).await;
            let _ = internal.send(Internal::Finished(vec![id]));
        });
    }

    /// Starts waiting issues while there are free slots. If long tasks occupy all slots or no process can be started,
    /// returns the waiting issues, so that other workers can run them.
    async fn fill_slots(&mut self) {
        let now = Instant::now();
        if self.shortage.ends(now) {
            tracing::info!("the worker takes tasks again");
            self.send_heartbeat(Occasion::Regular);
        }
        let slots = self.settings.slots as usize;
        let (mut issues, catalogue) = (Vec::new(), Arc::clone(&self.catalogue.borrow()));
        while let Some(next) = self.issues.next().filter(|_| !self.shortage.is_on()) {
            let can_queue_ahead = next.run.is_none() && self.runner.can_queue_ahead(&next.task_name);
            if self.issues.running_count() >= slots && !can_queue_ahead {
                break;
            }
            issues.extend(self.issues.start_next(&catalogue, now));
        }
        self.spawn(issues);
        let stuck = self.shortage.is_on() || (self.issues.running_count() >= slots && self.issues.all_long());
        if stuck && !self.paused {
            self.pause().await;
        }
        if stuck && self.issues.waiting_count() > 0 {
            self.give_back_waiting(ReturnReason::Busy);
        }
        if !stuck && self.paused && !self.draining {
            self.resume().await;
        }
        if !self.paused && self.short_tasks != self.pace.has_short_tasks() {
            self.set_short_tasks(self.pace.has_short_tasks()).await;
        }
    }

    /// Runs issues, in at most one task of the async runtime per slot.
    fn spawn(&self, issues: Vec<Run>) {
        let share = issues.len().div_ceil(self.settings.slots.max(1) as usize);
        let mut issues = issues.into_iter();
        while issues.len() > 0 {
            let group = TaskGroup {
                runner: Arc::clone(&self.runner),
                worker: Arc::clone(&self.settings.id),
                report: self.internal.clone(),
            };
            tokio::spawn(group.run_all(issues.by_ref().take(share).collect()));
        }
    }

    async fn announce_long(&mut self) {
        let long = self.issues.announce_long(self.settings.long_after, Instant::now());
        if long.is_empty() {
            return;
        }
        let (reporter, internal) = (self.reporter.clone(), self.internal.clone());
        tokio::spawn(async move {
            let ids = long.iter().map(|(id, _)| *id).collect();
            reporter.started(long).await;
            let _ = internal.send(Internal::Leased(ids));
        });
    }

    /// Returns all waiting issues to the dispatcher. They are not requeued, because brokers count requeues towards the
    /// delivery limit.
    fn give_back_waiting(&mut self, reason: ReturnReason) {
        for waiting in self.issues.take_waiting() {
            self.give_back(waiting.task.issue, waiting.delivery, reason);
        }
    }

    /// Returns a delivery that did not run to the dispatcher.
    fn give_back(&self, id: IssueId, delivery: DeliveryRef, reason: ReturnReason) {
        let (reporter, internal) = (self.reporter.clone(), self.internal.clone());
        tokio::spawn(async move {
            reporter.returned(id, reason).await;
            let _ = internal.send(Internal::GivenBack(delivery));
        });
    }

    async fn pause(&mut self) {
        self.paused = true;
        self.set_short_tasks(false).await;
        for pool in self.settings.regular_subscriptions() {
            self.link.pause(pool).await;
        }
    }

    async fn resume(&mut self) {
        self.paused = false;
        for pool in self.settings.regular_subscriptions() {
            self.link.resume(pool).await;
        }
    }

    async fn set_short_tasks(&mut self, short_tasks: bool) {
        if std::mem::replace(&mut self.short_tasks, short_tasks) == short_tasks {
            return;
        }
        tracing::debug!(short_tasks, "the worker changes its prefetch");
        for pool in self.settings.short_task_subscriptions() {
            if short_tasks {
                self.link.resume(pool).await;
            } else {
                self.link.pause(pool).await;
            }
        }
    }

    /// Dead-letters a delivery. The dispatcher reads dead letters.
    async fn give_up(&mut self, at: DeliveryRef, delivery: &Delivery) {
        if !self.dead_letters.are_published_here() {
            return self.settle(at, Settlement::DeadLetter).await;
        }
        let (reporter, internal, message) = (self.reporter.clone(), self.internal.clone(), delivery.message.clone());
        tokio::spawn(async move {
            reporter.dead_letter(message).await;
            let _ = internal.send(Internal::GivenBack(at));
        });
    }

    async fn settle(&mut self, at: DeliveryRef, settlement: Settlement) {
        self.acks.forget(at);
        // The session died first. The broker delivers the message again, and it is recognised.
        if let Err(error) = self.link.settle(at, settlement, false).await {
            tracing::debug!(%error, "a delivery could not be settled and will be redelivered");
        }
    }

    /// Publishes a heartbeat. Its confirm is ignored, because the next one follows.
    fn send_heartbeat(&self, occasion: Occasion) {
        if self.link.is_up() {
            let catalogue = Arc::clone(&self.catalogue.borrow());
            drop(self.link.publish(heartbeat::message(
                &self.settings,
                &catalogue,
                self.runner.allows(),
                &self.issues,
                self.shortage.what(),
                occasion,
            )));
        }
    }

    async fn drain(mut self, mut events: LinkEvents, mut orders: mpsc::UnboundedReceiver<Order>, grace: Duration) {
        self.draining = true;
        tracing::info!(running = self.issues.running_count(), "stopping: the worker takes no further tasks");
        self.pause().await;
        self.give_back_waiting(ReturnReason::Draining);
        let mut deadline = Instant::now() + grace;
        self.send_heartbeat(Occasion::Regular);
        while !self.issues.is_idle() {
            let next_long = self.issues.next_long(self.settings.long_after);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(deadline) => break,
                Some(Order::Drain(grace)) = orders.recv() => deadline = deadline.min(Instant::now() + grace),
                occasion = self.heartbeats.next() => self.send_heartbeat(occasion),
                () = sleep_until(next_long) => self.announce_long().await,
                () = sleep_until(self.acks.due()) => {}
                Some(internal) = self.from_internal.recv() => self.handle_internal(internal),
                Some(event) = events.next() => self.handle_event(event).await,
            }
            // Waiting issues will not be started any more.
            self.give_back_waiting(ReturnReason::Draining);
            self.report_results();
            self.acks.send(&self.link).await;
        }
        // Handles issues that have ended, so that only running ones are abandoned.
        while let Ok(internal) = self.from_internal.try_recv() {
            self.handle_internal(internal);
        }
        self.report_results();
        self.abandon_running().await;
        self.acks.send_all(&self.link).await;
        self.send_heartbeat(Occasion::Leaving);
        self.runner.shutdown(DISCONNECT_TIMEOUT).await;
        if let Err(error) = self.link.close(self.time_for_confirms()).await {
            tracing::warn!(%error, "some reports did not reach the broker: their tasks will be handed out again");
        }
    }

    /// Stops the running issues. The broker requeues their deliveries when the session ends; leased issues are returned
    /// with a message.
    async fn abandon_running(&mut self) {
        let running = self.issues.running();
        running.iter().for_each(|(_, running)| running.control.stop(None));
        // Concurrently: without the broker each return waits for the timeout, and stopping must not add them up.
        let limit = self.time_for_confirms();
        let handed_back = running.into_iter().map(async |(&id, running)| {
            tracing::warn!(task = %id.task, "stopped a task that did not end in time; it will run again elsewhere");
            if running.delivery.is_none() {
                let returned = self.reporter.returned(id, ReturnReason::Draining);
                if tokio::time::timeout(limit, returned).await.is_err() {
                    tracing::warn!(task = %id.task, "could not return a task: its lease will expire");
                }
            }
        });
        join_all(handed_back).await;
    }

    /// Maximum time to wait for the last confirms.
    fn time_for_confirms(&self) -> Duration {
        if self.link.is_up() { CONFIRM_TIMEOUT } else { DISCONNECT_TIMEOUT }
    }
}
