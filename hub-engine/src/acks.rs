//! Acknowledges deliveries that are done with in any order, many with one word where it can.
//!
//! A broker that keeps its messages safe writes each acknowledgement to disk, and what is published meanwhile waits for that
//! write. So nothing is acknowledged at once: what is done with is *ready* when everything before it is, and what is ready
//! waits a moment for company, and is acknowledged with one word for all. What is done with beyond a delivery that is not
//! waits a moment for that one.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_transport::Settlement;
use hub_transport::supervisor::{DeliveryRef, Link, Plan, SubscriptionId};
use tokio::time::Instant;

/// How long a delivery that is done with waits for those before it.
const PATIENCE: Duration = Duration::from_millis(5);
/// So many wait at most.
const MOST_WAITING: usize = 32;
/// What is ready waits no longer when it is this part of what the broker lets be unacknowledged.
const PART: usize = 4;

/// Deliveries that are not settled.
#[derive(Debug)]
pub(crate) struct Acks {
    /// How long what is ready waits for company.
    gather: Duration,
    /// By subscription: how many are acknowledged without delay.
    enough: Vec<usize>,
    /// By the start of their subscription.
    flows: BTreeMap<u64, Flow>,
    /// When what is ready is acknowledged.
    ready_due: Option<Instant>,
    /// When those that wait are acknowledged whatever is before them.
    waiting_due: Option<Instant>,
}

/// Of one start of a subscription.
#[derive(Debug, Default)]
struct Flow {
    /// By tag: the delivery, and whether it is done with.
    open: BTreeMap<u64, (DeliveryRef, bool)>,
    /// How many of these are done with.
    waiting: usize,
    /// The last of those that are ready, and how many they are.
    ready: Option<(DeliveryRef, usize)>,
}

/// An acknowledgement.
#[derive(Debug, PartialEq, Eq)]
struct Ack {
    delivery: DeliveryRef,
    /// Stands for every earlier delivery of its subscription too.
    multiple: bool,
}

impl Acks {
    /// Of a link with this plan. `gather`: how long what is done with may wait for company. If its owner dies meanwhile, the
    /// broker delivers it again.
    pub(crate) fn new(plan: &Plan, gather: Duration) -> Self {
        let prefetches = plan.subscriptions.iter().map(|subscribe| usize::from(subscribe.options.prefetch));
        Self {
            gather,
            enough: prefetches.map(|prefetch| (prefetch / PART).max(1)).collect(),
            flows: BTreeMap::new(),
            ready_due: None,
            waiting_due: None,
        }
    }

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
            flow.waiting += 1;
        }
    }

    /// A delivery, which was not noted, is done with, and with it all before it: so many since the last time.
    pub(crate) fn done_up_to(&mut self, delivery: DeliveryRef, count: usize) {
        self.flows.entry(delivery.epoch).or_default().add_ready(delivery, count);
    }

    /// A delivery is settled otherwise.
    pub(crate) fn forget(&mut self, delivery: DeliveryRef) {
        if let Some(flow) = self.flows.get_mut(&delivery.epoch)
            && let Some((_, true)) = flow.open.remove(&delivery.tag.0)
        {
            flow.waiting -= 1;
        }
    }

    /// The session is gone, and all its deliveries with it.
    pub(crate) fn forget_all(&mut self) {
        self.flows.clear();
        (self.ready_due, self.waiting_due) = (None, None);
    }

    /// When [`Acks::send`] has something to do without anything having happened.
    pub(crate) fn due(&self) -> Option<Instant> {
        [self.ready_due, self.waiting_due].into_iter().flatten().min()
    }

    /// Acknowledges what is due.
    pub(crate) async fn send(&mut self, link: &Link) {
        for Ack { delivery, multiple } in self.take(Instant::now()) {
            // Stale means that the session died first: the delivery comes again and is recognised then.
            if let Err(error) = link.settle(delivery, Settlement::Ack, multiple).await {
                tracing::debug!(%error, "a delivery will come again");
            }
        }
    }

    /// What is done with waits no longer.
    pub(crate) fn hurry(&mut self) {
        let now = Some(Instant::now());
        (self.ready_due, self.waiting_due) = (now, now);
    }

    /// Acknowledges all that is done with.
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
            let single = if send_waiting || flow.waiting > MOST_WAITING { flow.take_waiting() } else { Vec::new() };
            let enough = |at: SubscriptionId| self.enough.get(at.0).copied().unwrap_or(1);
            let is_due = |(last, count): &(DeliveryRef, usize)| send_ready || *count >= enough(last.subscription);
            if let Some((delivery, count)) = flow.ready.take_if(|ready: &mut (DeliveryRef, usize)| is_due(ready)) {
                // By its own name where it is the only one: the same to the broker, and plain to read in a trace.
                acks.push(Ack { delivery, multiple: count > 1 });
            }
            acks.extend(single);
            is_ready |= flow.ready.is_some();
            is_waiting |= flow.waiting > 0;
        }
        self.flows.retain(|_, flow| !flow.open.is_empty() || flow.ready.is_some());
        let again = |due: Option<Instant>, past: bool, wait: Duration| due.filter(|_| !past).or(Some(now + wait));
        self.ready_due = if is_ready { again(self.ready_due, send_ready, self.gather) } else { None };
        self.waiting_due = if is_waiting { again(self.waiting_due, send_waiting, PATIENCE) } else { None };
        acks
    }
}

