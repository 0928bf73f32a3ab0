//! The task that keeps a link connected.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::abilities;
use super::backoff::Delays;
use super::declare::{Conflict, declare};
use super::event::{DeliveryRef, LinkEvent, LinkHealth};
use super::one_by_one::OneByOne;
use super::outbox::CurrentPublisher;
use super::plan::{Foundation, Plan, Subscribe, SubscriptionId};
use super::round::{Round, on_node};
use super::shared::Shared;
use crate::topology::QueueKind;
use crate::{Capabilities, Error, ErrorKind, Health, Operation, Result, Session, Settler, Subscription, Transport};

/// Minimum duration of a session after which the backoff is reset.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// Maximum time for declaring and subscribing. After it, the session is closed.
const SETUP_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum time to close a session.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Commands from the owner of a link.
pub(super) enum Command {
    Pause(SubscriptionId, oneshot::Sender<()>),
    Resume(SubscriptionId, oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// Keeps a link connected.
pub(super) struct Supervisor {
    transport: Arc<dyn Transport>,
    capabilities: Capabilities,
    plan: Plan,
    shared: Arc<Shared>,
    publisher: watch::Sender<CurrentPublisher>,
    events: mpsc::UnboundedSender<LinkEvent>,
    ended: mpsc::UnboundedSender<Ended>,
    from_ended: mpsc::UnboundedReceiver<Ended>,
    paused: HashSet<SubscriptionId>,
    /// The epoch of each active subscription.
    active: HashMap<SubscriptionId, u64>,
    sessions: u64,
    epochs: u64,
    /// Conflicting queues that have been logged.
    conflicts: HashSet<Conflict>,
    /// The last logged cause of a failure. The same cause is not logged as a warning again.
    reported: Option<String>,
    is_down: bool,
}

/// A subscription has ended.
struct Ended {
    subscription: SubscriptionId,
    epoch: u64,
}

/// Why a session has ended.
enum SessionEnd {
    Failed(Arc<Error>),
    Closed(oneshot::Sender<()>),
}

impl Supervisor {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        plan: Plan,
        shared: Arc<Shared>,
        publisher: watch::Sender<CurrentPublisher>,
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
            active: HashMap::new(),
            sessions: 0,
            epochs: 0,
            conflicts: HashSet::new(),
            reported: None,
            is_down: false,
        }
    }

