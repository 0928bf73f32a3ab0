//! Bounds how many publishes may be without an outcome.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::{Error, ErrorKind, Operation, Result};

/// The largest window. Semaphores have a limit, and so has memory.
const LARGEST: usize = 1 << 20;

/// The window of one publisher. Closed with its session.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    places: Arc<Semaphore>,
    size: u32,
}

impl Window {
    pub(crate) fn new(size: usize) -> Self {
        let size = size.clamp(1, LARGEST);
        Self { places: Arc::new(Semaphore::new(size)), size: u32::try_from(size).unwrap_or(u32::MAX) }
    }

    /// Waits for a place.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| Error::new(ErrorKind::Closed, Operation::Publish, "the session has ended"))
    }

    /// Waits until every place of all these windows is free: every publish has its outcome. False where that is
    /// not so when `deadline` has passed.
    pub(crate) async fn all_settled(windows: &[Self], deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        for window in windows {
            let settled = tokio::time::timeout_at(until, window.places.acquire_many(window.size)).await;
            if !matches!(settled, Ok(Ok(_))) {
                return false;
            }
        }
        true
    }

    /// Waits until every place is free, or the session has ended.
    #[cfg(feature = "amqprs")]
    pub(crate) async fn settled(&self) {
        let _ = self.places.acquire_many(self.size).await;
    }

    pub(crate) fn close(&self) {
        self.places.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_window_is_settled_when_all_its_places_are_free() {
        let windows = [Window::new(2), Window::new(0)];
        let place = windows[1].enter().await.unwrap();
        let begun = Instant::now();
        assert!(!Window::all_settled(&windows, Duration::from_secs(5)).await);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        drop(place);
        assert!(Window::all_settled(&windows, Duration::ZERO).await);
        windows[0].close();
        assert_eq!(windows[0].enter().await.unwrap_err().kind(), ErrorKind::Closed);
    }
}
