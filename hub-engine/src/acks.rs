//! Acknowledges deliveries that are processed in any order, many with one acknowledgement if possible.
//!
//! A broker with durable queues writes each acknowledgement to disk, and publishes wait for that write. So
//! acknowledgements are delayed. A processed delivery is *ready* when all deliveries before it are processed. Ready
//! deliveries are collected for a short delay and acknowledged together. A delivery that is processed before an earlier
//! one waits for that one, up to a maximum.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_transport::Settlement;
use hub_transport::supervisor::{DeliveryRef, Link, Plan, SubscriptionId};
use tokio::time::Instant;

/// Maximum time a processed delivery waits for earlier ones.
const MAXIMUM_WAIT: Duration = Duration::from_millis(5);
/// Maximum number of processed deliveries that wait for earlier ones.
const MAXIMUM_WAITING: usize = 32;
/// Ready deliveries are acknowledged without delay when they are this fraction of the prefetch (its divisor).
const PREFETCH_DIVISOR: usize = 4;

/// Deliveries that are not settled yet.
#[derive(Debug)]
pub(crate) struct Acks {
    /// Delay of the acknowledgement of ready deliveries.
    delay: Duration,
    /// By subscription: number of ready deliveries that are acknowledged without delay.
    thresholds: Vec<usize>,
    /// Deliveries by the epoch of their subscription.
    flows: BTreeMap<u64, Flow>,
    /// When ready deliveries are acknowledged.
    ready_due: Option<Instant>,
    /// When waiting deliveries are acknowledged individually.
    waiting_due: Option<Instant>,
}

/// The deliveries of one epoch of a subscription.
#[derive(Debug, Default)]
struct Flow {
    /// By tag: the delivery, and whether it is processed.
    open: BTreeMap<u64, (DeliveryRef, bool)>,
    /// Number of processed deliveries in `open`.
    waiting: usize,
    /// The last ready delivery and the number of ready deliveries.
    ready: Option<(DeliveryRef, usize)>,
}

/// An acknowledgement.
#[derive(Debug, PartialEq, Eq)]
struct Ack {
    delivery: DeliveryRef,
    /// Also acknowledges all earlier deliveries of its subscription.
    multiple: bool,
}

impl Acks {
    /// Creates the state for a link with this plan. `delay` is the delay of acknowledgements. If the process dies
    /// before the acknowledgement, the broker delivers the messages again.
    pub(crate) fn new(plan: &Plan, delay: Duration) -> Self {
        let prefetches = plan.subscriptions.iter().map(|subscribe| usize::from(subscribe.options.prefetch));
        Self {
            delay,
            thresholds: prefetches.map(|prefetch| (prefetch / PREFETCH_DIVISOR).max(1)).collect(),
            flows: BTreeMap::new(),
            ready_due: None,
            waiting_due: None,
        }
    }

    /// Adds a delivery.
    pub(crate) fn note(&mut self, delivery: DeliveryRef) {
        self.flows.entry(delivery.epoch).or_default().open.insert(delivery.tag.0, (delivery, false));
    }

    /// Marks a delivery as processed. A delivery of a dead session is ignored.
    pub(crate) fn done(&mut self, delivery: DeliveryRef) {
        if let Some(flow) = self.flows.get_mut(&delivery.epoch)
            && let Some((_, done @ false)) = flow.open.get_mut(&delivery.tag.0)
        {
            *done = true;
            flow.waiting += 1;
        }
    }

    /// Marks a delivery that was not added as processed, with all deliveries before it. `count` is their number since
    /// the last call.
    pub(crate) fn done_up_to(&mut self, delivery: DeliveryRef, count: usize) {
        self.flows.entry(delivery.epoch).or_default().add_ready(delivery, count);
    }

    /// Removes a delivery that is settled in another way.
    pub(crate) fn forget(&mut self, delivery: DeliveryRef) {
        if let Some(flow) = self.flows.get_mut(&delivery.epoch)
            && let Some((_, true)) = flow.open.remove(&delivery.tag.0)
        {
            flow.waiting -= 1;
        }
    }

