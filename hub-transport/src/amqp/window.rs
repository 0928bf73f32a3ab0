//! Limits the number of publishes without an outcome, and detects publishes that are overdue.
//!
//! Ages are tracked with a timer wheel. Each publish is counted in the slot that is current when it begins. When this slot would
//! become the current one again, the publishes still counted in it are overdue. So a publish needs neither a timer nor a
//! timestamp.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::{Error, ErrorKind, Operation, Result};

/// Maximum size of a window.
const MAX_SIZE: usize = 1 << 20;
/// Number of slots of the timer wheel.
const SLOTS: usize = 11;

/// The window of one publisher. It is closed when its session ends.
#[derive(Clone, Debug)]
pub struct Window {
    permits: Arc<Semaphore>,
    size: u32,
    ages: Arc<Ages>,
}

/// The permit of one publish, returned on drop.
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
    /// A window with this number of permits.
    pub fn new(size: usize) -> Self {
        let size = size.clamp(1, MAX_SIZE);
        Self {
            permits: Arc::new(Semaphore::new(size)),
            size: u32::try_from(size).unwrap_or(u32::MAX),
            ages: Arc::default(),
        }
    }

    /// The interval at which [`Window::advance`] must be called for publishes to be overdue after `limit`.
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

    /// Advances the timer wheel by one slot. Returns whether a publish is overdue. While there is one, the wheel does not advance.
    pub fn advance(&self) -> bool {
        let next = (self.ages.current.load(Ordering::Relaxed) + 1) % SLOTS;
        let overdue = self.ages.open[next].load(Ordering::Relaxed) > 0;
        if !overdue {
            self.ages.current.store(next, Ordering::Relaxed);
        }
        overdue
    }

    /// Waits until all publishes of these windows have outcomes. Returns false after `deadline`.
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

    /// Waits until all publishes have outcomes, or the session has ended.
    pub async fn settled(&self) {
        let _ = self.permits.acquire_many(self.size).await;
    }

    /// Refuses further publishes, including those that wait for a permit.
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
    async fn a_window_is_settled_when_all_its_permits_are_free() {
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
    async fn a_publish_is_overdue_after_one_turn_of_the_wheel() {
        let window = Window::new(5);
        let turns = || (0..3 * SLOTS).position(|_| window.advance());
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
