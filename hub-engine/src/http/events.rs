//! The stream of events: server-sent events, as browsers and curl read them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use hub_core::JobId;
use hub_core::action::Notice;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::answer::{Refused, Reply};
use super::api::Api;
use super::connections::Displaced;
use super::query::{Query, parse};
use crate::events::{Batch, Seen, Text, Watcher};
use crate::operations::{RequestError, RequestErrorKind};

/// The header with which a client goes on after the last event that it has seen.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// Interval at which a comment is sent, so that a client that is gone is noticed.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);
/// Delay before a client connects again after a stream that the server has ended.
const RETRY_DELAY_MS: u32 = 2000;

/// A stream that is being read.
struct Stream {
    watcher: Watcher,
    /// Only of this job.
    job: Option<JobId>,
    comments: Interval,
    displaced: CancellationToken,
    shutdown: CancellationToken,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

/// Streams what changes until the client leaves, the connection makes room for another one, or the server stops.
pub(super) async fn watch(
    State(api): State<Api>,
    Extension(Displaced(displaced)): Extension<Displaced>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Reply {
    let job = Query::read(query.as_deref(), &["job"])?.one("job")?;
    let after = headers.get(LAST_EVENT_ID).map(|value| parse(LAST_EVENT_ID, value.to_str().unwrap_or_default()));
    let after = after.transpose()?;
    let events = api.hub.events().ok_or_else(|| {
        let message = "this Hub has no stream of events: ask the dispatcher itself";
        Refused::new(StatusCode::NOT_FOUND, RequestErrorKind::NotFound, message)
    })?;
    let place = Arc::clone(&api.event_streams).try_acquire_owned().map_err(|_| {
        let message = format!("{} event streams are open, the maximum: try again", api.settings.limits.event_streams);
        RequestError::new(RequestErrorKind::Unavailable, message)
    })?;
    let mut comments = tokio::time::interval(COMMENT_INTERVAL);
    comments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (watcher, shutdown) = (events.watch(after), api.shutdown);
    let stream = Stream { watcher, job, comments, displaced, shutdown, is_over: false, _place: place };
    let parts = futures_util::stream::unfold(stream, async |mut stream| {
        let part = stream.next().await?;
        Some((Ok::<_, Infallible>(part), stream))
    });
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(parts)).into_response())
}

impl Stream {
    /// The next part. `None`: the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return self.end(),
                () = self.displaced.cancelled() => return self.end(),
                seen = self.watcher.next() => {
                    let part = write(seen, self.job).await?;
                    if !part.is_empty() {
                        return Some(part);
                    }
                }
                // The first one comes at once: the client sees that it is connected.
                // A client that reconnects goes on from there, also where it has seen no event yet.
                _ = self.comments.tick() => return Some(format!(":\nid: {}\n\n", self.watcher.last()).into()),
            }
        }
    }

    /// The last part, once.
    fn end(&mut self) -> Option<Bytes> {
        let is_first = !std::mem::replace(&mut self.is_over, true);
        let last = self.watcher.last();
        is_first.then(|| format!(": connect again\nretry: {RETRY_DELAY_MS}\nid: {last}\n\n").into())
    }
}

/// What is seen, as text; empty where none of it is of `job`. `None`: it cannot be written, because the process ends.
async fn write(seen: Seen, job: Option<JobId>) -> Option<Bytes> {
    let (batch, from) = match seen {
        Seen::Events(batch, from) => (batch, from),
        Seen::Reset(number) => return Some(event(number, "reset", &json!({})).into()),
    };
    let is_shown = |(number, notice): (u64, &Notice)| number >= from && job.is_none_or(|job| job == job_of(notice));
    if !batch.events().any(is_shown) {
        return Some(Bytes::new());
    }
    // Written once for all streams, and not on the thread of the dispatcher's loop.
    let writing = async || {
        let batch = Arc::clone(&batch);
        tokio::task::spawn_blocking(move || text_of(&batch)).await
    };
    let text = batch.text.get_or_try_init(writing).await.ok()?;
    if batch.events().all(is_shown) {
        return Some(text.bytes.clone());
    }
    let begins = std::iter::once(&0).chain(&text.ends);
    let events = begins.zip(&text.ends).map(|(begin, end)| &text.bytes[*begin..*end]);
    let shown = batch.events().zip(events).filter(|(event, _)| is_shown(*event));
    Some(shown.map(|(_, text)| text).collect::<Vec<_>>().concat().into())
}

fn text_of(batch: &Batch) -> Text {
    let (mut text, mut ends) = (String::new(), Vec::new());
    for (number, notice) in batch.events() {
        text += &match notice {
            Notice::Job { id, name, status } => {
                event(number, "job", &json!({"id": id, "name": name, "status": status}))
            }
            Notice::Task { job, id, name, status } => {
                event(number, "task", &json!({"id": id, "job": job, "name": name, "status": status}))
            }
        };
        ends.push(text.len());
    }
    Text { bytes: text.into(), ends }
}

const fn job_of(notice: &Notice) -> JobId {
    match notice {
        Notice::Job { id: job, .. } | Notice::Task { job, .. } => *job,
    }
}

fn event(number: u64, kind: &str, data: &Value) -> String {
    format!("id: {number}\nevent: {kind}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use hub_core::{JobStatus, TaskStatus};
    use uuid::Uuid;

    use super::*;
    use crate::events::Events;

    async fn next(watcher: &mut Watcher, job: Option<JobId>) -> Bytes {
        write(watcher.next().await, job).await.unwrap()
    }

    #[tokio::test]
    async fn a_batch_is_written_once_for_all_streams_that_need_it() {
        let job = |number: u128| JobId::new(Uuid::from_u128(number << 64));
        let of = |number, status| Notice::Job { id: job(number), name: "j".into(), status };
        let events = Events::new(0);
        let [mut one, mut other, mut narrow, mut foreign] = std::array::from_fn(|_| events.watch(None));
        let task = Notice::Task { job: job(1), id: job(1).task(0), name: "t".into(), status: TaskStatus::Success };
        events.publish(vec![of(1, JobStatus::Running), of(2, JobStatus::Running), task], false);

        let Seen::Events(batch, _) = foreign.next().await else { panic!("a reset") };
        let nothing = write(Seen::Events(Arc::clone(&batch), 0), Some(job(3))).await.unwrap();
        assert!(nothing.is_empty() && batch.text.get().is_none(), "no stream needs the text");
        let (whole, again) = (next(&mut one, None).await, next(&mut other, None).await);
        assert_eq!((whole.as_ptr(), whole.len()), (again.as_ptr(), again.len()), "they share it");
        let text = std::str::from_utf8(&whole).unwrap();
        let parts: Vec<&str> = text.split_inclusive("\n\n").collect();
        let begins = parts.iter().map(|part| part.split_once("data").unwrap().0).collect::<Vec<_>>();
        assert_eq!(begins, ["id: 0\nevent: job\n", "id: 1\nevent: job\n", "id: 2\nevent: task\n"]);
        assert_eq!(next(&mut narrow, Some(job(1))).await, [parts[0], parts[2]].concat());
        let late = events.watch(Some(0)).next().await;
        assert_eq!(write(late, None).await.unwrap(), parts[1..].concat(), "in the middle of the batch");
    }
}
