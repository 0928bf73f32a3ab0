//! Dials through amqprs.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_rustls::rustls::ClientConfig;

use super::session::AmqprsSession;
use crate::amqp::{AmqpSettings, client_config};
use crate::{Capabilities, Result, Session, Transport};

/// A way to reach a broker through amqprs.
///
/// # Errors
/// `Configuration` where a certificate or a key cannot be used.
pub fn transport(settings: AmqpSettings) -> Result<Arc<dyn Transport>> {
    let tls = client_config(&settings)?;
    Ok(Arc::new(AmqprsTransport { settings, tls }))
}

struct AmqprsTransport {
    settings: AmqpSettings,
    tls: Option<Arc<ClientConfig>>,
}

#[async_trait]
impl Transport for AmqprsTransport {
    fn describe(&self) -> String {
        format!("{} (amqprs)", self.settings.address)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: true, reports_blocked: false, max_message_bytes: Some(self.settings.max_message_bytes) }
    }

    async fn connect(&self) -> Result<Arc<dyn Session>> {
        Ok(AmqprsSession::open(&self.settings, self.tls.as_ref()).await?)
    }
}