    /// Connects and reconnects until the link is closed.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut delays = Delays::new(self.plan.backoff.clone(), self.plan.seed);
        let nodes = self.transport.nodes().max(1);
        let mut round = Round::of(nodes);
        loop {
            let was_up = match self.open(nodes).await {
                Ok(session) => {
                    let since = Instant::now();
                    *self.shared.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&session));
                    let end = self.run_session(&*session, &mut commands).await;
                    self.clear_session();
                    let _ = session.close(CLOSE_TIMEOUT).await;
                    if since.elapsed() >= STABLE_AFTER {
                        delays.reset();
                        round.clear();
                        self.reported = None;
                    }
                    match end {
                        SessionEnd::Failed(cause) => round.add(on_node(cause, &*session, nodes)),
                        SessionEnd::Closed(done) => return self.close(done),
                    }
                    true
                }
                Err(error) => {
                    round.add(error);
                    false
                }
            };
            let (cause, all_failed) = (round.cause(), round.is_complete());
            let retry_in = if all_failed { delays.next() } else { Duration::ZERO };
            self.is_down = true;
            self.shared.health.send_replace(LinkHealth::Down(Some(Arc::clone(&cause))));
            // One log line for each round of all nodes, not for each node.
            if was_up || all_failed {
                self.report(&cause, retry_in);
                let _ = self.events.send(LinkEvent::Down { cause, retry_in, attempt: delays.attempt() });
            }
            if all_failed {
                round.clear();
            }
            if let Some(done) = self.wait(retry_in, &mut commands).await {
                return self.close(done);
            }
        }
    }

    /// Logs why the link is down. A repeated cause is logged at debug level.
    fn report(&mut self, cause: &Error, retry_in: Duration) {
        let (broker, retry_in_ms) = (self.transport.describe(), retry_in.as_millis());
        let text = cause.to_string();
        let queues = &self.plan.topology.queues;
        // If another program holds the owner's exclusive queue, the owner logs a more specific message.
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

    /// Opens a session, declares the topology and subscribes.
    async fn open(&mut self, nodes: usize) -> Result<Arc<dyn Session>, Arc<Error>> {
        let session = self.transport.connect().await?;
        let silent = || Error::new(ErrorKind::Timeout, Operation::Declare, "the broker does not answer");
        let set_up = tokio::time::timeout(SETUP_TIMEOUT, self.set_up(&*session)).await;
        match set_up.unwrap_or_else(|_| Err(silent())) {
            Ok(()) => Ok(session),
            Err(error) => {
                self.clear_session();
                let _ = session.close(CLOSE_TIMEOUT).await;
                Err(on_node(Arc::new(error), &*session, nodes))
            }
        }
    }

    /// Declares the foundation if it does not exist. Without the capability `counts` this cannot be checked, and not every user may
    /// declare it: then it is left to the program whose topology contains it.
    async fn declare_foundation(&self, session: &dyn Session) -> Result<()> {
        let foundation = self.plan.foundation.as_ref().filter(|_| self.capabilities.counts);
        let Some(Foundation { queue, topology }) = foundation else { return Ok(()) };
        match session.ready(queue).await {
            Err(error) if error.kind() == ErrorKind::NotFound => session.declare(topology).await.map_err(|error| {
                let is_refused = error.kind() == ErrorKind::AccessRefused;
                if is_refused {
                    without_foundation(queue, "this user has no permission to declare it", error)
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
        // The event `Up` is sent when everything is set up, and before the first delivery, which uses the same channel.
        self.shared.health.send_replace(LinkHealth::Up);
        self.publisher.send_replace(Some(publisher));
        let _ = self.events.send(LinkEvent::Up { session: self.sessions, inbox });
        for (id, subscription) in subscriptions {
            self.forward(id, subscription);
        }
        let (broker, node) = (self.transport.describe(), session.node());
        if std::mem::take(&mut self.is_down) {
            tracing::info!(broker, node, "connected to the broker");
        } else {
            tracing::debug!(broker, node, "connected to the broker");
        }
        Ok(())
    }

    /// Declares the topology, and logs each conflicting queue once.
    async fn declare(&mut self, session: &dyn Session) -> Result<()> {
        if !self.capabilities.declares {
            return abilities::use_existing(session, &self.plan, &self.capabilities).await;
        }
        self.declare_foundation(session).await?;
        for conflict in self.declare_topology(session).await? {
            if self.conflicts.insert(conflict.clone()) {
                tracing::error!(
                    queue = conflict.queue,
                    reason = conflict.reason,
                    "this queue exists with other properties than Hub declares, and is used unchanged: messages that it loses \
                     or cannot deliver are detected late or never. Stop the programs of this Hub, delete the queue when it is \
                     empty, and start them again"
                );
            }
        }
        Ok(())
    }

    async fn subscribe(&mut self, session: &dyn Session, id: SubscriptionId) -> Result<()> {
        let Some(wanted) = self.plan.subscriptions.get(id.0) else { return Ok(()) };
        let subscription = self.start(session, wanted).await?;
        self.forward(id, subscription);
        Ok(())
    }

    async fn start(&self, session: &dyn Session, wanted: &Subscribe) -> Result<Subscription> {
        match session.subscribe(&wanted.queue, wanted.options).await {
            Err(error) if !self.capabilities.declares => Err(abilities::explained(error, &wanted.queue)),
            started => started,
        }
    }

    /// Forwards the deliveries of a subscription to the link's events.
    fn forward(&mut self, id: SubscriptionId, subscription: Subscription) {
        self.epochs += 1;
        let epoch = self.epochs;
        let Subscription { mut deliveries, settler } = subscription;
        let one_by_one = (!self.capabilities.acknowledges_many).then(|| Arc::new(OneByOne::new(Arc::clone(&settler))));
        let settler = one_by_one.clone().map_or(settler, |one_by_one| one_by_one as Arc<dyn Settler>);
        self.shared.settlers.lock().unwrap_or_else(PoisonError::into_inner).insert(epoch, settler);
        self.active.insert(id, epoch);
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

    /// Runs a session until it ends.
    async fn run_session(
        &mut self,
        session: &dyn Session,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> SessionEnd {
        let mut health = session.health();
        loop {
            let now = health.borrow_and_update().clone();
            if let Some(cause) = self.note_health(now) {
                return SessionEnd::Failed(cause);
            }
            tokio::select! {
                biased;
                changed = health.changed() => if changed.is_err() {
                    return SessionEnd::Failed(Arc::new(closed("the session was dropped")));
                },
                Some(ended) = self.from_ended.recv() => {
                    if self.active.get(&ended.subscription) == Some(&ended.epoch)
                        && let Err(error) = self.restart_subscription(session, ended.subscription).await
                    {
                        return SessionEnd::Failed(Arc::new(error));
                    }
                }
                command = commands.recv() => match command {
                    Some(Command::Close(done)) => return SessionEnd::Closed(done),
                    Some(Command::Pause(id, done)) => {
                        self.pause(id).await;
                        let _ = done.send(());
                    }
                    Some(Command::Resume(id, done)) => {
                        let resumed = self.resume(session, id).await;
                        let _ = done.send(());
                        if let Err(error) = resumed {
                            return SessionEnd::Failed(Arc::new(error));
                        }
                    }
                    // All handles were dropped.
                    None => return SessionEnd::Closed(oneshot::channel().0),
                },
            }
        }
    }

    /// Reports a change to the owner. Returns the cause if the session has ended.
    fn note_health(&self, health: Health) -> Option<Arc<Error>> {
        match health {
            Health::Up => {
                let was = self.shared.health.send_replace(LinkHealth::Up);
                if matches!(was, LinkHealth::Blocked(_)) {
                    tracing::info!("the broker accepts messages again");
                    let _ = self.events.send(LinkEvent::Unblocked);
                }
                None
            }
            Health::Blocked(reason) => {
                tracing::warn!(reason, "the broker blocks publishing");
                self.shared.health.send_replace(LinkHealth::Blocked(reason.clone()));
                let _ = self.events.send(LinkEvent::Blocked(reason));
                None
            }
            Health::Closed(cause) => Some(cause.unwrap_or_else(|| Arc::new(closed("the session was closed")))),
        }
    }

    /// Declares the topology and subscribes again after a subscription ended within a live session, since queues may have been
    /// deleted.
    async fn restart_subscription(&mut self, session: &dyn Session, id: SubscriptionId) -> Result<()> {
        self.active.remove(&id);
        // If the session is ending as well, this fails.
        tracing::warn!(?id, "a subscription ended: declaring and subscribing again");
        if id == SubscriptionId::INBOX {
            return Err(closed("the queue for replies was deleted"));
        }
        let again = async {
            self.declare(session).await?;
            self.subscribe(session, id).await
        };
        let timeout = Error::new(ErrorKind::Timeout, Operation::Subscribe, "the broker does not answer");
        tokio::time::timeout(SETUP_TIMEOUT, again).await.map_err(|_| timeout)?
    }

    async fn pause(&mut self, id: SubscriptionId) {
        self.paused.insert(id);
        if let Some(epoch) = self.active.remove(&id) {
            let settler = self.shared.settlers.lock().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned();
            if let Some(settler) = settler
                && let Err(error) = settler.cancel().await
            {
                tracing::debug!(%error, "cannot cancel a subscription, because its session is ending");
            }
        }
    }

    async fn resume(&mut self, session: &dyn Session, id: SubscriptionId) -> Result<()> {
        if self.paused.remove(&id) && !self.active.contains_key(&id) {
            self.subscribe(session, id).await?;
        }
        Ok(())
    }

    /// Delays between sessions and processes commands. Returns the reply channel of a close command.
    async fn wait(
        &mut self,
        duration: Duration,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Option<oneshot::Sender<()>> {
        let until = tokio::time::sleep(duration);
        tokio::pin!(until);
        loop {
            tokio::select! {
                // Commands first, because the delay between two nodes is zero.
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

    /// Removes all references to the session.
    fn clear_session(&mut self) {
        self.publisher.send_replace(None);
        self.shared.session.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.active.clear();
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
