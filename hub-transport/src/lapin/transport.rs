//! Dials through lapin.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_rustls::rustls::ClientConfig;

use super::session::LapinSession;
use crate::amqp::{AmqpSettings, client_config};
use crate::{Capabilities, Result, Session, Transport};

/// A way to reach a broker through lapin.
///
/// # Errors
/// `Configuration` where a certificate or a key cannot be used.
pub fn transport(settings: AmqpSettings) -> Result<Arc<dyn Transport>> {
    let tls = client_config(&settings)?;
    Ok(Arc::new(LapinTransport { settings, tls }))
}

struct LapinTransport {
    settings: AmqpSettings,
    tls: Option<Arc<ClientConfig>>,
}

#[async_trait]
impl Transport for LapinTransport {
    fn describe(&self) -> String {
        format!("{} (lapin)", self.settings.address)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: true, reports_blocked: true, max_message_bytes: Some(self.settings.max_message_bytes) }
    }

    async fn connect(&self) -> Result<Arc<dyn Session>> {
        Ok(LapinSession::open(&self.settings, self.tls.as_ref()).await?)
    }
}