    /// Removes all deliveries after the session has died.
    pub(crate) fn forget_all(&mut self) {
        self.flows.clear();
        (self.ready_due, self.waiting_due) = (None, None);
    }

    /// When [`Acks::send`] must be called next.
    pub(crate) fn due(&self) -> Option<Instant> {
        [self.ready_due, self.waiting_due].into_iter().flatten().min()
    }

    /// Sends the acknowledgements that are due.
    pub(crate) async fn send(&mut self, link: &Link) {
        for Ack { delivery, multiple } in self.take(Instant::now()) {
            // The session died first. The broker delivers the message again, and it is recognised.
            if let Err(error) = link.settle(delivery, Settlement::Ack, multiple).await {
                tracing::debug!(%error, "a delivery could not be acknowledged and will be redelivered");
            }
        }
    }

    /// Makes all processed deliveries due.
    pub(crate) fn hurry(&mut self) {
        let now = Some(Instant::now());
        (self.ready_due, self.waiting_due) = (now, now);
    }

    /// Acknowledges all processed deliveries.
    pub(crate) async fn send_all(&mut self, link: &Link) {
        self.hurry();
        self.send(link).await;
    }

    fn take(&mut self, now: Instant) -> Vec<Ack> {
        let is_past = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        let (send_ready, send_waiting) = (is_past(self.ready_due), is_past(self.waiting_due));
        let (mut acks, mut is_ready, mut is_waiting) = (Vec::new(), false, false);
        for flow in self.flows.values_mut() {
            flow.advance();
            let single = if send_waiting || flow.waiting > MAXIMUM_WAITING { flow.take_waiting() } else { Vec::new() };
            let threshold = |at: SubscriptionId| self.thresholds.get(at.0).copied().unwrap_or(1);
            let is_due = |(last, count): &(DeliveryRef, usize)| send_ready || *count >= threshold(last.subscription);
            if let Some((delivery, count)) = flow.ready.take_if(|ready: &mut (DeliveryRef, usize)| is_due(ready)) {
                // A single delivery is acknowledged without `multiple`, which is easier to read in a trace.
                acks.push(Ack { delivery, multiple: count > 1 });
            }
            acks.extend(single);
            is_ready |= flow.ready.is_some();
            is_waiting |= flow.waiting > 0;
        }
        self.flows.retain(|_, flow| !flow.open.is_empty() || flow.ready.is_some());
        let again = |due: Option<Instant>, past: bool, wait: Duration| due.filter(|_| !past).or(Some(now + wait));
        self.ready_due = if is_ready { again(self.ready_due, send_ready, self.delay) } else { None };
        self.waiting_due = if is_waiting { again(self.waiting_due, send_waiting, MAXIMUM_WAIT) } else { None };
        acks
    }
}

impl Flow {
    /// Makes the deliveries before the first unprocessed one ready.
    fn advance(&mut self) {
        while let Some(first) = self.open.first_entry().filter(|first| first.get().1) {
            let (delivery, _) = first.remove();
            self.waiting -= 1;
            self.add_ready(delivery, 1);
        }
    }

    fn add_ready(&mut self, last: DeliveryRef, count: usize) {
        let before = self.ready.map_or(0, |(_, before)| before);
        self.ready = Some((last, before + count));
    }

    /// Removes and returns the processed deliveries after an unprocessed one.
    fn take_waiting(&mut self) -> Vec<Ack> {
        self.waiting = 0;
        let done = self.open.extract_if(.., |_, (_, done)| *done);
        done.map(|(_, (delivery, _))| Ack { delivery, multiple: false }).collect()
    }
}

#[cfg(test)]
mod tests {
    use hub_transport::supervisor::{Backoff, Subscribe};
    use hub_transport::{DeliveryTag, SubscribeOptions, Topology};

    use super::*;

    const DELAY: Duration = Duration::from_millis(20);
    const THRESHOLD: u64 = 16;

