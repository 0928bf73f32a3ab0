//! The simulated path of messages to the broker, and of confirms back.

use std::sync::Arc;

use async_trait::async_trait;
use hub_transport::{Error, ErrorKind, Message, Operation, Outcome, Publisher, Receipt, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::connection::Connection;
use super::event::Event;
use super::note::Note;
use super::tamper;

/// Publishes over a simulated connection.
pub struct SimPublisher {
    connection: Arc<Connection>,
    way: mpsc::UnboundedSender<Parcel>,
}

/// A message in transit.
struct Parcel {
    arrives: Instant,
    message: Message,
    outcome: oneshot::Sender<Outcome>,
}

/// A confirm in transit.
struct Answer {
    note: Note,
    receipt: Receipt,
    outcome: oneshot::Sender<Outcome>,
}

impl SimPublisher {
    /// Opens a publisher.
    pub fn start(connection: Arc<Connection>, inner: Arc<dyn Publisher>) -> Arc<Self> {
        let (way, parcels) = mpsc::unbounded_channel();
        let (back, answers) = mpsc::unbounded_channel();
        tokio::spawn(carry(Arc::clone(&connection), inner, parcels, back));
        tokio::spawn(bring_back(Arc::clone(&connection), answers));
        Arc::new(Self { connection, way })
    }
}

#[async_trait]
impl Publisher for SimPublisher {
    async fn publish(&self, message: Message) -> Result<Receipt> {
        let process = &self.connection.process;
        process.step().await;
        self.connection.may_break();
        if !self.connection.holds() {
            return Err(Error::new(ErrorKind::Closed, Operation::Publish, "the connection broke"));
        }
        let (outcome, receipt) = Receipt::new();
        let arrives = Instant::now() + process.world().latency();
        // A way that is gone drops the sender, and so the receipt resolves to `Unknown`.
        let _ = self.way.send(Parcel { arrives, message, outcome });
        // Let the message arrive before the next step of the process, where it may be killed.
        tokio::task::yield_now().await;
        process.step().await;
        Ok(receipt)
    }
}

/// Delivers messages to the broker in order, except those that are overtaken.
async fn carry(
    connection: Arc<Connection>,
    inner: Arc<dyn Publisher>,
    mut parcels: mpsc::UnboundedReceiver<Parcel>,
    back: mpsc::UnboundedSender<Answer>,
) {
    let world = Arc::clone(connection.process.world());
    while let Some(parcel) = parcels.recv().await {
        if world.falls(world.weather.overtaken) {
            let (connection, inner, back) = (Arc::clone(&connection), Arc::clone(&inner), back.clone());
            let late = world.dice.millis(1, 3_000);
            tokio::spawn(async move {
                connection.process.world().pass(late).await;
                hand_over(&connection, &*inner, parcel, &back).await;
            });
            continue;
        }
        tokio::time::sleep_until(parcel.arrives).await;
        hand_over(&connection, &*inner, parcel, &back).await;
    }
}

/// Publishes a message, unless its connection is broken.
async fn hand_over(
    connection: &Connection,
    inner: &dyn Publisher,
    parcel: Parcel,
    back: &mpsc::UnboundedSender<Answer>,
) {
    let world = connection.process.world();
    let Parcel { message, outcome, .. } = parcel;
    connection.may_break();
    if !connection.holds() {
        return;
    }
    let note = Note::of(&message);
    let mut receipt = None;
    for message in tamper::publish(world, &note, message) {
        if note != Note::Heartbeat && note != Note::Other {
            world.tell(Event::Took(Arc::clone(&connection.process.name), connection.number, note.clone()));
        }
        if world.falls(world.weather.duplicate) {
            world.tell(Event::Fault(format!("the broker takes twice: {note}")));
            let _ = inner.publish(message.clone()).await;
        }
        receipt = inner.publish(message).await.ok();
    }
    connection.may_break();
    let receipt = receipt.unwrap_or_else(|| {
        let (confirmed, receipt) = Receipt::new();
        let _ = confirmed.send(Outcome::Confirmed);
        receipt
    });
    let _ = back.send(Answer { note, receipt, outcome });
}

/// Delivers confirms to the process in order.
async fn bring_back(connection: Arc<Connection>, mut answers: mpsc::UnboundedReceiver<Answer>) {
    let world = Arc::clone(connection.process.world());
    while let Some(Answer { note, receipt, outcome }) = answers.recv().await {
        let known = receipt.await;
        world.pass(world.latency()).await;
        connection.may_break();
        if !connection.holds() {
            continue;
        }
        if matches!(note, Note::Task(_)) && matches!(known, Outcome::Confirmed) {
            world.tell(Event::Confirmed(Arc::clone(&connection.process.name), note));
        }
        let _ = outcome.send(known);
    }
}
