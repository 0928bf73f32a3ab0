//! Accepts connections and serves the routes on them, until told to stop.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::routes::{self, Api};
use crate::operations::Hub;

/// A request's head must arrive within this time, and a connection may lie idle so long.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// How many connections are served at a time; others wait to be accepted.
const CONNECTIONS: usize = 1024;
/// How long requests that are being answered may go on when the server stops.
const GRACE: Duration = Duration::from_secs(2);
/// How long nothing is accepted after that has failed, as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How the API is served.
#[derive(Clone)]
pub struct HttpSettings {
    /// What clients must show, as `Authorization: Bearer …`. `None`: nothing.
    pub token: Option<String>,
    /// The largest body that is read, in bytes.
    pub max_body_bytes: usize,
    /// How large the bodies of all open requests may be together, in bytes.
    pub max_open_bytes: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        let mib = 1024 * 1024;
        Self { token: None, max_body_bytes: 16 * mib, max_open_bytes: 128 * mib }
    }
}

/// Keeps the token to itself.
impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("max_body_bytes", &self.max_body_bytes)
            .field("max_open_bytes", &self.max_open_bytes)
            .finish()
    }
}

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
    let router = routes::router(Api::new(hub, settings, only_here, shutdown.clone()));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (router, shutdown) = (router.clone(), shutdown.clone());
                    connections.spawn(async move {
                        serve_connection(stream, router, shutdown).await;
                        drop(place);
                    });
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

async fn serve_connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    // Answers are small and somebody waits for each.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection ended badly");
    }
}
