//! The capabilities of RabbitMQ.

use crate::Capabilities;

/// The capabilities of RabbitMQ over AMQP 0-9-1. Each client library removes those that it does not support, and sets the size limit
/// of messages.
pub const RABBITMQ: Capabilities = Capabilities {
    durable: true,
    declares: true,
    counts: true,
    exclusive: true,
    acknowledges_many: true,
    returns_unroutable: true,
    alternate_exchanges: true,
    dead_letters: true,
    counts_deliveries: true,
    limits_deliveries: true,
    single_active_consumer: true,
    reports_blocked: true,
    max_message_bytes: None,
};
