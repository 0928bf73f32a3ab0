//! The loop: takes what has arrived, has the core decide, and starts what it decided.
//!
//! One turn takes everything that is there, without waiting for more, so that a turn is one message when
//! idle and a thousand under load. While one batch is being committed the next one grows.

mod demands;
mod echo;
mod effects;
mod refused;
mod removals;
mod reports;
mod retries;
mod schedules;
mod sub_jobs;
mod waits;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hub_core::JobId;
use hub_core::action::Action;
use hub_core::machine::Machine;
use hub_transport::supervisor::{Link, LinkEvent, LinkEvents};
use hub_transport::{Capabilities, Delivery};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::batch::Batch;
use super::batches::{Batches, Done};
use super::desk::FrontDesk;
use super::inputs::{Ended, Input};
use super::lately::{Lately, Lookups};
use super::publish::{self, Depth};
use super::room::Room;
use super::settings::{DEAD, DispatcherSettings, HEARTBEATS, JOBS, REQUESTS, RESULTS, UNROUTED};
use crate::acks::Acks;
use crate::clock::{now, sleep_until, steady};
use crate::events::Events;
use crate::operations::RequestError;
use crate::store::{Store, StoreError};
use echo::Echo;
use removals::Removals;

/// How many inputs one turn takes at most, so that commits and publishes start in between.
const TURN: usize = 2048;
/// How long it takes inputs at most. An answer to the question how the dispatcher is does not wait longer, whatever comes in.
const TURN_TIME: Duration = Duration::from_millis(20);

/// How the loop ends.
enum End {
    /// In good order, within this time.
    Stop(Duration),
    /// At once, because the store is of no use.
    GiveUp(StoreError),
}

/// The loop's state.
pub(super) struct Driver {
    machine: Machine,
    store: Arc<dyn Store>,
    store_works: Arc<AtomicBool>,
    link: Link,
    settings: DispatcherSettings,
    /// What the broker can do.
    capabilities: Capabilities,
    /// Where clients are answered.
    desk: Arc<FrontDesk>,
    /// What changes, for watchers.
    events: Events,
    inputs: mpsc::UnboundedSender<Input>,
    ready: watch::Sender<bool>,
    /// Why the loop gave up, if it did.
    broken: watch::Sender<Option<Arc<StoreError>>>,
    batches: Batches,
    /// What is done with and not acknowledged yet.
    acks: Acks,
    echo: Echo,
    /// The routing key of echoes.
    echo_key: String,
    pending: Batch,
    committing: Option<Batch>,
    /// When the last commit began.
    committed_at: Option<Instant>,
    actions: Vec<Action>,
    /// Those who wait for the end of a job.
    waiters: HashMap<JobId, Vec<oneshot::Sender<Ended>>>,
    /// Jobs that a look-up in the store may have missed.
    lately: Lately,
    ended_since_prune: u64,
    intake_paused: bool,
    room: Arc<Room>,
    /// How large the messages are together that are published and not confirmed.
    publishing_bytes: usize,
    /// Jobs that the store cannot keep, and that take several turns to end: what those are told who submit them again.
    refused: HashMap<JobId, RequestError>,
    /// Whether it was reported that another dispatcher serves this Hub.
    stands_by: bool,
    /// What policies of the broker have removed.
    removals: Removals,
    /// Whether heartbeats of further workers are ignored.
    too_many_workers: bool,
}

impl Driver {
    #[allow(clippy::too_many_arguments, reason = "the parts of the loop, each once")]
    pub(super) fn new(
        machine: Machine,
        store: Arc<dyn Store>,
        link: Link,
        acks: Acks,
        settings: DispatcherSettings,
        capabilities: Capabilities,
        desk: Arc<FrontDesk>,
        events: Events,
        inputs: mpsc::UnboundedSender<Input>,
        ready: watch::Sender<bool>,
        broken: watch::Sender<Option<Arc<StoreError>>>,
        lookups: Lookups,
        room: Arc<Room>,
        id: &str,
    ) -> Self {
        let mut batches = Batches::default();
        batches.open(0);
        Self {
            machine,
            store,
            store_works: Arc::new(AtomicBool::new(true)),
            link,
            echo: Echo::new(settings.echo_interval()),
            echo_key: settings.names.echo_key(id),
            settings,
            capabilities,
            desk,
            events,
            inputs,
            ready,
            broken,
            batches,
            acks,
            pending: Batch::new(0),
            committing: None,
            committed_at: None,
            actions: Vec::new(),
            waiters: HashMap::new(),
            lately: Lately::new(lookups),
            ended_since_prune: 0,
            intake_paused: false,
            room,
            publishing_bytes: 0,
            refused: HashMap::new(),
            stands_by: false,
            removals: Removals::default(),
            too_many_workers: false,
        }
    }

