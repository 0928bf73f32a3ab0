//! The work that a turn may do to fill arguments.

use super::remaining_work::MAXIMUM_TASKS_PER_TURN;

/// Maximum number of bytes that one turn reads and writes to fill arguments. The last arguments may exceed it.
const MAXIMUM_FILLED_BYTES: usize = 4 * 1024 * 1024;

/// The number of tasks that count as much as reading and writing this number of bytes.
pub(super) const fn tasks_for(bytes: usize) -> u32 {
    let tasks = 1 + bytes / (MAXIMUM_FILLED_BYTES / MAXIMUM_TASKS_PER_TURN as usize);
    if tasks < u32::MAX as usize { tasks as u32 } else { u32::MAX }
}

/// The remaining work that a turn may do.
pub(super) struct TurnBudget {
    /// Number of tasks.
    tasks: u32,
    /// Number of bytes of arguments.
    bytes: usize,
}

impl TurnBudget {
    pub(super) const fn new() -> Self {
        Self { tasks: MAXIMUM_TASKS_PER_TURN, bytes: MAXIMUM_FILLED_BYTES }
    }

    pub(super) const fn is_left(&self) -> bool {
        self.tasks > 0 && self.bytes > 0
    }

    /// Counts one task and the bytes of its arguments.
    pub(super) const fn spend(&mut self, bytes: usize) {
        self.tasks -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
