//! Answers, which are always JSON.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::operations::{Answer, Record, RequestError, RequestErrorKind};

/// Delay before a client should repeat a request that is temporarily refused.
const RETRY_AFTER_SECONDS: &str = "2";

/// The result of a route.
pub(super) type Reply = Result<Response, Refused>;

/// A refused request and its status code.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: RequestError,
}

/// A value as JSON.
pub(super) fn ok<T: Serialize>(value: &T) -> Response {
    with_status(StatusCode::OK, value)
}

/// The answer of the Hub.
pub(super) fn answer(answer: Answer) -> Response {
    let answer = match answer {
        Answer::Document(document) => return json(StatusCode::OK, Body::from(document.into_bytes())),
        answer => answer,
    };
    match answer.into_json() {
        Ok(text) => body(StatusCode::OK, text.get().to_owned()),
        Err(unwritten) => record(*unwritten),
    }
}

/// A status record: at once if it is small, else in parts on demand.
fn record(mut record: Record) -> Response {
    if record.is_small() {
        return body(StatusCode::OK, std::iter::from_fn(|| record.next_part()).collect());
    }
    let parts = futures_util::stream::try_unfold(record, async |mut record| {
        // A part may contain large values, so it is written on a blocking thread.
        let written = tokio::task::spawn_blocking(move || record.next_part().map(|part| (part, record)));
        written.await.map_err(std::io::Error::other)
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(parts)).into_response()
}

/// A created resource, which is available at `place`.
pub(super) fn created<T: Serialize>(value: &T, place: &str) -> Response {
    let mut response = with_status(StatusCode::CREATED, value);
    if let Ok(place) = HeaderValue::from_str(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// A value as JSON with this status.
pub(super) fn with_status<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => body(status, text),
        Err(error) => Refused::from(RequestError::new(RequestErrorKind::Internal, error.to_string())).into_response(),
    }
}

fn body(status: StatusCode, text: String) -> Response {
    json(status, text.into())
}

fn json(status: StatusCode, body: Body) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl Refused {
    /// A refusal with another status than that of its kind.
    pub(super) fn new(status: StatusCode, kind: RequestErrorKind, message: impl Into<String>) -> Self {
        Self { status, error: RequestError::new(kind, message) }
    }

    /// The request is invalid.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        RequestError::new(RequestErrorKind::InvalidRequest, message).into()
    }
}

impl From<RequestError> for Refused {
    fn from(error: RequestError) -> Self {
        let status = match error.kind {
            RequestErrorKind::InvalidJob => StatusCode::UNPROCESSABLE_ENTITY,
            RequestErrorKind::InvalidRequest => StatusCode::BAD_REQUEST,
            RequestErrorKind::NotFound => StatusCode::NOT_FOUND,
            RequestErrorKind::Conflict | RequestErrorKind::NotEnded => StatusCode::CONFLICT,
            RequestErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            RequestErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            RequestErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
            RequestErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            RequestErrorKind::Unreachable | RequestErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            RequestErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, error }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = body(self.status, serde_json::to_string(&self.error).unwrap_or_default());
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}
