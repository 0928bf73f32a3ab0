//! What is left when everything has stopped.

use std::collections::BTreeMap;

use hub_engine::operations::HealthReport;

/// What is left when everything has stopped in good order.
pub struct Leftovers {
    /// How many messages each queue has.
    pub depths: BTreeMap<String, usize>,
    /// The health that the dispatcher reported just before.
    pub health: Option<HealthReport>,
}
