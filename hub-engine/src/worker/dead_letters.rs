//! What a worker does for a broker that does not pass on dead letters: it publishes them where the broker would have.

use hub_transport::{Capabilities, Delivery};

use crate::wire::TASK_DELIVERY_LIMIT;

/// Which deliveries the worker gives up itself.
#[derive(Debug)]
pub(super) struct DeadLetters {
    /// Whether the broker passes on what is rejected.
    are_passed_on: bool,
    /// Whether the broker gives up what was delivered too often.
    are_limited: bool,
}

impl DeadLetters {
    pub(super) const fn new(capabilities: &Capabilities) -> Self {
        let are_passed_on = capabilities.dead_letters;
        Self { are_passed_on, are_limited: are_passed_on && capabilities.limits_deliveries }
    }

    /// Whether what is rejected has to be published by the worker.
    pub(super) const fn are_published_here(&self) -> bool {
        !self.are_passed_on
    }

    /// Whether a task was delivered too often, and the broker does not see to it.
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
    fn the_worker_does_what_the_broker_does_not() {
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
