//! How much of what is on its way in the dispatcher holds.
//!
//! What limits memory is how much lives: jobs that have not ended. While they take as much as they may, submissions over
//! the broker stay there, and those over HTTP are refused for the time being. Results are always taken, since only they
//! make room: what they add is bounded by the number of live tasks and the size of a result.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Maximum size of the submissions that are parsed at a time, in KiB. A job takes many times its text while it is
/// parsed. One larger submission is parsed by itself.
const PARSED_KIB: u32 = 32 * 1024;
/// Maximum size of delivered submissions that wait to be parsed, in bytes. With more, no further ones are taken from the
/// broker; what it has sent already still comes.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// How much there is. Shared by the loop and those who bring submissions before it.
#[derive(Debug)]
pub(super) struct Room {
    is_full: watch::Sender<bool>,
    parsed: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A submission that is being parsed, until this is dropped.
#[derive(Debug)]
pub(super) struct ParsePermit {
    _permit: Option<OwnedSemaphorePermit>,
}

/// A delivered submission that waits, until this is dropped.
struct Waiting<'r> {
    room: &'r Room,
    bytes: usize,
}

impl Room {
    pub(super) fn new() -> Self {
        let parsed = Arc::new(Semaphore::new(PARSED_KIB as usize));
        Self { is_full: watch::Sender::new(false), parsed, waiting: AtomicUsize::new(0) }
    }

    /// Whether live jobs take as much as they may.
    pub(super) fn is_full(&self) -> bool {
        *self.is_full.borrow()
    }

    /// Live jobs take as much as they may, or do not any more.
    pub(super) fn set_full(&self, is_full: bool) {
        self.is_full.send_if_modified(|was_full| std::mem::replace(was_full, is_full) != is_full);
    }

    /// Whether enough submissions wait. `already`: whether that was so before.
    pub(super) fn is_crowded(&self, already: bool) -> bool {
        let most = if already { WAITING_BYTES / 2 } else { WAITING_BYTES };
        self.waiting.load(Ordering::Relaxed) > most
    }

    /// Room to parse a submission of so many bytes, when there is some.
    pub(super) async fn parse_permit(&self, bytes: usize) -> ParsePermit {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(PARSED_KIB).min(PARSED_KIB);
        // The semaphore is never closed.
        ParsePermit { _permit: Arc::clone(&self.parsed).acquire_many_owned(kib).await.ok() }
    }

    /// The same for one that the broker has delivered: it waits until there is room for its jobs too.
    pub(super) async fn parse_permit_for_delivery(&self, bytes: usize) -> ParsePermit {
        let _waiting = Waiting::new(self, bytes);
        loop {
            // The sender is a part of this.
            let _ = self.is_full.subscribe().wait_for(|is_full| !is_full).await;
            let permit = self.parse_permit(bytes).await;
            // Those that had their permits before may have filled the room.
            if !self.is_full() {
                return permit;
            }
        }
    }
}

impl<'r> Waiting<'r> {
    fn new(room: &'r Room, bytes: usize) -> Self {
        room.waiting.fetch_add(bytes, Ordering::Relaxed);
        Self { room, bytes }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.room.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Whether this does not come to its end by itself.
    async fn hangs<T>(future: impl Future<Output = T>) -> bool {
        tokio::time::timeout(Duration::from_secs(3600), future).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_parsed_at_a_time_is_bounded_and_a_larger_one_is_parsed_alone() {
        let room = Room::new();
        let small = room.parse_permit(100).await;
        assert!(hangs(room.parse_permit(usize::MAX)).await);
        drop(small);
        let large = room.parse_permit(usize::MAX).await;
        assert!(hangs(room.parse_permit(100)).await);
        drop(large);
        room.parse_permit(100).await;
    }

    #[tokio::test(start_paused = true)]
    async fn deliveries_wait_while_live_jobs_take_as_much_as_they_may() {
        let room = Room::new();
        room.set_full(true);
        assert!(room.is_full() && hangs(room.parse_permit_for_delivery(100)).await);
        {
            let waiting = room.parse_permit_for_delivery(WAITING_BYTES + 1);
            tokio::pin!(waiting);
            assert!(hangs(waiting.as_mut()).await);
            assert!(room.is_crowded(false));
            room.set_full(false);
            waiting.await;
        }
        assert!(!room.is_crowded(true));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_of_several_waiting_deliveries_may_fill_the_room_again() {
        let room = Room::new();
        room.set_full(true);
        let (first, second) = (room.parse_permit_for_delivery(usize::MAX), room.parse_permit_for_delivery(usize::MAX));
        tokio::pin!(first, second);
        assert!(hangs(first.as_mut()).await && hangs(second.as_mut()).await);
        room.set_full(false);
        let permit = first.await;
        assert!(hangs(second.as_mut()).await, "only one is parsed at a time");
        room.set_full(true);
        drop(permit);
        assert!(hangs(second.as_mut()).await, "the jobs of the first one take all the room");
        room.set_full(false);
        second.await;
    }
}
