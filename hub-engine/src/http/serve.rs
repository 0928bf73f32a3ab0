//! Accepts connections and serves the routes on them, until told to stop.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::Refused;
use super::api::Api;
use super::connections::{Activity, ConnectionSlot, Connections, Displaced};
use super::routes;
use super::settings::HttpSettings;
use super::stream::Watched;
use crate::operations::{Hub, RequestErrorKind};

/// A request's head must arrive within this time, and a connection may lie idle so long.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Maximum size of a request's head, in bytes; one that arrives fast may have twice as many.
const HEAD_BYTES: usize = 64 * 1024;
/// Maximum duration of a connection in the reserve, unless its request is being answered then.
const RESERVE_LIMIT: Duration = Duration::from_secs(5);
/// What the paths begin with that are answered in the reserve too.
const HEALTH: &str = "/api/v1/health";
/// How long requests that are being answered may go on when the server stops.
const GRACE: Duration = Duration::from_secs(2);
/// How long nothing is accepted after that has failed, as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves the API until `shutdown` is cancelled; what is being answered then has two seconds more.
///
/// # Errors
/// Where the listener has no address.
pub async fn serve(
    listener: TcpListener,
    hub: Arc<dyn Hub>,
    settings: HttpSettings,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let only_here = listener.local_addr()?.ip().is_loopback();
    let (limits, connections) = (settings.limits.clone(), TaskTracker::new());
    let router = routes::router(Api::new(hub, settings, only_here, shutdown.clone()));
    let (write_patience, waiting) = (limits.write_patience, Arc::new(Semaphore::new(limits.waiting)));
    let slots = Connections::new(limits);
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (router, stopping, peer) = (router.clone(), shutdown.clone(), peer.ip());
                    let serve = move |slot| serve_connection(stream, slot, write_patience, router, stopping);
                    if let Ok(slot) = slots.try_take(peer) {
                        connections.spawn(serve(slot));
                    } else if let Ok(place) = Arc::clone(&waiting).try_acquire_owned() {
                        let (slots, ended) = (Arc::clone(&slots), shutdown.clone());
                        connections.spawn(async move {
                            tokio::select! {
                                slot = slots.take(peer) => {
                                    drop(place);
                                    serve(slot).await;
                                }
                                () = ended.cancelled() => {}
                            }
                        });
                    } else if slots.has_its_share(peer) {
                        tracing::debug!(%peer, "an HTTP connection is closed: its peer has too many");
                    } else {
                        // Further connections wait in the system's queue.
                        let slot = slots.take(peer).await;
                        connections.spawn(serve(slot));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown.cancelled() => {}
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn serve_connection(
    stream: TcpStream,
    slot: ConnectionSlot,
    write_patience: Duration,
    router: Router,
    shutdown: CancellationToken,
) {
    // Answers are small and somebody waits for each.
    let _ = stream.set_nodelay(true);
    let activity = &slot.activity;
    let stream = Watched::new(stream, Arc::clone(activity), write_patience);
    let router = TowerToHyperService::new(router);
    let answer = |request| answer(request, router.clone(), &slot);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => Some(served),
        () = slot.displaced.cancelled() => None,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            Some(tokio::time::timeout(GRACE, connection.as_mut()).await.unwrap_or(Ok(())))
        }
    };
    let served = match served {
        Some(served) => served,
        None => {
            // One that has answered and lies idle is closed at once. (One that is new would be closed too, with the request
            // that may be on its way.)
            if activity.has_begun() {
                connection.as_mut().graceful_shutdown();
            }
            let is_over = async {
                tokio::time::sleep(RESERVE_LIMIT).await;
                while activity.is_working() {
                    tokio::time::sleep(RESERVE_LIMIT).await;
                }
            };
            tokio::select! {
                served = connection => served,
                () = slot.evicted.cancelled() => return tracing::debug!("an HTTP connection made room for another"),
                () = is_over => return,
                () = shutdown.cancelled() => return,
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(error = &error as &dyn std::error::Error, "an HTTP connection ended badly");
    }
}

/// Answers a request, and notes meanwhile whether Hub or the client is waited for.
async fn answer(
    request: Request<Incoming>,
    router: TowerToHyperService<Router>,
    slot: &ConnectionSlot,
) -> Result<Response, Infallible> {
    let ConnectionSlot { activity, displaced, .. } = slot;
    activity.begin();
    let answer = if displaced.is_cancelled() && !request.uri().path().starts_with(HEALTH) {
        Ok(busy())
    } else {
        let mut request = request
            .map(|body| Body::new(Upload { body, activity: Arc::clone(activity), displaced: displaced.clone() }));
        request.extensions_mut().insert(Displaced(displaced.clone()));
        tokio::select! {
            // The router first: what the other looks at is how the router stands now.
            biased;
            answer = router.call(request) => answer,
            () = upload_was_displaced(slot) => Ok(busy()),
        }
    };
    activity.set_working(false);
    answer.map(|mut answer| {
        if displaced.is_cancelled() {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    })
}

/// Until this slot is in the reserve, and the client is waited for. What a request says whose body is not there has not been
/// asked of Hub yet, and no more of the body is taken.
async fn upload_was_displaced(slot: &ConnectionSlot) {
    slot.displaced.cancelled().await;
    std::future::poll_fn(|_| if slot.activity.is_working() { Poll::Pending } else { Poll::Ready(()) }).await;
}

/// The answer where every connection is at work.
fn busy() -> Response {
    let message = "every connection of this dispatcher is at work: try again in a moment";
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, RequestErrorKind::Unavailable, message).into_response()
}

/// The body of a request. Who waits for more of it waits for the client.
#[derive(Debug)]
struct Upload {
    body: Incoming,
    activity: Arc<Activity>,
    displaced: CancellationToken,
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.displaced.is_cancelled() {
            // The request that waits for it also waits for the slot: see `upload_was_displaced`.
            self.activity.set_working(false);
            return Poll::Pending;
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.activity.set_working(frame.is_ready());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
