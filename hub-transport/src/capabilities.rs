//! What a backend can do. Brokers differ in it, and differences are declared here and nowhere else: the conformance suite chooses its
//! cases by this record, and the supervisor and the engine do without what is missing.
//!
//! What is *not* here is required of every backend: confirms for publishes, delivery again of what was not settled, a prefetch,
//! order within a queue, queues of a session that go with it ([`crate::topology::QueueKind::Exclusive`]), a place for replies
//! ([`crate::Session::inbox`]), and routing by direct, topic and fanout exchanges, which a backend may build from other means of
//! its broker. Priorities of messages are not asked for: Hub orders tasks itself.

use std::fmt;

/// What a backend can do. Each field says what happens without it.
///
/// ```
/// use hub_transport::{Capabilities, Capability};
///
/// // A broker whose queues are made by its operators, and that cannot count what is in them.
/// let fixed = Capabilities { declares: false, counts: false, ..Capabilities::all() };
/// assert!(!fixed.has(Capability::Counts));
/// assert_eq!(fixed, Capabilities::all().without(Capability::Declares).without(Capability::Counts));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own, which any broker may answer differently"
)]
pub struct Capabilities {
    /// Messages survive a restart of the broker.
    ///
    /// Without it a dispatcher that starts hands out again what the broker had, and what a restart of the broker loses is noticed
    /// as [`Capabilities::counts`] says.
    pub durable: bool,
    /// [`crate::Session::declare`] makes exchanges, queues and bindings.
    ///
    /// Without it the operators of the broker make them. The supervisor only checks that they exist, and declares the queues that
    /// go with their session.
    pub declares: bool,
    /// [`crate::Session::ready`] counts the messages of a queue.
    ///
    /// Without it a dispatcher does not notice that the broker has lost a task or its result: the job does not end until it is
    /// cancelled. Workers and clients cannot see whether the queues that they share exist, and leave it to the dispatcher to declare
    /// them: before the first dispatcher has started, they do not come up.
    pub counts: bool,
    /// A queue or a subscription can belong to one session alone, and others are told so (`InUse`).
    ///
    /// Without it queues of a session are reachable for others, exclusive subscriptions are not asked for, and a dispatcher cannot
    /// keep a second one out: it starts only where its settings say that it is the only one.
    pub exclusive: bool,
    /// One settlement can stand for many deliveries (`multiple`).
    ///
    /// Without it the supervisor settles them one by one.
    pub acknowledges_many: bool,
    /// A mandatory message that no queue takes resolves to [`crate::Outcome::Unroutable`].
    ///
    /// Without it [`crate::Message::mandatory`] means nothing: a request to a Hub without a dispatcher is not refused at once, but waits for
    /// its time limit.
    pub returns_unroutable: bool,
    /// What an exchange cannot route goes to its alternate exchange.
    ///
    /// Without it a dispatcher publishes tasks as mandatory messages. Without [`Capabilities::returns_unroutable`] either, a task of a
    /// pool that has no queue is lost, and noticed as [`Capabilities::counts`] says.
    pub alternate_exchanges: bool,
    /// A queue passes on what its consumers reject to a dead-letter exchange.
    ///
    /// Without it a worker publishes dead letters itself.
    pub dead_letters: bool,
    /// Deliveries say how often their message was delivered before ([`crate::Delivery::delivery_count`]).
    ///
    /// Without it, and without [`Capabilities::limits_deliveries`], a task that ends every worker that runs it is delivered again without end.
    pub counts_deliveries: bool,
    /// A queue gives up messages that were delivered too often ([`crate::topology::Queue::delivery_limit`]).
    ///
    /// Without it, or without [`Capabilities::dead_letters`], a worker gives them up, as far as deliveries are counted.
    pub limits_deliveries: bool,
    /// Of several consumers of a queue one is served, and the next takes over when it goes.
    ///
    /// Hub does not use it yet.
    pub single_active_consumer: bool,
    /// Publishers learn that the broker is blocked ([`crate::Health::Blocked`]).
    ///
    /// Without it they wait for confirms, and the log does not name the reason.
    pub reports_blocked: bool,
    /// Maximum size of a message, in bytes. `None`: there is no limit, or it is not known.
    ///
    /// Values that do not fit fail their tasks with the limit in the message. Without a known limit the broker refuses them.
    pub max_message_bytes: Option<usize>,
}

