//! The task that keeps a link up.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::abilities;
use super::backoff::Waits;
use super::declare::{Conflict, declare};
use super::event::{DeliveryRef, LinkEvent, LinkHealth};
use super::one_by_one::OneByOne;
use super::outbox::Current;
use super::plan::{Foundation, Plan, Subscribe, SubscriptionId};
use super::round::{Round, on_node};
use super::shared::Shared;
use crate::topology::QueueKind;
use crate::{Capabilities, Error, ErrorKind, Health, Operation, Result, Session, Settler, Subscription, Transport};

/// A session that lived so long was a success: the waits begin anew.
const STEADY: Duration = Duration::from_secs(5);
/// Declaring and subscribing take at most so long; a session that does not answer is given up.
const SETUP_LIMIT: Duration = Duration::from_secs(60);
/// A session that is given up may take so long to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Commands of the owner of a link to its keeper.
pub(super) enum Command {
    Pause(SubscriptionId, oneshot::Sender<()>),
    Resume(SubscriptionId, oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// Keeps a link up.
pub(super) struct Keeper {
    transport: Arc<dyn Transport>,
    capabilities: Capabilities,
    plan: Plan,
    shared: Arc<Shared>,
    publisher: watch::Sender<Current>,
    events: mpsc::UnboundedSender<LinkEvent>,
    ended: mpsc::UnboundedSender<Ended>,
    from_ended: mpsc::UnboundedReceiver<Ended>,
    paused: HashSet<SubscriptionId>,
    /// The epoch of each subscription that flows.
    flowing: HashMap<SubscriptionId, u64>,
    sessions: u64,
    epochs: u64,
    /// Queues that exist with other properties, as far as that was logged.
    conflicts: HashSet<Conflict>,
    /// What was last reported to keep the link down. The same cause again is not news.
    reported: Option<String>,
    is_down: bool,
}

/// A subscription has ended.
struct Ended {
    subscription: SubscriptionId,
    epoch: u64,
}

/// Why a session is over.
enum Over {
    Died(Arc<Error>),
    Closed(oneshot::Sender<()>),
}

impl Keeper {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        plan: Plan,
        shared: Arc<Shared>,
        publisher: watch::Sender<Current>,
        events: mpsc::UnboundedSender<LinkEvent>,
    ) -> Self {
        let (ended, from_ended) = mpsc::unbounded_channel();
        let capabilities = transport.capabilities();
        let plan = abilities::adapt(plan, &capabilities);
        let paused = plan.subscriptions.iter().enumerate().filter(|(_, wanted)| wanted.paused);
        Self {
            transport,
            capabilities,
            paused: paused.map(|(at, _)| SubscriptionId(at)).collect(),
            plan,
            shared,
            publisher,
            events,
            ended,
            from_ended,
            flowing: HashMap::new(),
            sessions: 0,
            epochs: 0,
            conflicts: HashSet::new(),
            reported: None,
            is_down: false,
        }
    }

    /// Connects, serves, and connects again, until the link is closed.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut waits = Waits::new(self.plan.backoff.clone(), self.plan.seed);
        let nodes = self.transport.nodes().max(1);
        let mut round = Round::of(nodes);
        loop {
            let was_up = match self.open(nodes).await {
                Ok(session) => {
                    let since = Instant::now();
                    *self.shared.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&session));
                    let over = self.serve(&*session, &mut commands).await;
                    self.take_down();
                    let _ = session.close(GOODBYE).await;
                    if since.elapsed() >= STEADY {
                        waits.reset();
                        round.clear();
                        self.reported = None;
                    }
                    match over {
                        Over::Died(cause) => round.add(on_node(cause, &*session, nodes)),
                        Over::Closed(done) => return self.close(done),
                    }
                    true
                }
                Err(error) => {
                    round.add(error);
                    false
                }
            };
            let (cause, all_failed) = (round.cause(), round.is_complete());
            let retry_in = if all_failed { waits.next() } else { Duration::ZERO };
            self.is_down = true;
            self.shared.health.send_replace(LinkHealth::Down(Some(Arc::clone(&cause))));
            // One line for each round of all nodes, not one for each node.
            if was_up || all_failed {
                self.report(&cause, retry_in);
                let _ = self.events.send(LinkEvent::Down { cause, retry_in, attempt: waits.attempt() });
            }
            if all_failed {
                round.clear();
            }
            if let Some(done) = self.wait(retry_in, &mut commands).await {
                return self.close(done);
            }
        }
    }

    /// Logs why the link is down, once for each cause in a row.
    fn report(&mut self, cause: &Error, retry_in: Duration) {
        let (broker, retry_in_ms) = (self.transport.describe(), retry_in.as_millis());
        let text = cause.to_string();
        let queues = &self.plan.topology.queues;
        // Another program of the owner's kind holds the owner's own queue. The owner knows what that means, and says it.
        let is_for_owner =
            queues.iter().any(|queue| queue.kind == QueueKind::Exclusive && cause.is_in_use(&queue.name));
        if is_for_owner || self.reported.as_ref() == Some(&text) {
            tracing::debug!(
                broker,
                cause = cause as &dyn std::error::Error,
                retry_in_ms,
                "still not connected to the broker"
            );
        } else {
            tracing::warn!(broker, cause = cause as &dyn std::error::Error, retry_in_ms, "not connected to the broker");
        }
        self.reported = Some(text);
    }

    /// Opens a session and brings everything up on it.
    async fn open(&mut self, nodes: usize) -> Result<Arc<dyn Session>, Arc<Error>> {
        let session = self.transport.connect().await?;
        let silent = || Error::new(ErrorKind::Timeout, Operation::Declare, "the broker does not answer");
        let set_up = tokio::time::timeout(SETUP_LIMIT, self.set_up(&*session)).await;
        match set_up.unwrap_or_else(|_| Err(silent())) {
            Ok(()) => Ok(session),
            Err(error) => {
                self.take_down();
                let _ = session.close(GOODBYE).await;
                Err(on_node(Arc::new(error), &*session, nodes))
            }
        }
    }

    /// Declares what is missing of the foundation. Without `counts` it cannot be looked for, and not every user has the right to
    /// declare it: then it is left to the program whose topology it is a part of.
    async fn lay_foundation(&self, session: &dyn Session) -> Result<()> {
        let foundation = self.plan.foundation.as_ref().filter(|_| self.capabilities.counts);
        let Some(Foundation { queue, topology }) = foundation else { return Ok(()) };
        match session.ready(queue).await {
            Err(error) if error.kind() == ErrorKind::NotFound => session.declare(topology).await.map_err(|error| {
                let is_refused = error.kind() == ErrorKind::AccessRefused;
                if is_refused {
                    without_foundation(queue, "this user has no right to declare it", error)
                } else {
                    error
                }
            }),
            found => found.map(drop),
        }
    }

    /// Declares the topology. Returns the queues that exist with other properties.
    async fn declare_topology(&self, session: &dyn Session) -> Result<Vec<Conflict>> {
        let declared = declare(session, &self.plan.topology).await;
        declared.map_err(|error| match &self.plan.foundation {
            Some(foundation) if !self.capabilities.counts && error.kind() == ErrorKind::NotFound => {
                without_foundation(&foundation.queue, "this program does not declare it", error)
            }
            _ => error,
        })
    }

    async fn set_up(&mut self, session: &dyn Session) -> Result<()> {
        self.declare(session).await?;
        let publisher = session.publisher(self.plan.window).await?;
        let (mut inbox, mut subscriptions) = (None, Vec::with_capacity(self.plan.subscriptions.len()));
        if self.plan.inbox {
            let opened = session.inbox().await?;
            inbox = Some(opened.address);
            subscriptions.push((SubscriptionId::INBOX, opened.subscription));
        }
        for (at, wanted) in self.plan.subscriptions.iter().enumerate() {
            if !self.paused.contains(&SubscriptionId(at)) {
                let subscription = self.start(session, wanted).await?;
                subscriptions.push((SubscriptionId(at), subscription));
            }
        }
        self.sessions += 1;
        // The owner hears that the link is up when everything is, and before the first delivery: deliveries
        // pass through the same channel, behind it.
        self.shared.health.send_replace(LinkHealth::Up);
        self.publisher.send_replace(Some(publisher));
        let _ = self.events.send(LinkEvent::Up { session: self.sessions, inbox });
        for (id, subscription) in subscriptions {
            self.flow(id, subscription);
        }
        let (broker, node) = (self.transport.describe(), session.node());
        if std::mem::take(&mut self.is_down) {
            tracing::info!(broker, node, "connected to the broker");
        } else {
            tracing::debug!(broker, node, "connected to the broker");
        }
        Ok(())
    }

    /// Declares the topology, and says once of each queue that it is another than it should be.
    async fn declare(&mut self, session: &dyn Session) -> Result<()> {
        if !self.capabilities.declares {
            return abilities::use_existing(session, &self.plan, &self.capabilities).await;
        }
        self.lay_foundation(session).await?;
        for conflict in self.declare_topology(session).await? {
            if self.conflicts.insert(conflict.clone()) {
                tracing::error!(
                    queue = conflict.queue,
                    reason = conflict.reason,
                    "this queue exists with other properties than Hub gives it, and is used as it is: what it loses or \
                     cannot deliver is noticed later or not at all. Stop the programs of this Hub, delete the queue when it \
                     is empty, and start them again"
                );
            }
        }
        Ok(())
    }

    async fn subscribe(&mut self, session: &dyn Session, id: SubscriptionId) -> Result<()> {
        let Some(wanted) = self.plan.subscriptions.get(id.0) else { return Ok(()) };
        let subscription = self.start(session, wanted).await?;
        self.flow(id, subscription);
        Ok(())
    }

    async fn start(&self, session: &dyn Session, wanted: &Subscribe) -> Result<Subscription> {
        match session.subscribe(&wanted.queue, wanted.options).await {
            Err(error) if !self.capabilities.declares => Err(abilities::explained(error, &wanted.queue)),
            started => started,
        }
    }

    /// Leads a subscription's deliveries into the link's events.
    fn flow(&mut self, id: SubscriptionId, subscription: Subscription) {
        self.epochs += 1;
        let epoch = self.epochs;
        let Subscription { mut deliveries, settler } = subscription;
        let one_by_one = (!self.capabilities.acknowledges_many).then(|| Arc::new(OneByOne::new(Arc::clone(&settler))));
        let settler = one_by_one.clone().map_or(settler, |one_by_one| one_by_one as Arc<dyn Settler>);
        self.shared.settlers.lock().unwrap_or_else(PoisonError::into_inner).insert(epoch, settler);
        self.flowing.insert(id, epoch);
        let (events, ended) = (self.events.clone(), self.ended.clone());
        tokio::spawn(async move {
            while let Some(delivery) = deliveries.recv().await {
                let at = DeliveryRef { epoch, subscription: id, tag: delivery.tag };
                if let Some(one_by_one) = &one_by_one {
                    one_by_one.note(at.tag);
                }
                if events.send(LinkEvent::Delivery(id, at, delivery)).is_err() {
                    return;
                }
            }
            let _ = ended.send(Ended { subscription: id, epoch });
        });
    }

    /// Serves a session until it is over.
    async fn serve(&mut self, session: &dyn Session, commands: &mut mpsc::UnboundedReceiver<Command>) -> Over {
        let mut health = session.health();
        loop {
            let now = health.borrow_and_update().clone();
            if let Some(cause) = self.note_health(now) {
                return Over::Died(cause);
            }
            tokio::select! {
                biased;
                changed = health.changed() => if changed.is_err() {
                    return Over::Died(Arc::new(closed("the session was dropped")));
                },
                Some(ended) = self.from_ended.recv() => {
                    if self.flowing.get(&ended.subscription) == Some(&ended.epoch)
                        && let Err(error) = self.restart_flow(session, ended.subscription).await
                    {
                        return Over::Died(Arc::new(error));
                    }
                }
                command = commands.recv() => match command {
                    Some(Command::Close(done)) => return Over::Closed(done),
                    Some(Command::Pause(id, done)) => {
                        self.pause(id).await;
                        let _ = done.send(());
                    }
                    Some(Command::Resume(id, done)) => {
                        let resumed = self.resume(session, id).await;
                        let _ = done.send(());
                        if let Err(error) = resumed {
                            return Over::Died(Arc::new(error));
                        }
                    }
                    // Every handle is gone.
                    None => return Over::Closed(oneshot::channel().0),
                },
            }
        }
    }

    /// Tells the owner of a change; returns the cause where the session is over.
    fn note_health(&self, health: Health) -> Option<Arc<Error>> {
        match health {
            Health::Up => {
                let was = self.shared.health.send_replace(LinkHealth::Up);
                if matches!(was, LinkHealth::Blocked(_)) {
                    tracing::info!("the broker takes messages again");
                    let _ = self.events.send(LinkEvent::Unblocked);
                }
                None
            }
            Health::Blocked(reason) => {
                tracing::warn!(reason, "the broker takes no messages at present");
                self.shared.health.send_replace(LinkHealth::Blocked(reason.clone()));
                let _ = self.events.send(LinkEvent::Blocked(reason));
                None
            }
            Health::Closed(cause) => Some(cause.unwrap_or_else(|| Arc::new(closed("the session was closed")))),
        }
    }

    /// A subscription ended under a living session: its queue may be gone, and everything else with it.
    async fn restart_flow(&mut self, session: &dyn Session, id: SubscriptionId) -> Result<()> {
        self.flowing.remove(&id);
        // Where the session is dying too, its health says so in a moment; starting again fails then.
        tracing::warn!(?id, "a subscription ended: declaring and subscribing again");
        if id == SubscriptionId::INBOX {
            return Err(closed("the place for replies is gone"));
        }
        let again = async {
            self.declare(session).await?;
            self.subscribe(session, id).await
        };
        let timeout = Error::new(ErrorKind::Timeout, Operation::Subscribe, "the broker does not answer");
        tokio::time::timeout(SETUP_LIMIT, again).await.map_err(|_| timeout)?
    }

    async fn pause(&mut self, id: SubscriptionId) {
        self.paused.insert(id);
        if let Some(epoch) = self.flowing.remove(&id) {
            let settler = self.shared.settlers.lock().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned();
            if let Some(settler) = settler
                && let Err(error) = settler.cancel().await
            {
                tracing::debug!(%error, "a subscription could not be cancelled: its session is ending");
            }
        }
    }

    async fn resume(&mut self, session: &dyn Session, id: SubscriptionId) -> Result<()> {
        if self.paused.remove(&id) && !self.flowing.contains_key(&id) {
            self.subscribe(session, id).await?;
        }
        Ok(())
    }

    /// Between sessions: waits, and heeds commands. Returns the close command's answer, if there was one.
    async fn wait(
        &mut self,
        duration: Duration,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Option<oneshot::Sender<()>> {
        let until = tokio::time::sleep(duration);
        tokio::pin!(until);
        loop {
            tokio::select! {
                // Commands first: between two nodes there is no wait in which they could be heeded.
                biased;
                command = commands.recv() => match command {
                    Some(Command::Close(done)) => return Some(done),
                    Some(Command::Pause(id, done)) => {
                        self.paused.insert(id);
                        let _ = done.send(());
                    }
                    Some(Command::Resume(id, done)) => {
                        self.paused.remove(&id);
                        let _ = done.send(());
                    }
                    None => return Some(oneshot::channel().0),
                },
                () = &mut until => return None,
            }
        }
    }

    /// Nothing of a session is used any more.
    fn take_down(&mut self) {
        self.publisher.send_replace(None);
        self.shared.session.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.flowing.clear();
        self.shared.settlers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn close(self, done: oneshot::Sender<()>) {
        self.shared.health.send_replace(LinkHealth::Closed);
        let _ = done.send(());
    }
}

/// Something is missing that another program declares: waiting can help.
fn without_foundation(queue: &str, why: &str, error: Error) -> Error {
    let message = format!("there is no queue {queue:?}, and {why}: start the dispatcher first, or check the prefix");
    Error::new(ErrorKind::Unreachable, Operation::Declare, message).with_source(error)
}

fn closed(message: &str) -> Error {
    Error::new(ErrorKind::Closed, Operation::Subscribe, message)
}