    /// Serves until it is told to stop.
    pub(super) async fn run(mut self, mut events: LinkEvents, mut inputs: mpsc::UnboundedReceiver<Input>) {
        self.prune_now();
        loop {
            let (timeout, echo) = (self.machine.poll_timeout(), self.echo.due(self.machine.poll_expiry()));
            // The rarest first, so that no flood of events holds up the clock or what the loop began itself.
            tokio::select! {
                biased;
                () = sleep_until(timeout) => self.handle_timeout(),
                () = sleep_until(echo) => self.send_echo(),
                () = sleep_until_instant(self.acks.due()) => {}
                () = sleep_until_instant(self.lingers_until()) => {}
                Some(input) = inputs.recv() => {
                    if let Some(end) = self.handle_input(input) {
                        return self.end(inputs, end).await;
                    }
                }
                event = events.next() => match event {
                    Some(event) => self.handle_event(event),
                    None => return,
                },
                () = std::future::ready(()), if self.machine.wants_turn() => {}
            }
            let began = Instant::now();
            for _ in 0..TURN {
                if began.elapsed() > TURN_TIME {
                    break;
                }
                if let Some(event) = events.try_next() {
                    self.handle_event(event);
                } else if let Ok(input) = inputs.try_recv() {
                    if let Some(end) = self.handle_input(input) {
                        return self.end(inputs, end).await;
                    }
                } else {
                    break;
                }
            }
            self.flush();
            self.acks.send(&self.link).await;
            self.regulate_intake().await;
        }
    }

    fn handle_event(&mut self, event: LinkEvent) {
        self.pending.hurry(Instant::now());
        match event {
            LinkEvent::Up { .. } => {
                self.stands_by = false;
                self.machine.handle_link(true, now());
                self.echo.connected(steady());
                publish::announce(&self.link, &self.settings.names);
                if !self.ready.send_replace(true) {
                    tracing::info!("Starting dispatcher, listening for jobs and results...");
                }
            }
            LinkEvent::Down { cause, .. } => {
                // Two with stores of their own would take each other's results.
                let is_taken = cause.is_in_use(&self.settings.names.dispatcher_lock());
                if is_taken && !self.stands_by {
                    tracing::warn!(
                        hub = self.settings.names.hub(),
                        "another dispatcher serves this Hub: this one stands by and takes over when that one ends"
                    );
                }
                self.stands_by = is_taken;
                if is_taken {
                    self.machine.serve_schedules(false, now());
                }
                self.batches.forget_deliveries();
                self.acks.forget_all();
                self.echo.disconnected();
                self.machine.handle_link(false, now());
            }
            LinkEvent::Blocked(_) | LinkEvent::Unblocked => {}
            LinkEvent::Delivery(JOBS, at, delivery) => {
                self.acks.note(at);
                self.desk.take_jobs(at, delivery);
            }
            LinkEvent::Delivery(RESULTS, at, delivery) => self.handle_report(at, delivery),
            LinkEvent::Delivery(REQUESTS, at, delivery) => {
                self.acks.note(at);
                self.desk.take_request(at, delivery);
            }
            // A client may submit while the first dispatcher still declares what leads to its queue.
            LinkEvent::Delivery(UNROUTED, at, delivery) if self.settings.names.is_submission(&delivery.message) => {
                self.acks.note(at);
                self.desk.take_jobs(at, delivery);
            }
            LinkEvent::Delivery(HEARTBEATS, at, delivery) => {
                if delivery.message.routing_key == self.echo_key {
                    self.handle_echo(&delivery);
                } else {
                    self.handle_heartbeat(&delivery);
                }
                self.acks.note(at);
                self.acks.done(at);
            }
            LinkEvent::Delivery(subscription, at, delivery) => {
                self.handle_stray(subscription == DEAD, &delivery);
                self.acks.note(at);
                self.hold(at, false);
            }
        }
    }

