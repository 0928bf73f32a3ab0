//! Declares a topology on a broker where somebody may have declared queues of the same names differently.

use crate::{ErrorKind, Result, Session, Topology};

/// Declares everything in `topology`. A queue that may be adopted ([`crate::topology::Queue::adopt`]) and that exists with
/// other properties is left as it is; the others, and all bindings, are declared. Returns what the broker said of each
/// queue that was left.
///
/// # Errors
/// Those of [`Session::declare`]; a conflict of anything that may not be adopted.
pub async fn declare(session: &dyn Session, topology: &Topology) -> Result<Vec<Conflict>> {
    let Err(error) = session.declare(topology).await else { return Ok(Vec::new()) };
    if error.kind() != ErrorKind::Conflict || !topology.queues.iter().any(|queue| queue.adopt) {
        return Err(error);
    }
    // The broker names one conflict at a time: the queues that may be adopted are tried one by one.
    let mut rest = topology.clone();
    let mut conflicts = Vec::new();
    for queue in topology.queues.iter().filter(|queue| queue.adopt) {
        let alone = Topology { queues: vec![queue.clone()], ..only_exchanges(topology) };
        match session.declare(&alone).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Conflict => {
                rest.queues.retain(|kept| kept.name != queue.name);
                conflicts.push(Conflict { queue: queue.name.clone(), reason: error.message().to_owned() });
            }
            Err(error) => return Err(error),
        }
    }
    session.declare(&rest).await?;
    Ok(conflicts)
}

/// A queue that exists with other properties than Hub's, and is used as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conflict {
    /// The queue.
    pub queue: String,
    /// What the broker says of it.
    pub reason: String,
}

/// A queue's dead-letter exchange may have to exist before the queue.
fn only_exchanges(topology: &Topology) -> Topology {
    Topology { exchanges: topology.exchanges.clone(), ..Topology::default() }
}
