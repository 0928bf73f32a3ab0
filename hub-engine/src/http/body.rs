//! Reads request bodies with limits on size, total memory and time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use futures_util::StreamExt;
use hub_core::job::{Job, Limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refused;
use crate::operations::{RequestError, RequestErrorKind};

/// Maximum time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The memory budget for the bodies of all open requests.
#[derive(Clone, Debug)]
pub(super) struct Bodies(Arc<Semaphore>);

/// A body. Its memory is reserved until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    /// `None` until the first bytes arrive.
    place: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Creates a budget of this number of bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Reads a body, if it has at most `limit` bytes and memory is available.
    pub(super) async fn read(&self, body: Body, limit: usize) -> Result<Held, Refused> {
        // A declared length beyond the limit is refused before the body is sent.
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large(limit));
        }
        match tokio::time::timeout(BODY_TIMEOUT, self.collect(body, limit)).await {
            Ok(held) => held,
            Err(_) => {
                let message = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
                Err(Refused::new(StatusCode::REQUEST_TIMEOUT, RequestErrorKind::TimedOut, message))
            }
        }
    }

    /// Reads a body. Memory is reserved for bytes that have arrived, not for the declared length.
    async fn collect(&self, body: Body, limit: usize) -> Result<Held, Refused> {
        let mut held = Held { bytes: Vec::new(), place: None };
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| Refused::bad(format!("the body is incomplete: {error}")))?;
            if chunk.len() > limit - held.bytes.len() {
                return Err(too_large(limit));
            }
            held.add(&chunk, self.place(chunk.len())?);
        }
        Ok(held)
    }

    fn place(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refused> {
        let permits = u32::try_from(bytes).ok();
        let place = permits.and_then(|permits| Arc::clone(&self.0).try_acquire_many_owned(permits).ok());
        place.ok_or_else(|| {
            let message = "the bodies of open requests have reached their memory limit: try again";
            RequestError::new(RequestErrorKind::Unavailable, message).into()
        })
    }
}

impl Held {
    fn add(&mut self, chunk: &[u8], place: OwnedSemaphorePermit) {
        self.bytes.extend_from_slice(chunk);
        match &mut self.place {
            Some(all) => all.merge(place),
            None => self.place = Some(place),
        }
    }

    /// The body and its reserved memory.
    pub(super) fn take(self) -> (Vec<u8>, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.place)
    }
}

fn too_large(limit: usize) -> Refused {
    RequestError::new(RequestErrorKind::TooLarge, format!("the body is larger than the limit of {limit} bytes")).into()
}

/// The body of a submission as text. The refusal of invalid text contains the place of the error.
pub(super) fn job_text(bytes: Vec<u8>) -> Result<String, Refused> {
    String::from_utf8(bytes).map_err(|error| {
        let problems = match Job::parse_bytes(error.as_bytes(), &Limits::default()) {
            Err(problems) => problems.into_iter().collect(),
            Ok(_) => Vec::new(),
        };
        let message = format!("the job is not UTF-8 text: {}", error.utf8_error());
        RequestError { kind: RequestErrorKind::InvalidJob, message, problems }.into()
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::header;
    use axum::response::IntoResponse;
    use tokio::sync::mpsc;

    use super::*;

    /// The status of a refused body, and whether it has the header `Retry-After`.
    async fn refusal(bodies: &Bodies, body: &'static str, limit: usize) -> Option<(u16, bool)> {
        let refused = bodies.read(Body::from(body), limit).await.err()?.into_response();
        Some((refused.status().as_u16(), refused.headers().contains_key(header::RETRY_AFTER)))
    }

    #[tokio::test]
    async fn the_memory_of_open_bodies_is_bounded_and_released() {
        let bodies = Bodies::new(10);
        let (send, mut chunks) = mpsc::unbounded_channel::<Result<Bytes, std::io::Error>>();
        let body = Body::from_stream(futures_util::stream::poll_fn(move |context| chunks.poll_recv(context)));
        let slow = tokio::spawn({
            let bodies = bodies.clone();
            async move { bodies.read(body, 10).await }
        });
        send.send(Ok(Bytes::from_static(b"012345"))).unwrap();
        while bodies.0.available_permits() != 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(refusal(&bodies, "01234", 10).await, Some((503, true)));
        assert_eq!(refusal(&bodies, "0123", 10).await, None, "it fits into the remaining memory");
        assert_eq!(refusal(&bodies, "0123", 3).await, Some((413, false)));
        send.send(Ok(Bytes::from_static(b"6789"))).unwrap();
        drop(send);
        let held = slow.await.unwrap().unwrap();
        assert_eq!((held.bytes.as_slice(), bodies.0.available_permits()), (b"0123456789".as_slice(), 0));
        drop(held);
        assert_eq!(refusal(&bodies, "0123456789", 10).await, None, "the memory is released");
    }
}
