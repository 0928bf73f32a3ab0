//! Declares a topology on a broker where queues may already exist with other properties.

use crate::{ErrorKind, Result, Session, Topology};

/// Declares everything in `topology`. A queue that may be adopted ([`crate::topology::Queue::adopt`]) and exists with other properties
/// is used unchanged. Returns the conflicts of such queues.
///
/// # Errors
/// Those of [`Session::declare`], including conflicts of queues and exchanges that may not be adopted.
pub async fn declare(session: &dyn Session, topology: &Topology) -> Result<Vec<Conflict>> {
    let Err(error) = session.declare(topology).await else { return Ok(Vec::new()) };
    if error.kind() != ErrorKind::Conflict || !topology.queues.iter().any(|queue| queue.adopt) {
        return Err(error);
    }
    // The broker reports only one conflict at a time, so the queues that may be adopted are declared one by one.
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

/// A queue that exists with other properties than declared, and is used unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conflict {
    /// The queue.
    pub queue: String,
    /// The broker's error message.
    pub reason: String,
}

/// The exchanges of a topology. The dead-letter exchange of a queue may have to exist before the queue.
fn only_exchanges(topology: &Topology) -> Topology {
    Topology { exchanges: topology.exchanges.clone(), ..Topology::default() }
}
