//! Tracks which deliveries may be acknowledged: those whose batch is committed and whose publishes are confirmed.

use std::collections::{BTreeMap, VecDeque};

use hub_transport::supervisor::DeliveryRef;

/// Deliveries that wait for the completion of their effects.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// Deliveries of subscriptions that are handled in order and acknowledged many at a time. They are separate for
    /// each epoch of a subscription, because deliveries of a dead session may be read after those of a live one.
    ordered: BTreeMap<u64, VecDeque<(DeliveryRef, u64)>>,
    /// Deliveries of the other subscriptions, by batch.
    single: BTreeMap<u64, Vec<DeliveryRef>>,
    /// Batches that are not complete, and what each waits for.
    open: BTreeMap<u64, Open>,
}

#[derive(Debug, Default)]
struct Open {
    committed: bool,
    publishing: usize,
}

/// Deliveries to acknowledge.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Each entry also acknowledges all earlier deliveries of its subscription. The number counts them since the last
    /// time.
    pub(super) ordered: Vec<(DeliveryRef, usize)>,
    /// Deliveries to acknowledge individually.
    pub(super) single: Vec<DeliveryRef>,
}

impl Batches {
    /// Begins `batch`. It is complete after its commit and the confirms of its publishes.
    pub(super) fn open(&mut self, batch: u64) {
        self.open.entry(batch).or_default();
    }

    /// Adds a delivery to `batch`. `ordered` tells whether the deliveries of this subscription are added in order.
    pub(super) fn hold(&mut self, delivery: DeliveryRef, batch: u64, ordered: bool) {
        if ordered {
            self.ordered.entry(delivery.epoch).or_default().push_back((delivery, batch));
        } else {
            self.single.entry(batch).or_default().push(delivery);
        }
    }

    /// A publish of `batch` begins.
    pub(super) fn publishing(&mut self, batch: u64) {
        self.open.entry(batch).or_default().publishing += 1;
    }

    /// A publish of `batch` has a final outcome.
    pub(super) fn published(&mut self, batch: u64) -> Done {
        if let Some(open) = self.open.get_mut(&batch) {
            open.publishing = open.publishing.saturating_sub(1);
        }
        self.settle(batch)
    }

    /// `batch` is committed.
    pub(super) fn committed(&mut self, batch: u64) -> Done {
        if let Some(open) = self.open.get_mut(&batch) {
            open.committed = true;
        }
        self.settle(batch)
    }

    /// Removes all deliveries after the session has died.
    pub(super) fn forget_deliveries(&mut self) {
        self.ordered.clear();
        self.single.clear();
    }

    /// Whether all batches except `pending` are complete.
    pub(super) fn is_idle(&self, pending: u64) -> bool {
        self.open.keys().all(|batch| *batch == pending)
    }

    fn settle(&mut self, batch: u64) -> Done {
        if !self.open.get(&batch).is_some_and(|open| open.committed && open.publishing == 0) {
            return Done::default();
        }
        self.open.remove(&batch);
        let single = self.single.remove(&batch).unwrap_or_default();
        let mut ordered = Vec::new();
        for deliveries in self.ordered.values_mut() {
            let (mut last, mut count) = (None, 0);
            while let Some((delivery, _)) = deliveries.pop_front_if(|(_, batch)| !self.open.contains_key(batch)) {
                last = Some(delivery);
                count += 1;
            }
            ordered.extend(last.map(|last| (last, count)));
        }
        self.ordered.retain(|_, deliveries| !deliveries.is_empty());
        Done { ordered, single }
    }
}

#[cfg(test)]
mod tests {
    use hub_transport::DeliveryTag;
    use hub_transport::supervisor::SubscriptionId;

    use super::*;

    /// A delivery of the first epoch of a subscription.
    fn delivery(subscription: usize, tag: u64) -> DeliveryRef {
        of_epoch(subscription as u64, subscription, tag)
    }

    fn of_epoch(epoch: u64, subscription: usize, tag: u64) -> DeliveryRef {
        DeliveryRef { epoch, subscription: SubscriptionId(subscription), tag: DeliveryTag(tag) }
    }

    #[test]
    fn deliveries_of_a_dead_session_are_separate_from_those_of_a_live_one() {
        let mut batches = Batches::default();
        batches.open(1);
        batches.hold(of_epoch(8, 1, 1), 1, true);
        batches.hold(of_epoch(7, 1, 9), 1, true);
        assert_eq!(
            batches.committed(1),
            Done { ordered: vec![(of_epoch(7, 1, 9), 1), (of_epoch(8, 1, 1), 1)], single: vec![] }
        );
    }

    #[test]
    fn deliveries_are_acknowledged_after_commit_and_confirm() {
        let mut batches = Batches::default();
        batches.open(1);
        batches.hold(delivery(1, 1), 1, true);
        batches.publishing(1);
        assert_eq!(batches.committed(1), Done::default());
        assert_eq!(batches.published(1), Done { ordered: vec![(delivery(1, 1), 1)], single: vec![] });
        assert!(batches.is_idle(2));
    }

    #[test]
    fn a_later_batch_waits_for_an_earlier_one_of_the_same_queue() {
        let mut batches = Batches::default();
        for batch in [1, 2] {
            batches.open(batch);
            batches.hold(delivery(1, batch), batch, true);
            batches.hold(delivery(0, batch), batch, false);
        }
        assert_eq!(batches.committed(2), Done { ordered: vec![], single: vec![delivery(0, 2)] });
        assert_eq!(batches.committed(1), Done { ordered: vec![(delivery(1, 2), 2)], single: vec![delivery(0, 1)] });
    }

    #[test]
    fn deliveries_of_a_lost_session_are_not_acknowledged() {
        let mut batches = Batches::default();
        batches.open(1);
        batches.hold(delivery(1, 1), 1, true);
        batches.forget_deliveries();
        assert_eq!(batches.committed(1), Done::default());
    }
}
