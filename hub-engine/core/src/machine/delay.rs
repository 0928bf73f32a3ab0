//! Tasks that rest a moment before they are handed out again.
//!
//! A worker that lacks a task's module hands the task back at once. While the workers that have the module
//! are busy and the others idle, the same task would go back and forth as fast as the broker carries it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{JobId, Steady};

/// The first rest; each further one of the same task is twice as long.
const SHORTEST: Duration = Duration::from_millis(20);
/// So often is it doubled.
const DOUBLINGS: u32 = 7;

/// What rests, by the moment at which its rest ends.
#[derive(Debug, Default)]
pub(super) struct Delays {
    due: BTreeSet<(Steady, JobId, u32)>,
}

impl Delays {
    /// A task rests after this issue of it.
    pub(super) fn rest(&mut self, job: JobId, index: u32, issues: u32, now: Steady) {
        let rest = SHORTEST * 2_u32.pow(issues.saturating_sub(1).min(DOUBLINGS));
        self.due.insert((now.after(rest), job, index));
    }

    /// When the next rest ends.
    pub(super) fn next(&self) -> Option<Steady> {
        self.due.first().map(|(due, ..)| *due)
    }

    /// Takes out a task whose rest has ended.
    pub(super) fn pop(&mut self, now: Steady) -> Option<(JobId, u32)> {
        self.next().filter(|due| *due <= now)?;
        self.due.pop_first().map(|(_, job, index)| (job, index))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn rests_grow_and_end_in_their_order() {
        let job = JobId::new(Uuid::from_u128(1));
        let at = Steady::from_millis;
        let mut delays = Delays::default();
        delays.rest(job, 0, 3, at(0));
        delays.rest(job, 1, 1, at(0));
        delays.rest(job, 2, u32::MAX, at(0));
        assert_eq!((delays.next(), delays.pop(at(19))), (Some(at(20)), None));
        assert_eq!(delays.pop(at(100)), Some((job, 1)));
        assert_eq!(delays.pop(at(100)), Some((job, 0)));
        assert_eq!((delays.pop(at(2559)), delays.pop(at(2560))), (None, Some((job, 2))));
    }
}
