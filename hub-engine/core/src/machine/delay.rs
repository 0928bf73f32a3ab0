//! The delay before a task is handed out again.
//!
//! A worker that lacks a task's module returns the task immediately. While the workers with the module are busy and
//! others are idle, the same task would be published and returned repeatedly without a delay.

use std::time::Duration;

/// The first delay. Each further delay of the same task is twice as long.
const MINIMUM_DELAY: Duration = Duration::from_millis(20);
/// Maximum number of times that the delay is doubled.
const DOUBLINGS: u32 = 7;

/// The delay of a task after this issue.
pub(super) fn before_next_issue(issue: u32) -> Duration {
    MINIMUM_DELAY * 2_u32.pow(issue.saturating_sub(1).min(DOUBLINGS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_up_to_a_limit() {
        let delays = [0, 1, 2, 3, 8, 9, u32::MAX].map(|issue| before_next_issue(issue).as_millis());
        assert_eq!(delays, [20, 20, 40, 80, 2560, 2560, 2560]);
    }
}
