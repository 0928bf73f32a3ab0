//! The state of the broker and all operations on it. The caller holds the lock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::limits;
use super::queue::{QueueState, Stored};
use super::routing::Routes;
use crate::message::Persistence;
use crate::session::Death;
use crate::topology::{Queue, QueueKind};
use crate::{
    Capabilities, Delivery, DeliveryTag, Error, ErrorKind, Health, Message, Operation, Outcome, Result, Settlement,
    SubscribeOptions, Text, Topology,
};

/// Exchanges, queues, sessions and consumers.
pub(super) struct State {
    pub(super) capabilities: Capabilities,
    pub(super) unavailable: bool,
    blocked: Option<String>,
    blocked_publishes: VecDeque<BlockedPublish>,
    next: u64,
    exchanges: HashMap<String, Routes>,
    queues: HashMap<String, QueueState>,
    sessions: BTreeMap<u64, watch::Sender<Health>>,
    consumers: HashMap<u64, Consumer>,
}

/// A publish that waits until the broker is unblocked.
pub(super) struct BlockedPublish {
    pub(super) session: u64,
    pub(super) message: Message,
    pub(super) outcome: oneshot::Sender<Outcome>,
    pub(super) _window: OwnedSemaphorePermit,
}

struct Consumer {
    session: u64,
    queue: Arc<str>,
    prefetch: usize,
    exclusive: bool,
    cancelled: bool,
    next_tag: u64,
    unsettled: BTreeMap<u64, Box<Stored>>,
    deliveries: Option<mpsc::UnboundedSender<Delivery>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            capabilities: Capabilities::all(),
            unavailable: false,
            blocked: None,
            blocked_publishes: VecDeque::new(),
            next: 0,
            exchanges: HashMap::new(),
            queues: HashMap::new(),
            sessions: BTreeMap::new(),
            consumers: HashMap::new(),
        }
    }
}

impl State {
    fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn open_session(&mut self) -> Option<(u64, watch::Receiver<Health>)> {
        if self.unavailable {
            return None;
        }
        let id = self.next_number();
        let reason = self.blocked.as_ref().filter(|_| self.capabilities.reports_blocked);
        let health = reason.map_or(Health::Up, |reason| Health::Blocked(reason.clone()));
        let (sender, receiver) = watch::channel(health);
        self.sessions.insert(id, sender);
        Some((id, receiver))
    }

