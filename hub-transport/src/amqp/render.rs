//! Converts a topology to the arguments of declarations, as supported by RabbitMQ 3.10 and later.
//!
//! The arguments are the same for all brokers. A broker either ignores unknown arguments, as LavinMQ does, or refuses the
//! declaration. Not all client libraries report which broker they are connected to.

use crate::Message;
use crate::topology::{Exchange, Queue, QueueKind};

/// The header that numbers a mandatory message, to identify it if it is returned.
pub const RETURN_MARK: &str = "x-hub-return-mark";
/// A delivery limit that is never reached. Without a limit, RabbitMQ 4 drops a message after 20 redeliveries. RabbitMQ 3 does not
/// support -1, which means "no limit" in RabbitMQ 4.
const NO_DELIVERY_LIMIT: u32 = i32::MAX as u32;

/// The value of a declaration's argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A long string.
    Text(String),
    /// A signed 64-bit integer.
    Number(i64),
    /// A boolean.
    Flag(bool),
}

/// The arguments of a queue.
pub fn queue_arguments(queue: &Queue) -> Vec<(&'static str, Argument)> {
    let mut arguments = Vec::new();
    let text = |text: &str| Argument::Text(text.to_owned());
    match queue.kind {
        QueueKind::Quorum | QueueKind::Expiring(_) => {
            arguments.push(("x-queue-type", text("quorum")));
            let limit = queue.delivery_limit.unwrap_or(NO_DELIVERY_LIMIT);
            arguments.push(("x-delivery-limit", Argument::Number(limit.into())));
        }
        QueueKind::Exclusive => {}
    }
    if let QueueKind::Expiring(after) = queue.kind {
        arguments.push(("x-expires", Argument::Number(millis(after))));
    }
    if let Some(dead_letter) = &queue.dead_letter {
        arguments.push(("x-dead-letter-exchange", text(&dead_letter.exchange)));
        if let Some(key) = &dead_letter.routing_key {
            arguments.push(("x-dead-letter-routing-key", text(key)));
        }
        if queue.kind == QueueKind::Quorum {
            // Without these arguments, a dead letter can be lost between the two queues.
            arguments.push(("x-dead-letter-strategy", text("at-least-once")));
            arguments.push(("x-overflow", text("reject-publish")));
        }
    }
    if let Some(ttl) = queue.message_ttl {
        arguments.push(("x-message-ttl", Argument::Number(millis(ttl))));
    }
    if queue.single_active_consumer {
        arguments.push(("x-single-active-consumer", Argument::Flag(true)));
    }
    arguments
}

/// The arguments of an exchange.
pub fn exchange_arguments(exchange: &Exchange) -> Vec<(&'static str, Argument)> {
    let alternate = exchange.alternate.iter();
    alternate.map(|name| ("alternate-exchange", Argument::Text(name.clone()))).collect()
}

/// The headers of a message. `mark` identifies a mandatory message if it is returned.
pub fn header_arguments(message: &Message, mark: Option<i64>) -> impl Iterator<Item = (&str, Argument)> + use<'_> {
    let own = message.headers.iter().map(|(name, value)| (name.as_str(), Argument::Text(value.clone())));
    own.chain(mark.map(|mark| (RETURN_MARK, Argument::Number(mark))))
}

/// Whether a header was set by the publisher, not by the broker.
pub fn is_own_header(name: &str) -> bool {
    !name.starts_with("x-")
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::topology::DeadLetter;

    fn rendered(queue: &Queue) -> Vec<String> {
        queue_arguments(queue).iter().map(|(name, value)| format!("{name}={value:?}")).collect()
    }

    #[test]
    fn the_arguments_of_a_durable_queue() {
        let dead_letter = DeadLetter { exchange: "dead".to_owned(), routing_key: Some("key".to_owned()) };
        let queue = Queue {
            dead_letter: Some(dead_letter),
            delivery_limit: Some(5),
            message_ttl: Some(Duration::from_millis(1500)),
            single_active_consumer: true,
            ..Queue::new("q", QueueKind::Quorum)
        };
        let expected = [
            "x-queue-type=Text(\"quorum\")",
            "x-delivery-limit=Number(5)",
            "x-dead-letter-exchange=Text(\"dead\")",
            "x-dead-letter-routing-key=Text(\"key\")",
            "x-dead-letter-strategy=Text(\"at-least-once\")",
            "x-overflow=Text(\"reject-publish\")",
            "x-message-ttl=Number(1500)",
            "x-single-active-consumer=Flag(true)",
        ];
        assert_eq!(rendered(&queue), expected);
    }

    #[test]
    fn the_arguments_of_temporary_queues() {
        let expiring = Queue::new("q", QueueKind::Expiring(Duration::from_secs(60)));
        let expected =
            ["x-queue-type=Text(\"quorum\")", "x-delivery-limit=Number(2147483647)", "x-expires=Number(60000)"];
        assert_eq!(rendered(&expiring), expected);
        assert!(rendered(&Queue::new("q", QueueKind::Exclusive)).is_empty());
    }
}
