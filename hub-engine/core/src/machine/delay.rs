//! How long a task rests before it is handed out again.
//!
//! A worker that lacks a task's module returns the task at once. While the workers that have the module
//! are busy and the others idle, the same task would go back and forth as fast as the broker carries it.

use std::time::Duration;

/// The first rest; each further one of the same task is twice as long.
const SHORTEST: Duration = Duration::from_millis(20);
/// Number of times that it is doubled.
const DOUBLINGS: u32 = 7;

/// The rest of a task after this issue of it.
pub(super) fn rest(issue: u32) -> Duration {
    SHORTEST * 2_u32.pow(issue.saturating_sub(1).min(DOUBLINGS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_up_to_a_limit() {
        let rests = [0, 1, 2, 3, 8, 9, u32::MAX].map(|issue| rest(issue).as_millis());
        assert_eq!(rests, [20, 20, 40, 80, 2560, 2560, 2560]);
    }
}