    fn delivery(epoch: u64, tag: u64) -> DeliveryRef {
        DeliveryRef { epoch, subscription: SubscriptionId(0), tag: DeliveryTag(tag) }
    }

    fn ack(tag: u64, multiple: bool) -> Ack {
        Ack { delivery: delivery(1, tag), multiple }
    }

    fn with(tags: std::ops::RangeInclusive<u64>) -> Acks {
        let prefetch = u16::try_from(THRESHOLD).unwrap() * u16::try_from(PREFETCH_DIVISOR).unwrap();
        let plan = Plan {
            foundation: None,
            topology: Topology::default(),
            subscriptions: vec![Subscribe::new("queue", SubscribeOptions { prefetch, exclusive: false })],
            inbox: false,
            window: 1,
            backoff: Backoff::default(),
            seed: 0,
        };
        let mut acks = Acks::new(&plan, DELAY);
        tags.for_each(|tag| acks.note(delivery(1, tag)));
        acks
    }

    /// The acknowledgements at the next deadline. Nothing is due before.
    async fn take_late(acks: &mut Acks) -> Vec<Ack> {
        assert_eq!(acks.take(Instant::now()), []);
        tokio::time::sleep_until(acks.due().unwrap()).await;
        acks.take(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn deliveries_processed_in_order_are_acknowledged_together_after_a_delay() {
        let mut acks = with(1..=4);
        [2, 1].into_iter().for_each(|tag| acks.done(delivery(1, tag)));
        assert_eq!(acks.take(Instant::now()), []);
        assert_eq!(acks.due(), Some(Instant::now() + DELAY));
        tokio::time::advance(DELAY / 2).await;
        acks.done(delivery(1, 3));
        assert_eq!(acks.take(Instant::now()), []);
        tokio::time::advance(DELAY / 2).await;
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![ack(3, true)], None));
        acks.done(delivery(1, 4));
        assert_eq!((take_late(&mut acks).await, acks.due()), (vec![ack(4, false)], None));
    }

    #[tokio::test(start_paused = true)]
    async fn many_ready_deliveries_are_acknowledged_without_delay() {
        let mut acks = with(1..=THRESHOLD + 1);
        (1..THRESHOLD).for_each(|tag| acks.done(delivery(1, tag)));
        assert_eq!(acks.take(Instant::now()), []);
        acks.done(delivery(1, THRESHOLD));
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![ack(THRESHOLD, true)], None));
        acks.done_up_to(delivery(2, THRESHOLD), THRESHOLD as usize - 1);
        assert_eq!(acks.take(Instant::now()), []);
        acks.done_up_to(delivery(2, THRESHOLD + 1), 1);
        let all = Ack { delivery: delivery(2, THRESHOLD + 1), multiple: true };
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![all], None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_processed_before_an_earlier_one_waits() {
        let mut acks = with(1..=3);
        [2, 3].into_iter().for_each(|tag| acks.done(delivery(1, tag)));
        assert_eq!(acks.take(Instant::now()), []);
        let due = acks.due().unwrap();
        tokio::time::advance(MAXIMUM_WAIT / 2).await;
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![], Some(due)));
        tokio::time::advance(MAXIMUM_WAIT).await;
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![ack(2, false), ack(3, false)], None));
        acks.done(delivery(1, 1));
        assert_eq!(take_late(&mut acks).await, [ack(1, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_waiting_deliveries_is_bounded() {
        let mut acks = with(1..=100);
        (2..=2 + MAXIMUM_WAITING as u64).for_each(|tag| acks.done(delivery(1, tag)));
        assert_eq!(acks.take(Instant::now()).len(), MAXIMUM_WAITING + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn each_delivery_is_acknowledged_once_and_none_of_a_dead_session() {
        let mut acks = with(1..=2);
        acks.done(delivery(1, 1));
        acks.done(delivery(1, 1));
        acks.forget(delivery(1, 1));
        acks.done(delivery(2, 1));
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![], None));
        acks.done(delivery(1, 2));
        acks.forget_all();
        acks.done(delivery(1, 2));
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![], None));
    }
}
