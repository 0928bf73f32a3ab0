//! What RabbitMQ can do, whichever client speaks to it.

use crate::Capabilities;

/// What RabbitMQ can do over AMQP 0-9-1. A client changes what it does not pass on, and adds its limit for messages.
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
