//! Bounds the memory of live jobs and of submissions in progress.
//!
//! Most memory is taken by live jobs. While they have reached their limit, submissions over the broker wait there, and
//! submissions over HTTP are refused. Results are always accepted, because jobs end only with them. The memory of
//! results is bounded by the number of live tasks and the maximum size of a result.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Maximum total size of the submissions that are parsed at the same time, in KiB. During parsing, a job takes many
/// times the memory of its text. A larger submission is parsed alone.
const MAXIMUM_PARSED_KIB: u32 = 32 * 1024;
/// Maximum size of definitions that submissions refer to, in bytes, without waiting for each other.
const MAXIMUM_SMALL_DEFINITIONS: usize = 64 * 1024;
/// Maximum total size of delivered submissions that wait to be parsed, in bytes. Beyond it, no further ones are
/// requested from the broker; those that it has already sent still arrive.
const MAXIMUM_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// The current use of memory. Shared by the loop and the tasks that check submissions.
#[derive(Debug)]
pub(super) struct Room {
    is_full: watch::Sender<bool>,
    parsed: Arc<Semaphore>,
    large: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A submission that is being parsed, until this is dropped.
#[derive(Debug)]
pub(super) struct ParsePermit {
    _permit: Option<OwnedSemaphorePermit>,
    /// Held if the definitions that it refers to are large.
    large: Option<OwnedSemaphorePermit>,
}

/// A delivered submission that waits, until this is dropped.
struct Waiting<'r> {
    room: &'r Room,
    bytes: usize,
}

impl Room {
    pub(super) fn new() -> Self {
        let parsed = Arc::new(Semaphore::new(MAXIMUM_PARSED_KIB as usize));
        let large = Arc::new(Semaphore::new(1));
        Self { is_full: watch::Sender::new(false), parsed, large, waiting: AtomicUsize::new(0) }
    }

    /// Whether live jobs have reached their limit.
    pub(super) fn is_full(&self) -> bool {
        *self.is_full.borrow()
    }

    /// Sets whether live jobs have reached their limit.
    pub(super) fn set_full(&self, is_full: bool) {
        self.is_full.send_if_modified(|was_full| std::mem::replace(was_full, is_full) != is_full);
    }

    /// Whether too many submissions wait. `already` is the previous answer, for hysteresis.
    pub(super) fn is_crowded(&self, already: bool) -> bool {
        let most = if already { MAXIMUM_WAITING_BYTES / 2 } else { MAXIMUM_WAITING_BYTES };
        self.waiting.load(Ordering::Relaxed) > most
    }

    /// Waits for the permit to parse a submission of this number of bytes.
    pub(super) async fn parse_permit(&self, bytes: usize) -> ParsePermit {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(MAXIMUM_PARSED_KIB).min(MAXIMUM_PARSED_KIB);
        // The semaphore is never closed.
        ParsePermit { _permit: Arc::clone(&self.parsed).acquire_many_owned(kib).await.ok(), large: None }
    }

    /// The submission refers to definitions of this size. Submissions with large ones are parsed one after the other, because their
    /// own texts, for which they have permits, are small.
    pub(super) async fn note_definitions(&self, permit: &mut ParsePermit, bytes: usize) {
        if bytes > MAXIMUM_SMALL_DEFINITIONS && permit.large.is_none() {
            permit.large = Arc::clone(&self.large).acquire_owned().await.ok();
        }
    }

    /// Like [`Room::parse_permit`] for a submission from the broker. Also waits until live jobs are below their limit.
    pub(super) async fn parse_permit_for_delivery(&self, bytes: usize) -> ParsePermit {
        let _waiting = Waiting::new(self, bytes);
        loop {
            // The sender is a field of `self`, so it is never dropped.
            let _ = self.is_full.subscribe().wait_for(|is_full| !is_full).await;
            let permit = self.parse_permit(bytes).await;
            // Earlier submissions may have reached the limit again.
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

    /// Whether the future does not complete.
    async fn hangs<T>(future: impl Future<Output = T>) -> bool {
        tokio::time::timeout(Duration::from_secs(3600), future).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_parsing_is_bounded_and_a_larger_submission_is_parsed_alone() {
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
    async fn deliveries_wait_while_live_jobs_have_reached_their_limit() {
        let room = Room::new();
        room.set_full(true);
        assert!(room.is_full() && hangs(room.parse_permit_for_delivery(100)).await);
        {
            let waiting = room.parse_permit_for_delivery(MAXIMUM_WAITING_BYTES + 1);
            tokio::pin!(waiting);
            assert!(hangs(waiting.as_mut()).await);
            assert!(room.is_crowded(false));
            room.set_full(false);
            waiting.await;
        }
        assert!(!room.is_crowded(true));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_of_several_waiting_deliveries_may_reach_the_limit_again() {
        let room = Room::new();
        room.set_full(true);
        let (first, second) = (room.parse_permit_for_delivery(usize::MAX), room.parse_permit_for_delivery(usize::MAX));
        tokio::pin!(first, second);
        assert!(hangs(first.as_mut()).await && hangs(second.as_mut()).await);
        room.set_full(false);
        let permit = first.await;
        assert!(hangs(second.as_mut()).await, "only one large submission is parsed at a time");
        room.set_full(true);
        drop(permit);
        assert!(hangs(second.as_mut()).await, "the jobs of the first submission have reached the limit");
        room.set_full(false);
        second.await;
    }
}
