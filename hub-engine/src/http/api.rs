//! The state that all routes share.

use std::sync::Arc;

use axum::body::Body;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::answer::{Refused, Reply, answer};
use super::body::Bodies;
use super::settings::HttpSettings;
use crate::operations::{Answer, Hub, Request, RequestError};
use crate::wire::object;

/// The Hub and the settings of the server.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) hub: Arc<dyn Hub>,
    pub(super) settings: Arc<HttpSettings>,
    /// Whether only programs on this machine can connect.
    pub(super) only_here: bool,
    pub(super) bodies: Bodies,
    /// Places for event streams.
    pub(super) event_streams: Arc<Semaphore>,
    pub(super) shutdown: CancellationToken,
}

impl Api {
    pub(super) fn new(hub: Arc<dyn Hub>, settings: HttpSettings, only_here: bool, shutdown: CancellationToken) -> Self {
        let bodies = Bodies::new(settings.max_open_bytes.max(settings.max_body_bytes));
        let event_streams = Arc::new(Semaphore::new(settings.limits.event_streams.min(Semaphore::MAX_PERMITS)));
        Self { hub, settings: Arc::new(settings), only_here, bodies, event_streams, shutdown }
    }

    /// Reads a body that may be empty. `what` is its name in messages.
    pub(super) async fn optional_body<T: DeserializeOwned + Default>(
        &self,
        body: Body,
        what: &str,
    ) -> Result<T, Refused> {
        let held = self.bodies.read(body, self.settings.max_body_bytes).await?;
        if held.bytes.trim_ascii().is_empty() {
            return Ok(T::default());
        }
        object::from_slice(&held.bytes).map_err(|error| Refused::bad(format!("the body is not {what}: {error}")))
    }

    /// Executes a request and builds the HTTP response.
    pub(super) async fn ask(&self, request: Request) -> Reply {
        Ok(answer(self.call(request).await.map_err(Refused::from)?))
    }

    /// Executes a request. When the server stops, a waiting request is answered early, and the client asks again.
    async fn call(&self, request: Request) -> Result<Answer, RequestError> {
        if request.wait().is_none() {
            return self.hub.call(request).await;
        }
        tokio::select! {
            answer = self.hub.call(request.clone()) => answer,
            () = self.shutdown.cancelled() => self.hub.call(request.with_wait(None)).await,
        }
    }
}
