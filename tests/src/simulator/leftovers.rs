//! Checks what remains after everything has stopped.

use std::collections::BTreeMap;

use hub_engine::operations::HealthReport;

/// The state after everything has stopped normally.
pub struct Leftovers {
    /// Number of messages in each queue.
    pub depths: BTreeMap<String, usize>,
    /// The last health report of the dispatcher.
    pub health: Option<HealthReport>,
}
