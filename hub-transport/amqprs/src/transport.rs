//! The transport that connects with amqprs.

use std::sync::Arc;

use async_trait::async_trait;

use super::session::AmqprsSession;
use hub_transport::amqp::{AmqpSettings, Nodes};
use hub_transport::{Capabilities, Result, Session, Transport};

/// A transport to a broker with the client amqprs.
///
/// # Errors
/// `Configuration` if a certificate or a key cannot be used.
pub fn transport(settings: AmqpSettings) -> Result<Arc<dyn Transport>> {
    Ok(Arc::new(AmqprsTransport(Nodes::new(settings)?)))
}

struct AmqprsTransport(Nodes);

#[async_trait]
impl Transport for AmqprsTransport {
    fn describe(&self) -> String {
        format!("{} (amqprs)", self.0.settings().address)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            reports_blocked: false,
            max_message_bytes: Some(self.0.settings().max_message_bytes),
            ..hub_transport::amqp::RABBITMQ
        }
    }

    fn nodes(&self) -> usize {
        self.0.count()
    }

    async fn connect(&self) -> Result<Arc<dyn Session>> {
        Ok(AmqprsSession::open(self.0.next()).await?)
    }
}
