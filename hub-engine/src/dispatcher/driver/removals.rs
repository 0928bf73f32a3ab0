//! What policies of the broker remove from queues: said once for each queue and reason, not once for each task.

use std::collections::HashMap;
use std::time::Duration;

use hub_core::Steady;

/// Interval after which the same is said again, if it still happens.
const REMINDER_INTERVAL: Duration = Duration::from_secs(600);
/// Maximum number of queues that are told apart: their names come with the messages.
const MAXIMUM_QUEUES: usize = 1000;

/// Removed messages, by queue and reason.
#[derive(Debug, Default)]
pub(super) struct Removals {
    seen: HashMap<(String, String), Seen>,
}

#[derive(Debug)]
struct Seen {
    said: Steady,
    /// How many there were since then.
    since: u64,
}

impl Removals {
    /// One more message was removed from this queue, or not let in. Returns how many there were since the last time, if it
    /// is to be said now.
    pub(super) fn note(&mut self, queue: &str, reason: &str, now: Steady) -> Option<u64> {
        let key = (queue.to_owned(), reason.to_owned());
        let Some(seen) = self.seen.get_mut(&key) else {
            if self.seen.len() >= MAXIMUM_QUEUES {
                return None;
            }
            self.seen.insert(key, Seen { said: now, since: 0 });
            return Some(1);
        };
        seen.since += 1;
        if now.since(seen.said) < REMINDER_INTERVAL {
            return None;
        }
        seen.said = now;
        Some(std::mem::take(&mut seen.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_queue_and_reason_is_said_once_and_again_after_a_while() {
        let at = |seconds: u64| Steady::from_millis(seconds * 1000);
        let mut removals = Removals::default();
        assert_eq!(removals.note("a", "expired", at(0)), Some(1));
        assert_eq!(removals.note("a", "maxlen", at(0)), Some(1));
        for second in 1..600 {
            assert_eq!(removals.note("a", "expired", at(second)), None);
        }
        assert_eq!(removals.note("a", "expired", at(600)), Some(600));
        assert_eq!(removals.note("a", "expired", at(601)), None);
    }
}