impl Flow {
    /// Those up to the first that is not done with are ready.
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

    /// Takes out what is done with beyond one that is not.
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

    const GATHER: Duration = Duration::from_millis(20);
    const ENOUGH: u64 = 16;

    fn delivery(epoch: u64, tag: u64) -> DeliveryRef {
        DeliveryRef { epoch, subscription: SubscriptionId(0), tag: DeliveryTag(tag) }
    }

    fn ack(tag: u64, multiple: bool) -> Ack {
        Ack { delivery: delivery(1, tag), multiple }
    }

    fn with(tags: std::ops::RangeInclusive<u64>) -> Acks {
        let prefetch = u16::try_from(ENOUGH).unwrap() * u16::try_from(PART).unwrap();
        let plan = Plan {
            foundation: None,
            topology: Topology::default(),
            subscriptions: vec![Subscribe::new("queue", SubscribeOptions { prefetch, exclusive: false })],
            inbox: false,
            window: 1,
            backoff: Backoff::default(),
            seed: 0,
        };
        let mut acks = Acks::new(&plan, GATHER);
        tags.for_each(|tag| acks.note(delivery(1, tag)));
        acks
    }

    /// What is acknowledged now and once what is due has come.
    async fn take_late(acks: &mut Acks) -> Vec<Ack> {
        assert_eq!(acks.take(Instant::now()), []);
        tokio::time::sleep_until(acks.due().unwrap()).await;
        acks.take(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_in_order_is_acknowledged_together_after_a_moment() {
        let mut acks = with(1..=4);
        [2, 1].into_iter().for_each(|tag| acks.done(delivery(1, tag)));
        assert_eq!(acks.take(Instant::now()), []);
        assert_eq!(acks.due(), Some(Instant::now() + GATHER));
        tokio::time::advance(GATHER / 2).await;
        acks.done(delivery(1, 3));
        assert_eq!(acks.take(Instant::now()), []);
        tokio::time::advance(GATHER / 2).await;
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![ack(3, true)], None));
        acks.done(delivery(1, 4));
        assert_eq!((take_late(&mut acks).await, acks.due()), (vec![ack(4, false)], None));
    }

    #[tokio::test(start_paused = true)]
    async fn enough_is_acknowledged_without_delay() {
        let mut acks = with(1..=ENOUGH + 1);
        (1..ENOUGH).for_each(|tag| acks.done(delivery(1, tag)));
        assert_eq!(acks.take(Instant::now()), []);
        acks.done(delivery(1, ENOUGH));
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![ack(ENOUGH, true)], None));
        acks.done_up_to(delivery(2, ENOUGH), ENOUGH as usize - 1);
        assert_eq!(acks.take(Instant::now()), []);
        acks.done_up_to(delivery(2, ENOUGH + 1), 1);
        let all = Ack { delivery: delivery(2, ENOUGH + 1), multiple: true };
        assert_eq!((acks.take(Instant::now()), acks.due()), (vec![all], None));
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
        assert_eq!(take_late(&mut acks).await, [ack(1, false)]);
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
