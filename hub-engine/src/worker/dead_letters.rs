//! Dead letters for a broker without them: the worker publishes them itself.

use hub_transport::{Capabilities, Delivery};

use crate::wire::TASK_DELIVERY_LIMIT;

/// Decides which deliveries the worker dead-letters itself.
#[derive(Debug)]
pub(super) struct DeadLetters {
    /// Whether the broker dead-letters rejected messages.
    are_passed_on: bool,
    /// Whether the broker enforces the delivery limit.
    are_limited: bool,
}

impl DeadLetters {
    pub(super) const fn new(capabilities: &Capabilities) -> Self {
        let are_passed_on = capabilities.dead_letters;
        Self { are_passed_on, are_limited: are_passed_on && capabilities.limits_deliveries }
    }

    /// Whether the worker has to publish rejected messages.
    pub(super) const fn are_published_here(&self) -> bool {
        !self.are_passed_on
    }

    /// Whether a task exceeds the delivery limit and the broker does not enforce it.
    pub(super) fn is_given_up(&self, delivery: &Delivery) -> bool {
        !self.are_limited && delivery.delivery_count.is_some_and(|count| count > TASK_DELIVERY_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use hub_transport::{Capability, DeliveryTag, Message};

    use super::*;

    fn delivery(delivery_count: Option<u32>) -> Delivery {
        let (tag, message) = (DeliveryTag(1), Message::default());
        Delivery { tag, message, redelivered: true, delivery_count, death: None }
    }

    #[test]
    fn the_worker_replaces_missing_capabilities() {
        let (few, many) = (Some(TASK_DELIVERY_LIMIT), Some(TASK_DELIVERY_LIMIT + 1));
        let rabbit = DeadLetters::new(&Capabilities::all());
        assert!(!rabbit.are_published_here() && !rabbit.is_given_up(&delivery(many)));
        for missing in [Capability::DeadLetters, Capability::LimitsDeliveries] {
            let other = DeadLetters::new(&Capabilities::all().without(missing));
            assert_eq!(other.are_published_here(), missing == Capability::DeadLetters);
            let given_up = [None, few, many].map(|count| other.is_given_up(&delivery(count)));
            assert_eq!(given_up, [false, false, true]);
        }
    }
}
