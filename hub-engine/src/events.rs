//! What has changed, for watchers in the dispatcher's process.
//!
//! The dispatcher publishes the events of a batch after its commit, and never waits for a watcher. The latest 10,000 are
//! kept in a ring; a watcher that falls behind them is told to start again. Without a watcher nothing is recorded. Watchers
//! share the batches, and the text of each, which the first of them that needs it writes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hub_core::action::Notice;
use tokio::sync::{OnceCell, watch};

/// Maximum number of events in the ring. It is also the number of events that are still recorded after the last watcher has
/// gone, so that one that reconnects goes on where it was.
const MAXIMUM_EVENTS: usize = 10_000;
/// Number of numbers for each start of a dispatcher, so that none is used twice.
const NUMBERS_PER_START: u64 = 1 << 40;

/// What a watcher sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The events of this batch from the one with this number on.
    Events(Arc<Batch>, u64),
    /// Events were missed: read anew what is watched. The following events have higher numbers than this.
    Reset(u64),
}

/// The events of a dispatcher. Clones are the same.
#[derive(Clone, Debug)]
pub struct Events {
    shared: Arc<Shared>,
}

/// A watcher, until this is dropped.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    published: watch::Receiver<()>,
    /// The number of the next event to see.
    next: u64,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    is_recording: AtomicBool,
    published: watch::Sender<()>,
}

#[derive(Debug)]
struct Ring {
    batches: VecDeque<Arc<Batch>>,
    /// The number of the first event that can be seen.
    first: u64,
    /// The number of the next event.
    next: u64,
    watchers: usize,
    /// How many more events are recorded without a watcher.
    unwatched: usize,
}

/// Changes of jobs and tasks that were published together.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    first: u64,
    notices: Vec<Notice>,
    /// The events as text, once a watcher has needed it.
    pub(crate) text: OnceCell<Text>,
}

/// The events of a batch as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) bytes: Bytes,
    /// Where each event ends.
    pub(crate) ends: Vec<usize>,
}

impl Events {
    /// No events. `incarnation`: which start of the dispatcher this is.
    pub(crate) fn new(incarnation: u64) -> Self {
        let first = incarnation.saturating_mul(NUMBERS_PER_START);
        let ring = Ring { batches: VecDeque::new(), first, next: first, watchers: 0, unwatched: 0 };
        let published = watch::Sender::new(());
        Self { shared: Arc::new(Shared { ring: Mutex::new(ring), is_recording: AtomicBool::new(false), published }) }
    }

    /// Whether events are to be published.
    pub(crate) fn are_recorded(&self) -> bool {
        self.shared.is_recording.load(Ordering::Relaxed)
    }

    /// Publishes what has changed, after the commit. `lacks_some`: more has changed than that, and watchers have to start again.
    pub(crate) fn publish(&self, notices: Vec<Notice>, lacks_some: bool) {
        if !self.are_recorded() || (notices.is_empty() && !lacks_some) {
            return;
        }
        let mut ring = self.shared.ring();
        if lacks_some {
            ring.restart();
        }
        if !ring.push(notices) {
            // Under the lock, as where a watcher comes.
            self.shared.is_recording.store(false, Ordering::Relaxed);
        }
        drop(ring);
        self.shared.published.send_replace(());
    }

    /// Watches events from now on, or those after the one with the number `after`.
    #[must_use]
    pub fn watch(&self, after: Option<u64>) -> Watcher {
        let published = self.shared.published.subscribe();
        let mut ring = self.shared.ring();
        ring.watchers += 1;
        self.shared.is_recording.store(true, Ordering::Relaxed);
        let next = after.map_or(ring.next, |after| after.saturating_add(1));
        Watcher { shared: Arc::clone(&self.shared), published, next }
    }
}

impl Watcher {
    /// The next events, or that some were missed. May be dropped at any time.
    pub async fn next(&mut self) -> Seen {
        loop {
            self.published.mark_unchanged();
            if let Some(seen) = self.look() {
                return seen;
            }
            // The sender is a part of this.
            let _ = self.published.changed().await;
        }
    }

    /// The number with which a client goes on from here.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    fn look(&mut self) -> Option<Seen> {
        let batch = {
            let ring = self.shared.ring();
            if !(ring.first..=ring.next).contains(&self.next) {
                self.next = ring.next;
                return Some(Seen::Reset(ring.next.saturating_sub(1)));
            }
            let at = ring.batches.partition_point(|batch| batch.end() <= self.next);
            Arc::clone(ring.batches.get(at)?)
        };
        let from = std::mem::replace(&mut self.next, batch.end());
        Some(Seen::Events(batch, from))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut ring = self.shared.ring();
        ring.watchers -= 1;
        ring.unwatched = MAXIMUM_EVENTS;
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing panics under this lock.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// Forgets all events. One number is left out, so that watchers are told that they have missed some.
    fn restart(&mut self) {
        self.next += 1;
        self.first = self.next;
        self.batches = VecDeque::new();
    }

