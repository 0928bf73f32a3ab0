//! Acknowledges deliveries that are done with in any order, many with one word where it can.
//!
//! Mostly that order is nearly the one in which they came. What is done with is acknowledged up to the first that is not,
//! with one message for all; what is done with beyond it waits a moment for that one.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_transport::Settlement;
use hub_transport::supervisor::{DeliveryRef, Link};
use tokio::time::Instant;

/// How long a delivery that is done with waits for those before it.
const PATIENCE: Duration = Duration::from_millis(5);
/// So many wait at most.
const MOST_WAITING: usize = 32;

/// Deliveries that are not settled.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    /// By the start of their subscription.
    flows: BTreeMap<u64, Flow>,
    /// When those that wait are acknowledged whatever is before them.
    due: Option<Instant>,
}

/// Of one start of a subscription.
#[derive(Debug, Default)]
struct Flow {
    /// By tag: the delivery, and whether it is done with.
    open: BTreeMap<u64, (DeliveryRef, bool)>,
    /// How many are done with.
    done: usize,
}

/// An acknowledgement.
#[derive(Debug, PartialEq, Eq)]
struct Ack {
    delivery: DeliveryRef,
    /// Stands for every earlier delivery of its subscription too.
    multiple: bool,
}

impl Acks {
    /// A delivery has come.
    pub(crate) fn note(&mut self, delivery: DeliveryRef) {
        self.flows.entry(delivery.epoch).or_default().open.insert(delivery.tag.0, (delivery, false));
    }

    /// A delivery is done with. One of a session that has died is nobody's any more.
    pub(crate) fn done(&mut self, delivery: DeliveryRef) {
        if let Some(flow) = self.flows.get_mut(&delivery.epoch)
            && let Some((_, done @ false)) = flow.open.get_mut(&delivery.tag.0)
        {
            *done = true;
            flow.done += 1;
        }
    }

    /// A delivery is settled otherwise.
    pub(crate) fn forget(&mut self, delivery: DeliveryRef) {
        if let Some(flow) = self.flows.get_mut(&delivery.epoch)
            && let Some((_, true)) = flow.open.remove(&delivery.tag.0)
        {
            flow.done -= 1;
        }
    }

    /// The session is gone, and all its deliveries with it.
    pub(crate) fn forget_all(&mut self) {
        *self = Self::default();
    }

    /// When [`Acks::send`] has something to do without anything having happened.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Acknowledges what can be.
    pub(crate) async fn send(&mut self, link: &Link) {
        for Ack { delivery, multiple } in self.take(Instant::now()) {
            // Stale means that the session died first: the delivery comes again and is recognised then.
            if let Err(error) = link.settle(delivery, Settlement::Ack, multiple).await {
                tracing::debug!(%error, "a delivery will come again");
            }
        }
    }

    /// Acknowledges all that is done with.
    pub(crate) async fn send_all(&mut self, link: &Link) {
        self.due = Some(Instant::now());
        self.send(link).await;
    }

    fn take(&mut self, now: Instant) -> Vec<Ack> {
        let mut acks = Vec::new();
        let late = self.due.is_some_and(|due| due <= now);
        let mut waiting = false;
        for flow in self.flows.values_mut() {
            acks.extend(flow.take_first());
            if late || flow.done > MOST_WAITING {
                acks.extend(flow.take_single());
            }
            waiting |= flow.done > 0;
        }
        self.flows.retain(|_, flow| !flow.open.is_empty());
        self.due = if waiting { self.due.filter(|_| !late).or(Some(now + PATIENCE)) } else { None };
        acks
    }
}

impl Flow {
    /// Takes out those up to the first that is not done with.
    fn take_first(&mut self) -> Option<Ack> {
        let (mut last, mut count) = (None, 0);
        while let Some(first) = self.open.first_entry().filter(|first| first.get().1) {
            last = Some(first.remove().0);
            count += 1;
        }
        self.done -= count;
        // By its own name where it is the only one: the same to the broker, and plain to read in a trace.
        last.map(|delivery| Ack { delivery, multiple: count > 1 })
    }

    /// Takes out the others that are done with.
    fn take_single(&mut self) -> Vec<Ack> {
        self.done = 0;
        let done = self.open.extract_if(.., |_, (_, done)| *done);
        done.map(|(_, (delivery, _))| Ack { delivery, multiple: false }).collect()
    }
}

#[cfg(test)]
mod tests {
    use hub_transport::DeliveryTag;
    use hub_transport::supervisor::SubscriptionId;

    use super::*;

    fn delivery(epoch: u64, tag: u64) -> DeliveryRef {
        DeliveryRef { epoch, subscription: SubscriptionId(1), tag: DeliveryTag(tag) }
    }

    fn ack(tag: u64, multiple: bool) -> Ack {
        Ack { delivery: delivery(1, tag), multiple }
    }

    fn with(tags: std::ops::RangeInclusive<u64>) -> Acks {
        let mut acks = Acks::default();
        tags.for_each(|tag| acks.note(delivery(1, tag)));
        acks
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_in_order_is_acknowledged_at_once() {
        let mut acks = with(1..=4);
        [2, 1, 3].into_iter().for_each(|tag| acks.done(delivery(1, tag)));
        assert_eq!(acks.take(Instant::now()), [ack(3, true)]);
        acks.done(delivery(1, 4));
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![ack(4, false)], None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_overtaken_another_waits_a_moment() {
        let mut acks = with(1..=3);
        [2, 3].into_iter().for_each(|tag| acks.done(delivery(1, tag)));
        assert_eq!(acks.take(Instant::now()), []);
        let due = acks.due().unwrap();
        tokio::time::advance(PATIENCE / 2).await;
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![], Some(due)));
        tokio::time::advance(PATIENCE).await;
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![ack(2, false), ack(3, false)], None));
        acks.done(delivery(1, 1));
        assert_eq!(acks.take(Instant::now()), [ack(1, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn many_do_not_wait() {
        let mut acks = with(1..=100);
        (2..=2 + MOST_WAITING as u64).for_each(|tag| acks.done(delivery(1, tag)));
        assert_eq!(acks.take(Instant::now()).len(), MOST_WAITING + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_acknowledged_once_and_none_of_a_dead_session() {
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