/// The name of a capability: a field of [`Capabilities`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// [`Capabilities::durable`]
    Durable,
    /// [`Capabilities::declares`]
    Declares,
    /// [`Capabilities::counts`]
    Counts,
    /// [`Capabilities::exclusive`]
    Exclusive,
    /// [`Capabilities::acknowledges_many`]
    AcknowledgesMany,
    /// [`Capabilities::returns_unroutable`]
    ReturnsUnroutable,
    /// [`Capabilities::alternate_exchanges`]
    AlternateExchanges,
    /// [`Capabilities::dead_letters`]
    DeadLetters,
    /// [`Capabilities::counts_deliveries`]
    CountsDeliveries,
    /// [`Capabilities::limits_deliveries`]
    LimitsDeliveries,
    /// [`Capabilities::single_active_consumer`]
    SingleActiveConsumer,
    /// [`Capabilities::reports_blocked`]
    ReportsBlocked,
    /// [`Capabilities::max_message_bytes`] is known.
    KnownMessageLimit,
}

impl Capabilities {
    /// Everything, without a limit for messages: what the memory backend can do.
    #[must_use]
    pub const fn all() -> Self {
        Self {
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
        }
    }

    /// Whether the backend has this one.
    #[must_use]
    pub const fn has(&self, capability: Capability) -> bool {
        match capability {
            Capability::Durable => self.durable,
            Capability::Declares => self.declares,
            Capability::Counts => self.counts,
            Capability::Exclusive => self.exclusive,
            Capability::AcknowledgesMany => self.acknowledges_many,
            Capability::ReturnsUnroutable => self.returns_unroutable,
            Capability::AlternateExchanges => self.alternate_exchanges,
            Capability::DeadLetters => self.dead_letters,
            Capability::CountsDeliveries => self.counts_deliveries,
            Capability::LimitsDeliveries => self.limits_deliveries,
            Capability::SingleActiveConsumer => self.single_active_consumer,
            Capability::ReportsBlocked => self.reports_blocked,
            Capability::KnownMessageLimit => self.max_message_bytes.is_some(),
        }
    }

    /// The same without this one.
    #[must_use]
    pub const fn without(mut self, capability: Capability) -> Self {
        match capability {
            Capability::Durable => self.durable = false,
            Capability::Declares => self.declares = false,
            Capability::Counts => self.counts = false,
            Capability::Exclusive => self.exclusive = false,
            Capability::AcknowledgesMany => self.acknowledges_many = false,
            Capability::ReturnsUnroutable => self.returns_unroutable = false,
            Capability::AlternateExchanges => self.alternate_exchanges = false,
            Capability::DeadLetters => self.dead_letters = false,
            Capability::CountsDeliveries => self.counts_deliveries = false,
            Capability::LimitsDeliveries => self.limits_deliveries = false,
            Capability::SingleActiveConsumer => self.single_active_consumer = false,
            Capability::ReportsBlocked => self.reports_blocked = false,
            Capability::KnownMessageLimit => self.max_message_bytes = None,
        }
        self
    }
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 13] = [
        Self::Durable,
        Self::Declares,
        Self::Counts,
        Self::Exclusive,
        Self::AcknowledgesMany,
        Self::ReturnsUnroutable,
        Self::AlternateExchanges,
        Self::DeadLetters,
        Self::CountsDeliveries,
        Self::LimitsDeliveries,
        Self::SingleActiveConsumer,
        Self::ReportsBlocked,
        Self::KnownMessageLimit,
    ];

    /// Its name: that of the field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Declares => "declares",
            Self::Counts => "counts",
            Self::Exclusive => "exclusive",
            Self::AcknowledgesMany => "acknowledges_many",
            Self::ReturnsUnroutable => "returns_unroutable",
            Self::AlternateExchanges => "alternate_exchanges",
            Self::DeadLetters => "dead_letters",
            Self::CountsDeliveries => "counts_deliveries",
            Self::LimitsDeliveries => "limits_deliveries",
            Self::SingleActiveConsumer => "single_active_consumer",
            Self::ReportsBlocked => "reports_blocked",
            Self::KnownMessageLimit => "max_message_bytes",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_capability_can_be_switched_off_alone() {
        let all = Capabilities { max_message_bytes: Some(1), ..Capabilities::all() };
        for off in Capability::ALL {
            let rest = all.without(off);
            for capability in Capability::ALL {
                assert_eq!(rest.has(capability), capability != off, "{capability} without {off}");
            }
        }
    }
}
