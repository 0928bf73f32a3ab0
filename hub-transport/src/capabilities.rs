//! The capabilities of a backend. All differences between brokers are declared here. The conformance suite selects its cases by this
//! record, and the supervisor and the engine have fallbacks for missing capabilities.
//!
//! Every backend must support what is *not* listed here: publisher confirms, redelivery of unsettled messages, a prefetch limit,
//! order within a queue, queues that are deleted with their session ([`crate::topology::QueueKind::Exclusive`]), a queue for replies
//! ([`crate::Session::inbox`]), and routing by direct, topic and fanout exchanges, which a backend may emulate. Message priorities
//! are not required, because Hub orders tasks itself.

use std::fmt;

/// The capabilities of a backend. Each field documents what happens without it.
///
/// ```
/// use hub_transport::{Capabilities, Capability};
///
/// // A broker whose queues are created by its operators, and that cannot count their messages.
/// let fixed = Capabilities { declares: false, counts: false, ..Capabilities::all() };
/// assert!(!fixed.has(Capability::Counts));
/// assert_eq!(fixed, Capabilities::all().without(Capability::Declares).without(Capability::Counts));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the capabilities are independent of each other")]
pub struct Capabilities {
    /// Messages survive a restart of the broker.
    ///
    /// Without it, a dispatcher publishes at its start all tasks that were on the broker, and detects messages that a restart of the
    /// broker has lost as described at [`Capabilities::counts`].
    pub durable: bool,
    /// [`crate::Session::declare`] creates exchanges, queues and bindings.
    ///
    /// Without it, the operators of the broker create them. The supervisor only checks that they exist, and declares the queues that
    /// are deleted with their session.
    pub declares: bool,
    /// [`crate::Session::ready`] counts the messages of a queue.
    ///
    /// Without it, a dispatcher does not detect that the broker has lost a task or its result. The job then does not end until it is
    /// cancelled. Workers and clients cannot check whether shared queues exist, and leave it to the dispatcher to declare them: they do
    /// not connect before the first dispatcher has started.
    pub counts: bool,
    /// A queue or a subscription can belong to one session. Other sessions are refused (`InUse`).
    ///
    /// Without it, other sessions can use the queues of a session, and exclusive subscriptions are not requested. Since a dispatcher
    /// cannot exclude a second one, it starts only if its settings declare it as the only one.
    pub exclusive: bool,
    /// One settlement can cover several deliveries (`multiple`).
    ///
    /// Without it, the supervisor settles them one by one.
    pub acknowledges_many: bool,
    /// A mandatory message that is not routed to a queue resolves to [`crate::Outcome::Unroutable`].
    ///
    /// Without it, [`crate::Message::mandatory`] has no effect. If no dispatcher is running, a request is not refused at once but waits
    /// for its time limit.
    pub returns_unroutable: bool,
    /// An exchange passes messages that it cannot route to its alternate exchange.
    ///
    /// Without it, a dispatcher publishes tasks as mandatory messages. Without [`Capabilities::returns_unroutable`] as well, a task of a
    /// pool without a queue is lost, which is detected as described at [`Capabilities::counts`].
    pub alternate_exchanges: bool,
    /// A queue passes messages that its consumers reject to a dead-letter exchange.
    ///
    /// Without it, a worker publishes dead letters itself.
    pub dead_letters: bool,
    /// A delivery contains the number of earlier deliveries of its message ([`crate::Delivery::delivery_count`]).
    ///
    /// Without it, and without [`Capabilities::limits_deliveries`], a task that crashes every worker is redelivered without a limit.
    pub counts_deliveries: bool,
    /// A queue dead-letters messages that were delivered too often ([`crate::topology::Queue::delivery_limit`]).
    ///
    /// Without it, or without [`Capabilities::dead_letters`], a worker does this, if deliveries are counted.
    pub limits_deliveries: bool,
    /// Only one of several consumers of a queue receives messages. The next one takes over when it ends.
    ///
    /// Hub does not use it yet.
    pub single_active_consumer: bool,
    /// Publishers are notified that the broker is blocked ([`crate::Health::Blocked`]).
    ///
    /// Without it, they wait for confirms, and the log does not contain the reason.
    pub reports_blocked: bool,
    /// Maximum size of a message, in bytes. `None` if there is no limit, or if it is not known.
    ///
    /// A task with a larger value fails, and its error message contains the limit. Without a known limit, the broker refuses the value.
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
    /// All capabilities, without a size limit for messages. These are the capabilities of the memory backend.
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

    /// Whether the backend has this capability.
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

    /// The record without this capability.
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

    /// The name of the field.
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
