//! Bounds the memory of all open answers together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::operations::{RequestError, RequestErrorKind};

/// Number of bytes per semaphore permit.
const UNIT_BYTES: usize = 4096;
/// Maximum time an answer waits for memory.
const MAXIMUM_WAIT: Duration = Duration::from_secs(2);
/// Interval between two attempts. (In a queue, small answers would wait behind a large one.)
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// The memory budget for answers. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct OpenAnswers {
    room: Arc<Semaphore>,
    units: u32,
}

impl OpenAnswers {
    /// Creates a budget of this number of bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        Self { room: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Reserves memory for an answer of `bytes`. An answer larger than the budget reserves all of it.
    ///
    /// # Errors
    /// `Unavailable` if the memory does not become available within the maximum time.
    pub(super) async fn hold(&self, bytes: usize) -> Result<OwnedSemaphorePermit, RequestError> {
        let deadline = Instant::now() + MAXIMUM_WAIT;
        loop {
            match self.try_hold(bytes) {
                Some(permit) => return Ok(permit),
                None if Instant::now() >= deadline => return Err(unavailable()),
                None => tokio::time::sleep(RETRY_INTERVAL).await,
            }
        }
    }

    /// Like [`OpenAnswers::hold`], without waiting.
    pub(super) fn try_hold(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).saturating_add(1).min(self.units);
        Arc::clone(&self.room).try_acquire_many_owned(units).ok()
    }

    /// Reserves further memory for an answer.
    ///
    /// # Errors
    /// The errors of [`OpenAnswers::hold`].
    pub(super) async fn hold_more(&self, held: &mut OwnedSemaphorePermit, bytes: usize) -> Result<(), RequestError> {
        let more = bytes.min((self.units as usize - held.num_permits()) * UNIT_BYTES);
        if more >= UNIT_BYTES {
            held.merge(self.hold(more - UNIT_BYTES).await?);
        }
        Ok(())
    }
}

fn unavailable() -> RequestError {
    let message = "too many large records are being read: try again, or request less (without values, or fewer tasks \
        at a time)";
    RequestError::new(RequestErrorKind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_a_larger_answer_reserves_all_of_it() {
        let answers = OpenAnswers::new(100 * UNIT_BYTES);
        let mut half = answers.hold(49 * UNIT_BYTES).await.unwrap();
        assert_eq!(answers.hold(80 * UNIT_BYTES).await.unwrap_err().kind, RequestErrorKind::Unavailable);
        answers.hold_more(&mut half, 10 * UNIT_BYTES).await.unwrap();
        assert_eq!(half.num_permits(), 60);
        assert!(answers.hold_more(&mut half, 10_000 * UNIT_BYTES).await.is_ok(), "the remaining memory");
        assert_eq!(half.num_permits(), 100);
        assert!(answers.try_hold(0).is_none());
        // A waiting answer proceeds when memory becomes available.
        let waits = tokio::spawn({
            let answers = answers.clone();
            async move { answers.hold(usize::MAX).await.map(|permit| permit.num_permits()) }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(half);
        assert_eq!(waits.await.unwrap().unwrap(), 100);
        assert!(answers.try_hold(0).is_some());
    }
}
