//! What the supervisor does without capabilities that the backend lacks: it asks for less, and checks what it may not make.

use super::plan::{Foundation, Plan};
use crate::topology::QueueKind;
use crate::{Capabilities, Error, ErrorKind, Operation, Result, Session, Topology};

/// The plan, with nothing in it that the backend cannot do and that Hub can do without.
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
        // A queue that gives messages up without passing them on would lose them.
        if !capabilities.dead_letters || !capabilities.limits_deliveries {
            queue.delivery_limit = None;
        }
        if !capabilities.dead_letters {
            queue.dead_letter = None;
        }
    }
}

/// On a broker whose topology is fixed: checks that the queues exist, as far as they can be looked into, and declares those that go with
/// the session. A queue that cannot be looked into is found missing when it is consumed.
///
/// # Errors
/// `NotFound` with the queue that the broker's operators have to make; those of [`Session::declare`].
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

/// The same error, with what to do where a queue is missing that only the broker's operators can make.
pub(super) fn explained(error: Error, queue: &str) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    let message = format!(
        "there is no queue {queue:?}, and the queues of this broker are made by its operators: have it made with its \
         bindings, or check the prefix"
    );
    Error::new(ErrorKind::NotFound, Operation::Declare, message).with_source(error)
}
