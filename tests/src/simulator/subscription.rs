//! The simulated path of deliveries from the broker, and of settlements back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hub_transport::{Delivery, DeliveryTag, Error, ErrorKind, Operation, Result, Settlement, Settler, Subscription};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::connection::Connection;
use super::event::Event;
use super::note::Note;
use super::tamper;

/// The unsettled deliveries of a process.
type Open = Arc<Mutex<BTreeMap<DeliveryTag, Note>>>;

/// Settles over a simulated connection.
struct SimSettler {
    connection: Arc<Connection>,
    inner: Arc<dyn Settler>,
    queue: String,
    open: Open,
    way: mpsc::UnboundedSender<(Instant, DeliveryTag, Settlement, bool)>,
}

/// Passes a subscription through a simulated connection.
pub fn lead(connection: &Arc<Connection>, queue: &str, inner: Subscription) -> Subscription {
    let Subscription { deliveries: from_broker, settler } = inner;
    let (to_process, deliveries) = mpsc::unbounded_channel();
    let (way, settlements) = mpsc::unbounded_channel();
    let open = Open::default();
    let bringing = bring(
        Arc::clone(connection),
        queue.to_owned(),
        from_broker,
        to_process,
        Arc::clone(&open),
        Arc::clone(&settler),
    );
    tokio::spawn(bringing);
    tokio::spawn(settle_all(Arc::clone(connection), Arc::clone(&settler), settlements));
    let settler = SimSettler { connection: Arc::clone(connection), inner: settler, queue: queue.to_owned(), open, way };
    Subscription { deliveries, settler: Arc::new(settler) }
}

/// Brings deliveries to the process, in their order. Those that are on their way when the connection breaks may
/// still be read.
async fn bring(
    connection: Arc<Connection>,
    queue: String,
    mut from_broker: mpsc::UnboundedReceiver<Delivery>,
    to_process: mpsc::UnboundedSender<Delivery>,
    open: Open,
    settler: Arc<dyn Settler>,
) {
    let process = Arc::clone(&connection.process);
    let world = Arc::clone(process.world());
    while let Some(delivery) = from_broker.recv().await {
        let note = Note::of(&delivery.message);
        if note != Note::Heartbeat && note != Note::Other {
            world.tell(Event::Delivered(Arc::clone(&process.name), queue.clone(), note));
        }
        world.pass(world.latency()).await;
        if !connection.holds() && world.dice.falls(0.5) {
            continue;
        }
        let tag = delivery.tag;
        let Some(delivery) = tamper::delivery(&world, &process, &queue, delivery) else {
            let _ = settler.settle(tag, Settlement::Ack, false).await;
            continue;
        };
        let note = Note::of(&delivery.message);
        open.lock().unwrap_or_else(PoisonError::into_inner).insert(tag, note);
        if to_process.send(delivery).is_err() {
            return;
        }
    }
}

#[async_trait]
impl Settler for SimSettler {
    async fn settle(&self, tag: DeliveryTag, settlement: Settlement, multiple: bool) -> Result<()> {
        let process = &self.connection.process;
        process.step().await;
        if !self.connection.holds() {
            return Err(Error::new(ErrorKind::Stale, Operation::Settle, "the connection broke"));
        }
        let notes = self.close(tag, multiple);
        if notes.iter().any(|note| *note != Note::Heartbeat && *note != Note::Other) {
            process.world().tell(Event::Settled(Arc::clone(&process.name), self.queue.clone(), settlement, notes));
        }
        let _ = self.way.send((Instant::now() + process.world().latency(), tag, settlement, multiple));
        tokio::task::yield_now().await;
        process.step().await;
        Ok(())
    }

    async fn cancel(&self) -> Result<()> {
        self.connection.process.step().await;
        self.inner.cancel().await
    }
}

impl SimSettler {
    fn close(&self, tag: DeliveryTag, multiple: bool) -> Vec<Note> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !multiple {
            return open.remove(&tag).into_iter().collect();
        }
        let later = open.split_off(&DeliveryTag(tag.0 + 1));
        std::mem::replace(&mut *open, later).into_values().collect()
    }
}

/// Sends settlements to the broker. A settlement is lost if its connection breaks before it arrives.
async fn settle_all(
    connection: Arc<Connection>,
    inner: Arc<dyn Settler>,
    mut settlements: mpsc::UnboundedReceiver<(Instant, DeliveryTag, Settlement, bool)>,
) {
    while let Some((arrives, tag, settlement, multiple)) = settlements.recv().await {
        tokio::time::sleep_until(arrives).await;
        connection.may_break();
        if connection.holds() {
            // Settlements are not confirmed, and unknown ones are ignored.
            let _ = inner.settle(tag, settlement, multiple).await;
        }
    }
}
