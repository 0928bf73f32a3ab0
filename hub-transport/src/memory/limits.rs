//! Refuses operations that need missing capabilities.

use crate::topology::QueueKind;
use crate::{Capabilities, Capability, Error, Operation, Result, Settlement, SubscribeOptions, Topology};

/// Checks a declaration of a session.
pub(super) fn check_topology(capabilities: &Capabilities, topology: &Topology) -> Result<()> {
    let own = topology.of_session();
    let needed = [
        (Capability::Declares, own != *topology),
        (Capability::AlternateExchanges, topology.exchanges.iter().any(|exchange| exchange.alternate.is_some())),
        (Capability::DeadLetters, topology.queues.iter().any(|queue| queue.dead_letter.is_some())),
        (Capability::LimitsDeliveries, topology.queues.iter().any(|queue| queue.delivery_limit.is_some())),
        (Capability::SingleActiveConsumer, topology.queues.iter().any(|queue| queue.single_active_consumer)),
    ];
    needed
        .into_iter()
        .try_for_each(|(capability, is_needed)| check(capabilities, capability, is_needed, Operation::Declare))
}

/// Checks the options of a subscription.
pub(super) fn check_subscription(capabilities: &Capabilities, options: SubscribeOptions) -> Result<()> {
    check(capabilities, Capability::Exclusive, options.exclusive, Operation::Subscribe)
}

/// Checks a settlement.
pub(super) fn check_settlement(capabilities: &Capabilities, settlement: Settlement, multiple: bool) -> Result<()> {
    check(capabilities, Capability::AcknowledgesMany, multiple, Operation::Settle)?;
    check(capabilities, Capability::DeadLetters, settlement == Settlement::DeadLetter, Operation::Settle)
}

/// Checks that messages can be counted.
pub(super) fn check_count(capabilities: &Capabilities) -> Result<()> {
    check(capabilities, Capability::Counts, true, Operation::Inspect)
}

fn check(capabilities: &Capabilities, capability: Capability, is_needed: bool, operation: Operation) -> Result<()> {
    if is_needed && !capabilities.has(capability) { Err(Error::unsupported(operation, capability)) } else { Ok(()) }
}

/// Whether sessions may use queues of this kind that belong to other sessions.
pub(super) const fn is_open_to_others(capabilities: &Capabilities, kind: QueueKind) -> bool {
    !capabilities.exclusive && matches!(kind, QueueKind::Exclusive)
}
