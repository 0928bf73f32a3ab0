//! The worker's loop: deliveries, control, ended tasks and the clock come in; one of them at a time is handled.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hub_core::IssueId;
use hub_transport::supervisor::{DeliveryRef, Link, LinkEvent, LinkEvents, SubscriptionId};
use hub_transport::{Delivery, Settlement};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::crew::Crew;
use super::dead_letters::DeadLetters;
use super::heartbeat;
use super::internal::Internal;
use super::issues::{Arrival, Issues, Run};
use super::pace::Pace;
use super::report::Reporter;
use super::results::Results;
use super::settings::WorkerSettings;
use super::shortage::Shortage;
use crate::acks::Acks;
use crate::runner::{Catalogue, NoOutcome, Runner, TaskReport};
use crate::wire::{Control, ControlMessage, ReturnReason, Span, TaskEnded, TaskMessage};

/// How long the last words may take to reach the broker.
const GOODBYE: Duration = Duration::from_secs(5);
/// The same where there is a connection: the broker may be electing the leader of a queue, which takes about ten seconds.
const LAST_CONFIRMS: Duration = Duration::from_secs(30);
/// How much one turn takes at most, so that results and acknowledgements start in between.
const TURN: usize = 512;

/// What the worker's owner can tell the loop.
#[derive(Debug)]
pub(super) enum Order {
    /// Take nothing more, and end when the running tasks have ended or this long has passed.
    Drain(Duration),
    /// Say that the loop lives.
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
    results: Results,
    acks: Acks,
    dead_letters: DeadLetters,
    pace: Pace,
    shortage: Shortage,
    ready: watch::Sender<bool>,
    internal: mpsc::UnboundedSender<Internal>,
    from_internal: mpsc::UnboundedReceiver<Internal>,
    paused: bool,
    /// Whether the subscriptions for short tasks flow.
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
        Self {
            catalogue: runner.catalogue(),
            settings,
            link,
            runner,
            reporter,
            issues: Issues::default(),
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

    /// Serves until it is told to drain and has done so.
    pub(super) async fn run(mut self, mut events: LinkEvents, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut heartbeat = tokio::time::interval(self.settings.heartbeat);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let grace = loop {
            let next_long = self.issues.next_long(self.settings.long_after);
            // The rarest first, so that no flood of deliveries holds up a heartbeat or an order.
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Drain(grace)) => break grace,
                    Some(Order::Answer(answer)) => drop(answer.send(())),
                    None => break Duration::ZERO,
                },
                _ = heartbeat.tick() => self.beat(false),
                Ok(()) = self.catalogue.changed() => {
                    self.catalogue.borrow_and_update();
                    self.beat(false);
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
            self.take_what_is_there(&mut events).await;
            self.report_results();
            self.fill_slots().await;
            self.acks.send(&self.link).await;
        };
        self.drain(events, orders, grace).await;
    }