    async fn end(self, inputs: mpsc::UnboundedReceiver<Input>, end: End) {
        match end {
            End::Stop(grace) => self.stop(inputs, grace).await,
            End::GiveUp(error) => self.give_up(error).await,
        }
    }

    /// Handles one input. Returns how the loop ends, where it does.
    fn handle_input(&mut self, input: Input) -> Option<End> {
        if !input.is_confirmation() {
            self.pending.hurry(Instant::now());
        }
        match input {
            Input::Submit { jobs, permit, delivery } => self.handle_submissions(jobs, permit, delivery),
            Input::Ask(ask) => self.handle_ask(ask),
            Input::Committed(number) => self.handle_committed(number),
            Input::Published { batch, bytes, outcomes } => self.handle_published(batch, bytes, outcomes),
            Input::Refused { number, changes, change, why } => self.handle_refused(number, changes, change, &why),
            Input::StoreBroken(error) => return Some(End::GiveUp(error)),
            Input::NothingKept(at) | Input::Answered(at) => self.acks.done(at),
            Input::Read(task, id, job) => self.machine.continue_sub_job(task, id, job.map(|job| *job), now()),
            Input::Run(run) => self.handle_run(*run),
            Input::Depth(depth) => self.handle_depth(&depth),
            Input::Stop(grace) => return Some(End::Stop(grace)),
        }
        None
    }

    /// When the batch that grows has waited for company long enough.
    fn lingers_until(&self) -> Option<Instant> {
        self.pending.due.filter(|_| self.committing.is_none())
    }

    /// Acknowledges what is kept and confirmed.
    fn acknowledge(&mut self, done: Done) {
        done.single.into_iter().for_each(|delivery| self.acks.done(delivery));
        done.ordered.into_iter().for_each(|(delivery, count)| self.acks.done_up_to(delivery, count));
    }

    fn handle_depth(&mut self, Depth { pool, ready, asked }: &Depth) {
        let lost = self.machine.handle_depth(pool, *ready, *asked);
        if lost > 0 {
            tracing::warn!(
                %pool,
                tasks = lost,
                "the broker has lost messages of these tasks, or their results: they are handed out again. If this comes \
                 again, a policy may remove messages: {} and {} must have no message TTL and no maximum length \
                 (rabbitmqctl list_policies)",
                self.settings.names.results_queue(),
                self.settings.names.pool_queue(pool),
            );
            // Nobody would tell of it a second time.
            self.pending.commit_first = true;
        }
    }

    /// An echo is due: see [`echo`].
    fn send_echo(&mut self) {
        let echo = self.echo.send(steady());
        if echo.became_overdue {
            tracing::warn!("the broker accepts no messages: lease expiry is suspended");
            self.machine.handle_link(false, now());
        }
        publish::echo(&self.link, &self.settings.names, &self.echo_key, echo.number);
    }

    fn handle_echo(&mut self, delivery: &Delivery) {
        let number = delivery.message.message_id.as_deref().and_then(|number| number.parse().ok());
        let Some(heard) = number.and_then(|number| self.echo.heard(number)) else { return };
        if heard.was_overdue {
            tracing::info!("the broker accepts messages again: lease expiry resumes");
            self.machine.handle_link(true, now());
        }
        // As with a timer: what follows from time passing does not come again after a crash.
        self.pending.commit_first |= self.machine.poll_expiry().is_some_and(|expiry| expiry <= heard.until);
        self.machine.handle_heard(heard.until, now());
    }

    fn handle_timeout(&mut self) {
        self.machine.handle_timeout(now());
        // The clock does not come again after a crash, at least not with the same effects.
        self.pending.commit_first = true;
    }
}

/// Sleeps until then; for ever where there is no such moment.
async fn sleep_until_instant(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
