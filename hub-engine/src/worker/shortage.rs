//! A shortage on the machine that prevents starting processes, and the time for which the worker takes no tasks.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Minimum and maximum delay before tasks are taken again.
const DELAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// The current shortage, if any.
#[derive(Debug)]
pub(super) struct Shortage {
    what: Option<Arc<str>>,
    until: Option<Instant>,
    delay: Duration,
}

impl Shortage {
    /// No shortage.
    pub(super) const fn new() -> Self {
        Self { what: None, until: None, delay: DELAY.0 }
    }

    /// A process could not be started because of this shortage. Returns the delay if the shortage is new.
    pub(super) fn note(&mut self, what: &str, now: Instant) -> Option<Duration> {
        if self.until.is_some() {
            return None;
        }
        let delay = self.delay;
        self.until = Some(now + delay);
        self.what = Some(what.into());
        self.delay = (delay * 2).min(DELAY.1);
        Some(delay)
    }

    /// A task has ended normally, which resets the delay. Tasks that end during a shortage were started before it, and
    /// are ignored.
    pub(super) const fn note_end(&mut self) {
        if self.until.is_none() {
            self.delay = DELAY.0;
        }
    }

    /// When tasks are taken again.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.until
    }

    /// Ends the shortage if its time is over. Returns whether it did.
    pub(super) fn ends(&mut self, now: Instant) -> bool {
        let ends = self.until.is_some_and(|until| until <= now);
        if ends {
            self.until = None;
            self.what = None;
        }
        ends
    }

    /// Whether there is a shortage.
    pub(super) const fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// The description of the shortage.
    pub(super) const fn what(&self) -> Option<&Arc<str>> {
        self.what.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_until_a_task_ends_normally() {
        let (mut shortage, begin) = (Shortage::new(), Instant::now());
        let mut delays = Vec::new();
        for _ in 0..7 {
            let delay = shortage.note("descriptors", begin).unwrap();
            assert_eq!(
                (shortage.note("descriptors", begin), shortage.is_on()),
                (None, true),
                "it is the same shortage"
            );
            shortage.note_end();
            assert!(!shortage.ends(begin) && shortage.ends(begin + delay) && shortage.what().is_none());
            delays.push(delay.as_secs());
        }
        assert_eq!(delays, [1, 2, 4, 8, 15, 15, 15]);
        shortage.note_end();
        assert_eq!(shortage.note("descriptors", begin), Some(DELAY.0));
    }
}
