//! The task that keeps a link up.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::backoff::Waits;
use super::link::{DeliveryRef, LinkEvent, LinkHealth, Plan, Shared, SubscriptionId};
use super::outbox::Current;
use crate::topology::QueueKind;
use crate::{Error, ErrorKind, Health, Operation, Result, Session, Subscription, Transport};

/// A session that lived so long was a success: the waits begin anew.
const STEADY: Duration = Duration::from_secs(5);
/// Declaring and subscribing take at most so long; a session that does not answer is given up.
const SETUP_LIMIT: Duration = Duration::from_secs(60);
/// A session that is given up may take so long to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// What a link's owner tells its keeper.
pub(super) enum Command {
    Pause(SubscriptionId, oneshot::Sender<()>),
    Resume(SubscriptionId, oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// Keeps a link up.
pub(super) struct Keeper {
    transport: Arc<dyn Transport>,
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
        let paused = plan.subscriptions.iter().enumerate().filter(|(_, wanted)| wanted.paused);
        Self {
            transport,
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
            reported: None,
            is_down: false,
        }
    }

    /// Dials, serves, and dials again, until told to close.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut waits = Waits::new(self.plan.backoff.clone(), self.plan.seed);
        loop {
            let cause = match self.open().await {
                Ok(session) => {
                    let since = Instant::now();
                    *self.shared.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&session));
                    let over = self.serve(&*session, &mut commands).await;
                    self.take_down();
                    let _ = session.close(GOODBYE).await;
                    if since.elapsed() >= STEADY {
                        waits.reset();
                        self.reported = None;
                    }
                    match over {
                        Over::Died(cause) => cause,
                        Over::Closed(done) => return self.close(done),
                    }
                }
                Err(error) => Arc::new(error),
            };
            let retry_in = waits.next();
            self.report(&cause, retry_in);
            self.shared.health.send_replace(LinkHealth::Down(Some(Arc::clone(&cause))));
            let _ = self.events.send(LinkEvent::Down { cause, retry_in, attempt: waits.attempt() });
            if let Some(done) = self.wait(retry_in, &mut commands).await {
                return self.close(done);
            }
        }
    }

    /// Logs why the link is down, once for each cause in a row.
    fn report(&mut self, cause: &Error, retry_in: Duration) {
        self.is_down = true;
        let (broker, retry_in_ms) = (self.transport.describe(), retry_in.as_millis());
        let text = cause.to_string();
        let queues = &self.plan.topology.queues;
        // Another program of the owner's kind holds the owner's own queue. The owner knows what that means, and says it.
        let is_for_owner = cause.kind() == ErrorKind::InUse
            && queues.iter().any(|queue| queue.kind == QueueKind::Exclusive && text.contains(&queue.name));
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
    async fn open(&mut self) -> Result<Arc<dyn Session>> {
        let session = self.transport.connect().await?;
        match tokio::time::timeout(SETUP_LIMIT, self.set_up(&*session)).await {
            Ok(Ok(())) => Ok(session),
            Ok(Err(error)) => {
                self.take_down();
                let _ = session.close(GOODBYE).await;
                Err(error)
            }
            Err(_) => {
                self.take_down();
                Err(Error::new(ErrorKind::Timeout, Operation::Declare, "the broker does not answer"))
            }
        }
    }

    async fn set_up(&mut self, session: &dyn Session) -> Result<()> {
        session.declare(&self.plan.topology).await?;
        let publisher = session.publisher(self.plan.window).await?;
        let (mut inbox, mut subscriptions) = (None, Vec::with_capacity(self.plan.subscriptions.len()));
        if self.plan.inbox {
            let opened = session.inbox().await?;
            inbox = Some(opened.address);
            subscriptions.push((SubscriptionId::INBOX, opened.subscription));
        }
        for (at, wanted) in self.plan.subscriptions.iter().enumerate() {
            if !self.paused.contains(&SubscriptionId(at)) {
                let subscription = session.subscribe(&wanted.queue, wanted.options).await?;
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
        if std::mem::take(&mut self.is_down) {
            tracing::info!(broker = self.transport.describe(), "connected to the broker");
        }
        Ok(())
    }

    async fn subscribe(&mut self, session: &dyn Session, id: SubscriptionId) -> Result<()> {
        let Some(wanted) = self.plan.subscriptions.get(id.0) else { return Ok(()) };
        let subscription = session.subscribe(&wanted.queue, wanted.options).await?;
        self.flow(id, subscription);
        Ok(())
    }

    /// Leads a subscription's deliveries into the link's events.
    fn flow(&mut self, id: SubscriptionId, subscription: Subscription) {
        self.epochs += 1;
        let epoch = self.epochs;
        let Subscription { mut deliveries, settler } = subscription;
        self.shared.settlers.lock().unwrap_or_else(PoisonError::into_inner).insert(epoch, settler);
        self.flowing.insert(id, epoch);
        let (events, ended) = (self.events.clone(), self.ended.clone());
        tokio::spawn(async move {
            while let Some(delivery) = deliveries.recv().await {
                let at = DeliveryRef { epoch, subscription: id, tag: delivery.tag };
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
            session.declare(&self.plan.topology).await?;
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
                biased;
                () = &mut until => return None,
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

fn closed(message: &str) -> Error {
    Error::new(ErrorKind::Closed, Operation::Subscribe, message)
}
