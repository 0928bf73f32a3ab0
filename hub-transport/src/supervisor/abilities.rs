//! Fallbacks of the supervisor for missing capabilities of the backend.

use super::plan::{Foundation, Plan};
use crate::topology::QueueKind;
use crate::{Capabilities, Error, ErrorKind, Operation, Result, Session, Topology};

/// Removes from the plan what the backend does not support and Hub can do without.
pub(super) fn adapt(mut plan: Plan, capabilities: &Capabilities) -> Plan {
    adapt_topology(&mut plan.topology, capabilities);
    if let Some(Foundation { topology, .. }) = &mut plan.foundation {
        adapt_topology(topology, capabilities);
    }
    for wanted in &mut plan.subscriptions {
        wanted.options.exclusive &= capabilities.exclusive;
    }
    plan
}

fn adapt_topology(topology: &mut Topology, capabilities: &Capabilities) {
    if !capabilities.alternate_exchanges {
        topology.exchanges.iter_mut().for_each(|exchange| exchange.alternate = None);
    }
    for queue in &mut topology.queues {
        // A delivery limit without a dead-letter exchange would lose messages.
        if !capabilities.dead_letters || !capabilities.limits_deliveries {
            queue.delivery_limit = None;
        }
        if !capabilities.dead_letters {
            queue.dead_letter = None;
        }
    }
}

/// On a broker with a fixed topology: checks that the queues exist, if they can be inspected, and declares the queues of the session. If
/// queues cannot be inspected, a missing one is detected when it is consumed.
///
/// # Errors
/// `NotFound` with the queue that the broker's operators have to create; those of [`Session::declare`].
pub(super) async fn use_existing(session: &dyn Session, plan: &Plan, capabilities: &Capabilities) -> Result<()> {
    if capabilities.counts {
        let foundation = plan.foundation.iter().map(|foundation| &foundation.queue);
        let lasting = plan.topology.queues.iter().filter(|queue| queue.kind != QueueKind::Exclusive);
        for queue in foundation.chain(lasting.map(|queue| &queue.name)) {
            if let Err(error) = session.ready(queue).await {
                return Err(explained(error, queue));
            }
        }
    }
    let own = plan.topology.of_session();
    if own.is_empty() { Ok(()) } else { session.declare(&own).await }
}

/// Adds advice to the error for a missing queue that only the broker's operators can create.
pub(super) fn explained(error: Error, queue: &str) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    let message = format!(
        "there is no queue {queue:?}, and only the operators of this broker can create queues: let them create it with its \
         bindings, or check the prefix"
    );
    Error::new(ErrorKind::NotFound, Operation::Declare, message).with_source(error)
}
