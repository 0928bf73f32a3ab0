//! Reads request bodies: not too large, not too slow, and text.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use futures_util::StreamExt;
use hub_core::job::{Job, Limits};

use super::answer::Refused;
use crate::operations::{RequestError, RequestErrorKind};

/// A body must arrive within this time.
const BODY_LIMIT: Duration = Duration::from_secs(60);

/// The body, if it has at most `limit` bytes.
pub(super) async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Refused> {
    // A length that was announced is believed at once, before anything was sent.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    match tokio::time::timeout(BODY_LIMIT, collect(body, limit)).await {
        Ok(bytes) => bytes,
        Err(_) => {
            let message = format!("the body did not arrive within {} s", BODY_LIMIT.as_secs());
            Err(Refused::new(StatusCode::REQUEST_TIMEOUT, RequestErrorKind::TimedOut, message))
        }
    }
}

async fn collect(body: Body, limit: usize) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Refused::bad(format!("the body broke off: {error}")))?;
        if chunk.len() > limit - bytes.len() {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(limit: usize) -> Refused {
    RequestError::new(RequestErrorKind::TooLarge, format!("the body is larger than the limit of {limit} bytes")).into()
}

/// The body of a submission as text. What is no text is no job, and the refusal says where it ceases to be one.
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