    pub(super) fn check_session(&self, id: u64, operation: Operation) -> Result<()> {
        if self.sessions.contains_key(&id) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Closed, operation, "the session has ended"))
    }

    pub(super) fn close_session(&mut self, id: u64, cause: Option<Arc<Error>>) {
        let Some(health) = self.sessions.remove(&id) else { return };
        let mut consumers: Vec<u64> =
            self.consumers.iter().filter(|(_, consumer)| consumer.session == id).map(|(id, _)| *id).collect();
        consumers.sort_unstable();
        for consumer in consumers {
            self.remove_consumer(consumer);
        }
        let owned: Vec<String> =
            self.queues.iter().filter(|(_, queue)| queue.owner == Some(id)).map(|(name, _)| name.clone()).collect();
        owned.iter().for_each(|queue| self.delete_queue(queue));
        self.blocked_publishes.retain(|publish| publish.session != id);
        health.send_replace(Health::Closed(cause));
    }

    pub(super) fn drop_sessions(&mut self, why: &str) {
        let cause = Arc::new(Error::new(ErrorKind::Unreachable, Operation::Connect, why));
        // Remove all consumers first, so that requeued messages are not delivered to a session that ends next.
        self.queues.values_mut().for_each(|queue| queue.consumers.clear());
        let mut sessions: Vec<u64> = self.sessions.keys().copied().collect();
        sessions.sort_unstable();
        for session in sessions {
            self.close_session(session, Some(Arc::clone(&cause)));
        }
    }

    /// Removes messages that do not survive a restart. Quorum queues keep all messages, as in RabbitMQ.
    pub(super) fn forget_transient(&mut self) {
        let is_durable = self.capabilities.durable;
        for queue in self.queues.values_mut().filter(|queue| !is_durable || queue.spec.kind != QueueKind::Quorum) {
            queue.ready.retain(|stored| is_durable && stored.message.persistence == Persistence::Persistent);
        }
    }

    pub(super) fn block(&mut self, reason: &str) {
        self.blocked = Some(reason.to_owned());
        if !self.capabilities.reports_blocked {
            return;
        }
        self.sessions.values().for_each(|health| drop(health.send_replace(Health::Blocked(reason.to_owned()))));
    }

    pub(super) fn unblock(&mut self) {
        self.blocked = None;
        for publish in std::mem::take(&mut self.blocked_publishes) {
            let outcome = self.route(publish.message);
            let _ = publish.outcome.send(outcome);
        }
        if self.capabilities.reports_blocked {
            self.sessions.values().for_each(|health| drop(health.send_replace(Health::Up)));
        }
    }

    pub(super) const fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    pub(super) fn hold(&mut self, publish: BlockedPublish) {
        self.blocked_publishes.push_back(publish);
    }

    pub(super) fn declare(&mut self, session: u64, topology: &Topology) -> Result<()> {
        self.check_session(session, Operation::Declare)?;
        limits::check_topology(&self.capabilities, topology)?;
        self.create(Some(session), topology)
    }

    /// Creates a topology on behalf of the broker's operators. It contains no queues of sessions.
    pub(super) fn provide(&mut self, topology: &Topology) -> Result<()> {
        self.create(None, topology)
    }

    fn create(&mut self, session: Option<u64>, topology: &Topology) -> Result<()> {
        for exchange in &topology.exchanges {
            match self.exchanges.get(&exchange.name) {
                Some(known) if known.exchange != *exchange => return Err(conflict("exchange", &exchange.name)),
                Some(_) => {}
                None => drop(self.exchanges.insert(exchange.name.clone(), Routes::new(exchange.clone()))),
            }
        }
        for queue in &topology.queues {
            self.declare_queue(session, queue)?;
        }
        for binding in &topology.bindings {
            let missing = |what: &str, name: &str| {
                Error::new(ErrorKind::NotFound, Operation::Declare, format!("no {what} {name:?} to bind"))
            };
            if !self.queues.contains_key(&binding.queue) {
                return Err(missing("queue", &binding.queue));
            }
            let routes = self.exchanges.get_mut(&binding.exchange);
            routes.ok_or_else(|| missing("exchange", &binding.exchange))?.bind(&binding.routing_key, &binding.queue);
        }
        Ok(())
    }

    fn declare_queue(&mut self, session: Option<u64>, spec: &Queue) -> Result<()> {
        self.expire_queue(&spec.name);
        let owner = session.filter(|_| spec.kind == QueueKind::Exclusive);
        match self.queues.get_mut(&spec.name) {
            Some(known) if limits::is_open_to_others(&self.capabilities, known.spec.kind) => Ok(()),
            Some(known) if known.owner.is_some() && known.owner != session => Err(Error::new(
                ErrorKind::InUse,
                Operation::Declare,
                format!("the queue {:?} is held exclusively", spec.name),
            )
            .with_queue(Some(&spec.name))),
            Some(known) if !known.spec.is_same(spec) || known.owner != owner => Err(conflict("queue", &spec.name)),
            Some(known) => {
                known.unused_since = Instant::now();
                Ok(())
            }
            None => {
                self.queues.insert(spec.name.clone(), QueueState::new(spec.clone(), owner));
                Ok(())
            }
        }
    }

    fn expire_queue(&mut self, name: &str) {
        if self.queues.get(name).is_some_and(|queue| queue.is_expired(Instant::now())) {
            self.delete_queue(name);
        }
    }

    pub(super) fn delete_queue(&mut self, name: &str) {
        if let Some(queue) = self.queues.remove(name) {
            for consumer in queue.consumers {
                if let Some(consumer) = self.consumers.get_mut(&consumer) {
                    consumer.deliveries = None;
                    consumer.unsettled.clear();
                }
            }
            self.exchanges.values_mut().for_each(|routes| routes.unbind_queue(name));
        }
    }

    pub(super) fn depths(&self) -> BTreeMap<String, usize> {
        let with_consumers = |name: &str| -> usize {
            let of_queue = self.consumers.values().filter(|consumer| &*consumer.queue == name);
            of_queue.map(|consumer| consumer.unsettled.len()).sum()
        };
        self.queues.iter().map(|(name, queue)| (name.clone(), queue.ready.len() + with_consumers(name))).collect()
    }

    pub(super) fn ready(&self, session: u64, queue: &str) -> Result<u64> {
        self.check_session(session, Operation::Inspect)?;
        limits::check_count(&self.capabilities)?;
        let queue = self.queues.get(queue).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, Operation::Inspect, format!("there is no queue {queue:?}"))
        })?;
        Ok(queue.ready.len() as u64)
    }

    /// Puts a message into all queues that match its exchange and routing key.
    pub(super) fn route(&mut self, message: Message) -> Outcome {
        let queues = self.queues_for(&message.exchange, &message.routing_key);
        if queues.is_empty() {
            let is_returned = message.mandatory && self.capabilities.returns_unroutable;
            return if is_returned { Outcome::Unroutable } else { Outcome::Confirmed };
        }
        let mut queues = queues.into_iter().peekable();
        while let Some(queue) = queues.next() {
            if queues.peek().is_none() {
                self.put(&queue, message, None);
                break;
            }
            self.put(&queue, message.clone(), None);
        }
        Outcome::Confirmed
    }

    fn queues_for(&mut self, exchange: &str, key: &str) -> Vec<Arc<str>> {
        if exchange.is_empty() {
            self.expire_queue(key);
            return if self.queues.contains_key(key) { vec![key.into()] } else { Vec::new() };
        }
        let mut here = exchange;
        // Alternate exchanges can form a cycle, so the number of steps is limited.
        for _ in 0..=self.exchanges.len() {
            let Some(routes) = self.exchanges.get(here) else { return Vec::new() };
            let queues = routes.route(key);
            if !queues.is_empty() {
                return queues;
            }
            match &routes.exchange.alternate {
                Some(alternate) if self.capabilities.alternate_exchanges => here = alternate,
                _ => return Vec::new(),
            }
        }
        Vec::new()
    }

    fn put(&mut self, name: &str, message: Message, death: Option<Death>) {
        let sequence = self.next_number();
        let Some(queue) = self.queues.get_mut(name) else { return };
        let expires = queue.spec.message_ttl.map(|ttl| Instant::now() + ttl);
        queue.put(Box::new(Stored { sequence, message, deliveries: 0, redelivered: false, expires, death }));
        self.serve(name);
    }

    fn dead_letter(&mut self, name: &str, stored: Stored, reason: &str) {
        let target = self.queues.get(name).and_then(|queue| queue.spec.dead_letter.clone());
        let Some(target) = target.filter(|_| self.capabilities.dead_letters) else { return };
        let mut message = stored.message;
        message.exchange = target.exchange.into();
        message.routing_key = target.routing_key.map_or(message.routing_key, Text::from);
        let death = Death { queue: name.to_owned(), reason: reason.to_owned() };
        for queue in self.queues_for(&message.exchange, &message.routing_key) {
            self.put(&queue, message.clone(), Some(death.clone()));
        }
    }

    /// Delivers messages of a queue to its consumers within their prefetch.
    fn serve(&mut self, name: &str) {
        loop {
            let Some(queue) = self.queues.get_mut(name) else { return };
            let Some(head) = queue.ready.front() else { return };
            if head.expires.is_some_and(|expires| expires <= Instant::now()) {
                if let Some(expired) = queue.ready.pop_front() {
                    self.dead_letter(name, *expired, "expired");
                }
                continue;
            }
            let candidates = if queue.spec.single_active_consumer { 1 } else { queue.consumers.len() };
            let consumers = &self.consumers;
            let free = (0..candidates.min(queue.consumers.len()))
                .find(|at| consumers.get(&queue.consumers[*at]).is_some_and(|one| one.unsettled.len() < one.prefetch));
            let Some(at) = free else { return };
            let Some(id) = queue.consumers.get(at).copied() else { return };
            if !queue.spec.single_active_consumer {
                queue.consumers.rotate_left(at + 1);
            }
            let (Some(stored), Some(consumer)) = (queue.ready.pop_front(), self.consumers.get_mut(&id)) else { return };
            consumer.deliver(stored, self.capabilities.counts_deliveries);
        }
    }

    pub(super) fn subscribe(
        &mut self,
        session: u64,
        name: &str,
        options: SubscribeOptions,
    ) -> Result<(u64, mpsc::UnboundedReceiver<Delivery>)> {
        self.check_session(session, Operation::Subscribe)?;
        limits::check_subscription(&self.capabilities, options)?;
        self.expire_queue(name);
        let refuse =
            |kind, message: String| Err(Error::new(kind, Operation::Subscribe, message).with_queue(Some(name)));
        let id = self.next_number();
        let Some(queue) = self.queues.get_mut(name) else {
            return refuse(ErrorKind::NotFound, format!("no queue {name:?}"));
        };
        let consumers = &self.consumers;
        let held = queue.consumers.iter().any(|other| consumers.get(other).is_some_and(|other| other.exclusive));
        let is_open = limits::is_open_to_others(&self.capabilities, queue.spec.kind);
        if (!is_open && queue.owner.is_some_and(|owner| owner != session))
            || held
            || (options.exclusive && !queue.consumers.is_empty())
        {
            return refuse(ErrorKind::InUse, format!("the queue {name:?} is held exclusively"));
        }
        queue.consumers.push_back(id);
        let (sender, receiver) = mpsc::unbounded_channel();
        let consumer = Consumer {
            session,
            queue: name.into(),
            prefetch: usize::from(options.prefetch.max(1)),
            exclusive: options.exclusive,
            cancelled: false,
            next_tag: 0,
            unsettled: BTreeMap::new(),
            deliveries: Some(sender),
        };
        self.consumers.insert(id, consumer);
        self.serve(name);
        Ok((id, receiver))
    }

    /// Stops deliveries. Unsettled deliveries stay with the consumer.
    pub(super) fn cancel_consumer(&mut self, id: u64) -> Result<()> {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return Err(Error::new(ErrorKind::Closed, Operation::Subscribe, "the session has ended"));
        };
        consumer.cancelled = true;
        consumer.deliveries = None;
        let name = Arc::clone(&consumer.queue);
        self.leave_queue(id, &name);
        Ok(())
    }

    fn leave_queue(&mut self, id: u64, name: &str) {
        if let Some(queue) = self.queues.get_mut(name) {
            queue.consumers.retain(|other| *other != id);
            queue.unused_since = Instant::now();
        }
        self.serve(name);
    }

    fn remove_consumer(&mut self, id: u64) {
        let Some(consumer) = self.consumers.remove(&id) else { return };
        let name = consumer.queue;
        if let Some(queue) = self.queues.get_mut(&*name) {
            queue.consumers.retain(|other| *other != id);
            queue.unused_since = Instant::now();
        }
        for stored in consumer.unsettled.into_values() {
            self.requeue(&name, stored);
        }
        self.serve(&name);
    }

    fn requeue(&mut self, name: &str, mut stored: Box<Stored>) {
        stored.deliveries += 1;
        stored.redelivered = true;
        let Some(queue) = self.queues.get_mut(name) else { return };
        if self.capabilities.limits_deliveries && queue.exceeds_limit(stored.deliveries) {
            self.dead_letter(name, *stored, "delivery_limit");
        } else {
            queue.put(stored);
        }
    }

    pub(super) fn settle(&mut self, id: u64, tag: DeliveryTag, settlement: Settlement, multiple: bool) -> Result<()> {
        limits::check_settlement(&self.capabilities, settlement, multiple)?;
        let stale = || Error::new(ErrorKind::Stale, Operation::Settle, format!("delivery {} is not open", tag.0));
        let consumer = self.consumers.get_mut(&id).ok_or_else(stale)?;
        if !consumer.unsettled.contains_key(&tag.0) {
            return Err(stale());
        }
        let settled: Vec<Box<Stored>> = if multiple {
            let later = consumer.unsettled.split_off(&(tag.0 + 1));
            std::mem::replace(&mut consumer.unsettled, later).into_values().collect()
        } else {
            consumer.unsettled.remove(&tag.0).into_iter().collect()
        };
        let name = Arc::clone(&consumer.queue);
        for stored in settled {
            match settlement {
                Settlement::Ack => {}
                Settlement::Requeue => self.requeue(&name, stored),
                Settlement::DeadLetter => self.dead_letter(&name, *stored, "rejected"),
            }
        }
        self.serve(&name);
        Ok(())
    }
}

impl Consumer {
    fn deliver(&mut self, stored: Box<Stored>, is_counted: bool) {
        self.next_tag += 1;
        let delivery = Delivery {
            tag: DeliveryTag(self.next_tag),
            message: stored.message.clone(),
            redelivered: stored.redelivered,
            delivery_count: is_counted.then_some(stored.deliveries),
            death: stored.death.clone(),
        };
        self.unsettled.insert(self.next_tag, stored);
        if let Some(deliveries) = &self.deliveries {
            // If the receiver was dropped, the message is requeued when the session ends.
            let _ = deliveries.send(delivery);
        }
    }
}

fn conflict(what: &str, name: &str) -> Error {
    let message = format!("the {what} {name:?} exists with other properties");
    Error::new(ErrorKind::Conflict, Operation::Declare, message)
}
