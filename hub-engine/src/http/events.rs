//! The stream of events: server-sent events, as browsers and curl read them.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use hub_core::JobId;
use hub_core::action::Notice;
use serde_json::json;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::answer::{Refused, Reply};
use super::api::Api;
use super::query::{Query, parse};
use crate::events::{Event, Seen, Watcher};
use crate::operations::RequestErrorKind;

/// Interval at which a comment is sent, so that a client that is gone is noticed.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);
/// The header with which a client goes on after the last event that it has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// A stream that is being read.
struct Stream {
    watcher: Watcher,
    /// Only of this job.
    job: Option<JobId>,
    comments: Interval,
    shutdown: CancellationToken,
}

/// Streams what changes until the client leaves or the server stops.
pub(super) async fn watch(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap) -> Reply {
    let job = Query::read(query.as_deref(), &["job"])?.one("job")?;
    let after = headers.get(LAST_EVENT_ID).map(|value| parse("Last-Event-ID", value.to_str().unwrap_or_default()));
    let events = api.hub.events().ok_or_else(|| {
        let message = "this Hub has no stream of events: ask the dispatcher itself";
        Refused::new(StatusCode::NOT_FOUND, RequestErrorKind::NotFound, message)
    })?;
    let mut comments = tokio::time::interval(COMMENT_INTERVAL);
    comments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stream = Stream { watcher: events.watch(after.transpose()?), job, comments, shutdown: api.shutdown };
    let parts = futures_util::stream::unfold(stream, async |mut stream| {
        let part = stream.next().await?;
        Some((Ok::<_, Infallible>(part), stream))
    });
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(parts)).into_response())
}

impl Stream {
    /// What is to be sent next. `None`: the server stops.
    async fn next(&mut self) -> Option<String> {
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                seen = self.watcher.next() => {
                    let text = write(seen, self.job);
                    if !text.is_empty() {
                        return Some(text);
                    }
                }
                // The first one comes at once: the client sees that it is connected.
                // A client that reconnects goes on from there, also where it has seen no event yet.
                _ = self.comments.tick() => return Some(format!(":\nid: {}\n\n", self.watcher.last())),
            }
        }
    }
}

fn write(seen: Seen, job: Option<JobId>) -> String {
    let mut text = String::new();
    let mut add = |number, kind, data| {
        // Writing to a string cannot fail.
        let _ = write!(text, "id: {number}\nevent: {kind}\ndata: {data}\n\n");
    };
    match seen {
        Seen::Reset(number) => add(number, "reset", json!({})),
        Seen::Events(events) => {
            for Event { number, notice } in events {
                match notice {
                    Notice::Job { id, name, status } if job.is_none_or(|job| job == id) => {
                        add(number, "job", json!({"id": id, "name": name, "status": status}));
                    }
                    Notice::Task { job: of, id, name, status } if job.is_none_or(|job| job == of) => {
                        add(number, "task", json!({"id": id, "job": of, "name": name, "status": status}));
                    }
                    Notice::Job { .. } | Notice::Task { .. } => {}
                }
            }
        }
    }
    text
}