    /// Handles what has arrived, so that a turn is one message when idle and many under load.
    async fn take_what_is_there(&mut self, events: &mut LinkEvents) {
        for _ in 0..TURN {
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
                self.beat(false);
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
            Ok(ControlMessage { control: Control::Announce, .. }) => self.beat(false),
            Ok(ControlMessage { control: Control::Stop { tasks }, .. }) => {
                for id in tasks {
                    if let Some(delivery) = self.issues.stop(id) {
                        let _ = self.internal.send(Internal::GivenBack(delivery));
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
                // The dispatcher reads the dead-letter queue, and knows what to do with what it finds.
                tracing::warn!(%error, message_id = delivery.message.message_id.as_deref(), "handed back a message that is no task");
                return self.give_up(at, delivery).await;
            }
        };
        if self.dead_letters.is_given_up(delivery) {
            tracing::warn!(task = %task.issue.task, "gave up a task that was delivered too often: the workers that took it were lost");
            return self.give_up(at, delivery).await;
        }
        if self.draining {
            return self.settle(at, Settlement::Requeue).await;
        }
        match self.issues.arrive(task, at) {
            Arrival::Queued => {}
            // Mostly it came by a session that has died; but an issue may be in the queue twice.
            Arrival::Adopted(earlier) => self.acks.done(earlier),
            Arrival::Settle => self.acks.done(at),
        }
    }

    fn handle_internal(&mut self, internal: Internal) {
        match internal {
            Internal::Ended(id, report, span) => self.handle_ended(id, report, span),
            Internal::NotBegun(task) => {
                if let Some(task) = self.issues.put_back(task) {
                    self.hand_back(task.issue, ReturnReason::Busy);
                }
            }
            Internal::Finished(ids) => ids.into_iter().for_each(|id| self.finish(id)),
            Internal::Leased(ids) => self.issues.lease(&ids).into_iter().for_each(|at| self.acks.done(at)),
            Internal::GivenBack(delivery) => self.acks.done(delivery),
        }
    }

    /// An issue does not run any more. Its outcome goes to the dispatcher; where it has none, it goes back, unless the
    /// dispatcher has stopped it.
    fn handle_ended(&mut self, id: IssueId, report: TaskReport, span: Span) {
        if let Some(outside) = self.issues.end(id, Instant::now()) {
            self.pace.note(report.took.unwrap_or(outside));
        }
        if !matches!(report.outcome, Err(NoOutcome::Shortage { .. })) {
            self.shortage.note_end();
        }
        match report.outcome {
            Ok(outcome) => self.results.push(TaskEnded::new(id, outcome, report.log, span)),
            Err(NoOutcome::Unknown) => self.hand_back(id, ReturnReason::UnknownModule),
            Err(NoOutcome::Shortage { what }) => {
                self.hand_back(id, ReturnReason::Busy);
                self.note_shortage(&what);
            }
            Err(NoOutcome::Cancelled | NoOutcome::NotBegun) => self.finish(id),
        }
    }

    /// An issue is over, and whoever is to know of it does.
    fn finish(&mut self, id: IssueId) {
        if let Some(delivery) = self.issues.finish(id) {
            self.acks.done(delivery);
        }
    }

    /// No process could be started for a task, which is no fault of the task's.
    fn note_shortage(&mut self, what: &str) {
        if let Some(delay) = self.shortage.note(what, Instant::now()) {
            let seconds = delay.as_secs();
            tracing::warn!(
                "no process can be started for tasks: {what}. They go back, and none is taken for {seconds} s"
            );
            self.beat(false);
        }
    }

    /// Sends what has ended on its way.
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

    /// Hands an issue back to the dispatcher.
    fn hand_back(&self, id: IssueId, reason: ReturnReason) {
        let (reporter, internal) = (self.reporter.clone(), self.internal.clone());
        tokio::spawn(async move {
            reporter.returned(id, reason).await;
            let _ = internal.send(Internal::Finished(vec![id]));
        });
    }

    /// Starts what waits while there are slots; with every slot held by a long task, or no process to be had, keeps
    /// nothing that another worker could run meanwhile.
    async fn fill_slots(&mut self) {
        if self.shortage.ends(Instant::now()) {
            tracing::info!("tasks are taken again");
            self.beat(false);
        }
        let slots = self.settings.slots as usize;
        let mut issues = Vec::new();
        while let Some(next) = self.issues.next().filter(|_| !self.shortage.is_on()) {
            if self.issues.running_count() >= slots && !self.runner.has_room_ahead(&next.task_name) {
                break;
            }
            issues.extend(self.issues.start_next(Instant::now()));
        }
        self.spawn(issues);
        let stuck = self.shortage.is_on() || (self.issues.running_count() >= slots && self.issues.all_long());
        if stuck && !self.paused {
            self.pause().await;
        }
        if stuck && self.issues.waiting_count() > 0 {
            self.give_back(ReturnReason::Busy);
        }
        if !stuck && self.paused && !self.draining {
            self.resume().await;
        }
        if !self.paused && self.short_tasks != self.pace.has_short_tasks() {
            self.set_short_tasks(self.pace.has_short_tasks()).await;
        }
    }

    /// Has issues run, in as many tasks of the runtime as there are slots at most.
    fn spawn(&self, issues: Vec<Run>) {
        let share = issues.len().div_ceil(self.settings.slots.max(1) as usize);
        let mut issues = issues.into_iter();
        while issues.len() > 0 {
            let crew = Crew {
                runner: Arc::clone(&self.runner),
                worker: Arc::clone(&self.settings.id),
                report: self.internal.clone(),
            };
            tokio::spawn(crew.run_all(issues.by_ref().take(share).collect()));
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

    /// Hands everything that waits for a slot back to the dispatcher. Not by a requeue: brokers count
    /// those, and a task that was only passed along must not end as one that kills its workers.
    fn give_back(&mut self, reason: ReturnReason) {
        for waiting in self.issues.take_waiting() {
            let (reporter, internal) = (self.reporter.clone(), self.internal.clone());
            tokio::spawn(async move {
                reporter.returned(waiting.task.issue, reason).await;
                let _ = internal.send(Internal::GivenBack(waiting.delivery));
            });
        }
    }

    async fn pause(&mut self) {
        self.paused = true;
        self.set_short_tasks(false).await;
        for pool in self.settings.steady_subscriptions() {
            self.link.pause(pool).await;
        }
    }

    async fn resume(&mut self) {
        self.paused = false;
        for pool in self.settings.steady_subscriptions() {
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

    /// Brings a delivery to the dead letters, which the dispatcher reads.
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
        // Stale means that the session died first: the delivery comes again and is recognised then.
        if let Err(error) = self.link.settle(at, settlement, false).await {
            tracing::debug!(%error, "a delivery will come again");
        }
    }

    /// Heartbeats are not confirmed: the next one is on its way.
    fn beat(&self, leaving: bool) {
        if self.link.is_up() {
            let catalogue = Arc::clone(&self.catalogue.borrow());
            drop(self.link.publish(heartbeat::message(
                &self.settings,
                &catalogue,
                &self.issues,
                self.shortage.what(),
                leaving,
            )));
        }
    }

    async fn drain(mut self, mut events: LinkEvents, mut orders: mpsc::UnboundedReceiver<Order>, grace: Duration) {
        self.draining = true;
        tracing::info!(running = self.issues.running_count(), "stopping: no further tasks are taken");
        self.pause().await;
        self.give_back(ReturnReason::Draining);
        let mut deadline = Instant::now() + grace;
        let mut heartbeat = tokio::time::interval(self.settings.heartbeat);
        while !self.issues.is_idle() {
            let next_long = self.issues.next_long(self.settings.long_after);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(deadline) => break,
                Some(Order::Drain(grace)) = orders.recv() => deadline = deadline.min(Instant::now() + grace),
                _ = heartbeat.tick() => self.beat(false),
                () = sleep_until(next_long) => self.announce_long().await,
                () = sleep_until(self.acks.due()) => {}
                Some(internal) = self.from_internal.recv() => self.handle_internal(internal),
                Some(event) = events.next() => self.handle_event(event).await,
            }
            // What has not begun never will.
            self.give_back(ReturnReason::Draining);
            self.report_results();
            self.acks.send(&self.link).await;
        }
        // What has ended, and was not handled yet, is not given up with what has not.
        while let Ok(internal) = self.from_internal.try_recv() {
            self.handle_internal(internal);
        }
        self.report_results();
        self.abandon_running().await;
        self.acks.send_all(&self.link).await;
        self.beat(true);
        self.runner.shutdown(GOODBYE).await;
        if let Err(error) = self.link.close(self.time_for_confirms()).await {
            tracing::warn!(%error, "some reports did not reach the broker: it will hand those tasks out again");
        }
    }

    /// Stops what still runs. Deliveries go back with the session; leased tasks are handed back by message.
    async fn abandon_running(&mut self) {
        let running: Vec<(IssueId, bool)> = self
            .issues
            .running()
            .filter(|(_, running)| !running.over)
            .map(|(id, running)| {
                running.stop.cancel();
                (*id, running.delivery.is_none())
            })
            .collect();
        // All at once: where the broker is away each waits in vain, and whoever stops the worker waits too.
        let limit = self.time_for_confirms();
        let handed_back = running.into_iter().map(async |(id, leased)| {
            tracing::warn!(task = %id.task, "stopped a task that did not end in time; it will run again elsewhere");
            if leased {
                let returned = self.reporter.returned(id, ReturnReason::Draining);
                if tokio::time::timeout(limit, returned).await.is_err() {
                    tracing::warn!(task = %id.task, "could not hand a task back: its lease will run out");
                }
            }
        });
        join_all(handed_back).await;
    }

    /// How long to wait for confirms at the end.
    fn time_for_confirms(&self) -> Duration {
        if self.link.is_up() { LAST_CONFIRMS } else { GOODBYE }
    }
}

/// Sleeps until then; for ever where there is no such moment.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