    /// Adds events, and drops those that are too old. `false`: there has been no watcher for so long that none can go on,
    /// and nothing is to be recorded.
    fn push(&mut self, mut notices: Vec<Notice>) -> bool {
        let (count, first) = (notices.len(), self.next);
        self.next += count as u64;
        if self.watchers == 0 {
            self.unwatched = self.unwatched.saturating_sub(count);
            if self.unwatched == 0 {
                self.restart();
                return false;
            }
        }
        let excess = count.saturating_sub(MAXIMUM_EVENTS);
        notices.drain(..excess);
        self.batches.push_back(Arc::new(Batch { first: first + excess as u64, notices, text: OnceCell::new() }));
        let oldest = self.next.saturating_sub(MAXIMUM_EVENTS as u64);
        while self.batches.pop_front_if(|batch| batch.end() <= oldest).is_some() {}
        self.first = self.batches.front().map_or(self.next, |batch| batch.first);
        true
    }
}

impl Batch {
    /// The events, each with its number: later ones have higher numbers.
    pub fn events(&self) -> impl Iterator<Item = (u64, &Notice)> {
        (self.first..).zip(&self.notices)
    }

    const fn end(&self) -> u64 {
        self.first + self.notices.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use hub_core::{JobId, JobStatus};
    use uuid::Uuid;

    use super::*;

    fn notices(count: usize) -> Vec<Notice> {
        let id = JobId::new(Uuid::from_u128(1 << 64));
        vec![Notice::Job { id, name: "j".into(), status: JobStatus::Running }; count]
    }

    /// The numbers that a watcher sees at once.
    fn numbers(watcher: &mut Watcher) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(seen) = watcher.next().now_or_never() {
            match seen {
                Seen::Events(batch, from) => {
                    numbers.extend(batch.events().map(|(number, _)| number).filter(|number| *number >= from));
                }
                Seen::Reset(number) => panic!("reset at {number}"),
            }
        }
        numbers
    }

    #[test]
    fn each_watcher_sees_each_event_once_in_order() {
        let events = Events::new(1);
        assert!(!events.are_recorded());
        let mut early = events.watch(None);
        assert!(events.are_recorded());
        events.publish(notices(2), false);
        let mut late = events.watch(None);
        events.publish(notices(3), false);
        let base = NUMBERS_PER_START;
        assert_eq!(numbers(&mut early), (base..base + 5).collect::<Vec<_>>());
        assert_eq!(numbers(&mut late), (base + 2..base + 5).collect::<Vec<_>>());
        assert_eq!(numbers(&mut events.watch(Some(base + 3))), [base + 4], "in the middle of a batch");
    }

    #[test]
    fn a_slow_watcher_is_told_to_start_again_and_the_ring_stays_small() {
        let events = Events::new(0);
        let mut slow = events.watch(None);
        (0..MAXIMUM_EVENTS / 100 + 1).for_each(|_| events.publish(notices(100), false));
        let end = (MAXIMUM_EVENTS + 100) as u64;
        assert_eq!(slow.next().now_or_never(), Some(Seen::Reset(end - 1)));
        assert_eq!(slow.next().now_or_never(), None);
        events.publish(notices(2 * MAXIMUM_EVENTS), false);
        let kept: usize = events.shared.ring().batches.iter().map(|batch| batch.notices.len()).sum();
        assert_eq!(kept, MAXIMUM_EVENTS);
        assert!(matches!(slow.next().now_or_never(), Some(Seen::Reset(_))));
        events.publish(notices(1), false);
        assert_eq!(numbers(&mut slow), [end + 2 * MAXIMUM_EVENTS as u64]);
    }

    #[test]
    fn without_a_watcher_nothing_is_recorded_once_none_can_go_on() {
        let events = Events::new(0);
        drop(events.watch(None));
        events.publish(notices(5), false);
        assert_eq!(numbers(&mut events.watch(Some(1))), [2, 3, 4], "it was away for a moment");
        events.publish(notices(MAXIMUM_EVENTS), false);
        assert!(!events.are_recorded() && events.shared.ring().batches.is_empty());
        let mut back = events.watch(Some(4 + MAXIMUM_EVENTS as u64));
        assert!(matches!(back.next().now_or_never(), Some(Seen::Reset(_))));
        events.publish(notices(1), false);
        assert_eq!(numbers(&mut back).len(), 1);
    }

    #[test]
    fn watchers_start_again_where_not_every_change_was_recorded() {
        let events = Events::new(0);
        events.publish(Vec::new(), true);
        let mut watcher = events.watch(None);
        assert_eq!(watcher.next().now_or_never(), None, "nothing was recorded before it came");
        events.publish(notices(2), true);
        assert_eq!(watcher.next().now_or_never(), Some(Seen::Reset(2)));
        events.publish(notices(1), false);
        assert_eq!(numbers(&mut watcher), [3]);
    }

    #[test]
    fn a_number_of_another_dispatcher_is_a_reason_to_start_again() {
        let events = Events::new(2);
        for other in [0, NUMBERS_PER_START + 7, 3 * NUMBERS_PER_START, u64::MAX] {
            let seen = events.watch(Some(other)).next().now_or_never();
            assert_eq!(seen, Some(Seen::Reset(2 * NUMBERS_PER_START - 1)), "{other}");
        }
    }
}
