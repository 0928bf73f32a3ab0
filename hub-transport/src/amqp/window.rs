//! Bounds how many publishes may be without an outcome, and knows when one has been for too long.
//!
//! Ages are counted by a wheel: every publish is counted in the slot that is current when it begins. When the wheel has
//! turned so far that this slot comes next, what is still counted in it is overdue. So no publish needs a timer or a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::{Error, ErrorKind, Operation, Result};

/// The largest window. Semaphores have a limit, and so has memory.
const LARGEST: usize = 1 << 20;
/// Number of slots of the wheel of ages.
const SLOTS: usize = 11;

/// The window of one publisher. Closed with its session.
#[derive(Clone, Debug)]
pub struct Window {
    permits: Arc<Semaphore>,
    size: u32,
    ages: Arc<Ages>,
}

/// The permit of one publish. Given back when this is dropped.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
    ages: Arc<Ages>,
    slot: usize,
}

#[derive(Debug, Default)]
struct Ages {
    current: AtomicUsize,
    open: [AtomicUsize; SLOTS],
}

impl Window {
    /// A window with this number of places.
    pub fn new(size: usize) -> Self {
        let size = size.clamp(1, LARGEST);
        Self {
            permits: Arc::new(Semaphore::new(size)),
            size: u32::try_from(size).unwrap_or(u32::MAX),
            ages: Arc::default(),
        }
    }

    /// How often [`Window::grow_older`] must be called for a publish to be overdue after `limit`.
    pub fn tick(limit: Duration) -> Duration {
        limit / u32::try_from(SLOTS - 1).unwrap_or(u32::MAX)
    }

    /// Waits for a permit to publish.
    pub async fn enter(&self) -> Result<Permit> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| Error::new(ErrorKind::Closed, Operation::Publish, "the session has ended"))?;
        let slot = self.ages.current.load(Ordering::Relaxed);
        self.ages.open[slot].fetch_add(1, Ordering::Relaxed);
        Ok(Permit { _permit: permit, ages: Arc::clone(&self.ages), slot })
    }

    /// Time has passed. True where a publish is overdue; nothing grows older until it has its outcome.
    pub fn grow_older(&self) -> bool {
        let next = (self.ages.current.load(Ordering::Relaxed) + 1) % SLOTS;
        let overdue = self.ages.open[next].load(Ordering::Relaxed) > 0;
        if !overdue {
            self.ages.current.store(next, Ordering::Relaxed);
        }
        overdue
    }

    /// Waits until every permit of all these windows is free: every publish has its outcome. False where that is
    /// not so when `deadline` has passed.
    pub async fn all_settled(windows: &[Self], deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        for window in windows {
            let settled = tokio::time::timeout_at(until, window.permits.acquire_many(window.size)).await;
            if !matches!(settled, Ok(Ok(_))) {
                return false;
            }
        }
        true
    }

    /// Waits until every permit is free, or the session has ended.
    pub async fn settled(&self) {
        let _ = self.permits.acquire_many(self.size).await;
    }

    /// Refuses further publishes, and those that wait for a place.
    pub fn close(&self) {
        self.permits.close();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.ages.open[self.slot].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_window_is_settled_when_all_its_places_are_free() {
        let windows = [Window::new(2), Window::new(0)];
        let permit = windows[1].enter().await.unwrap();
        let begun = Instant::now();
        assert!(!Window::all_settled(&windows, Duration::from_secs(5)).await);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        drop(permit);
        assert!(Window::all_settled(&windows, Duration::ZERO).await);
        windows[0].close();
        assert_eq!(windows[0].enter().await.unwrap_err().kind(), ErrorKind::Closed);
    }

    #[tokio::test]
    async fn a_publish_is_overdue_when_the_wheel_has_turned_once() {
        let window = Window::new(5);
        let turns = || (0..3 * SLOTS).position(|_| window.grow_older());
        assert_eq!(turns(), None, "nothing is open");
        let old = window.enter().await.unwrap();
        assert_eq!(turns(), Some(SLOTS - 1));
        let young = window.enter().await.unwrap();
        assert_eq!(turns(), Some(0), "it is still open");
        drop(old);
        assert!(turns().is_some_and(|turns| turns > 0), "only the younger one is left");
        drop(young);
        assert_eq!(turns(), None);
    }
}
