//! Bounds what all open answers hold together, so that many large ones at once do not take all memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::operations::{RequestError, RequestErrorKind};

/// What is counted: memory in pieces of so many bytes.
const UNIT: usize = 4096;
/// How long an answer waits for room.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks. (A queue would have small ones wait behind a large one.)
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The room for answers. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct OpenAnswers {
    room: Arc<Semaphore>,
    units: u32,
}

impl OpenAnswers {
    /// Room for so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self { room: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Takes room for an answer that holds `bytes`. One that is larger than all the room takes all of it.
    ///
    /// # Errors
    /// `Unavailable` where there is no room for a while.
    pub(super) async fn hold(&self, bytes: usize) -> Result<OwnedSemaphorePermit, RequestError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_hold(bytes) {
                Some(permit) => return Ok(permit),
                None if Instant::now() >= deadline => return Err(no_room()),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// The same, at once or not at all.
    pub(super) fn try_hold(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).saturating_add(1).min(self.units);
        Arc::clone(&self.room).try_acquire_many_owned(units).ok()
    }

    /// Takes more room for an answer that has some already.
    ///
    /// # Errors
    /// Those of [`OpenAnswers::hold`].
    pub(super) async fn hold_more(&self, held: &mut OwnedSemaphorePermit, bytes: usize) -> Result<(), RequestError> {
        let more = bytes.min((self.units as usize - held.num_permits()) * UNIT);
        if more >= UNIT {
            held.merge(self.hold(more - UNIT).await?);
        }
        Ok(())
    }
}

fn no_room() -> RequestError {
    let message = "too many large records are being read at present: try again, or ask for less (without values, or some \
        tasks at a time)";
    RequestError::new(RequestErrorKind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn there_is_room_for_so_much_and_what_is_larger_has_it_alone() {
        let answers = OpenAnswers::new(100 * UNIT);
        let mut half = answers.hold(49 * UNIT).await.unwrap();
        assert_eq!(answers.hold(80 * UNIT).await.unwrap_err().kind, RequestErrorKind::Unavailable);
        answers.hold_more(&mut half, 10 * UNIT).await.unwrap();
        assert_eq!(half.num_permits(), 60);
        assert!(answers.hold_more(&mut half, 10_000 * UNIT).await.is_ok(), "all that is left");
        assert_eq!(half.num_permits(), 100);
        assert!(answers.try_hold(0).is_none());
        // One that waits does not have to ask again.
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
