//! Opens a connection and observes its end.

use std::net::SocketAddr;
use std::sync::Arc;

use amqprs::Close;
use amqprs::callbacks::ConnectionCallback;
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::tls::TlsAdaptor;
use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::convert::{closed_by_broker, error};
use hub_transport::amqp::{Dial, Lifecycle, Purpose, Target};
use hub_transport::{Error, ErrorKind, Operation, Result};

/// Connects with amqprs. The loss of either connection ends the session.
pub(super) struct AmqprsDial(pub(super) Lifecycle);

impl Dial for AmqprsDial {
    type Connection = Connection;

    async fn dial(&self, target: Target<'_>, purpose: Purpose, address: SocketAddr) -> Result<Connection> {
        // In a separate task, because the client panics on unexpected responses. Dropping the set aborts the task.
        let arguments = arguments(target, purpose, address);
        let mut dialling = JoinSet::new();
        dialling.spawn(async move { Connection::open(&arguments).await });
        let opened = dialling.join_next().await.expect("one task was spawned");
        let opened = opened.map_err(|panic| {
            let message = format!("{} sent an unexpected AMQP response", target.shown());
            Error::new(ErrorKind::Protocol, Operation::Connect, message).with_source(panic)
        })?;
        let connection = opened.map_err(|source| target.failed(error(Operation::Connect, source)))?;
        let registered = connection.register_callback(CloseCallback(self.0.clone())).await;
        registered.map_err(|source| error(Operation::Connect, source))?;
        Ok(connection)
    }
}

fn arguments(target: Target<'_>, purpose: Purpose, address: SocketAddr) -> OpenConnectionArguments {
    let Target { settings, tls, .. } = target;
    let host = match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    };
    let broker = &settings.address;
    let mut arguments = OpenConnectionArguments::new(&host, address.port(), &broker.user, &broker.password);
    arguments.virtual_host(&broker.vhost).heartbeat(settings.heartbeat_seconds()).connection_name(&format!(
        "{} ({})",
        settings.connection_name,
        purpose.name()
    ));
    if let Some(config) = tls {
        let connector = TlsConnector::from(Arc::clone(config));
        arguments.tls_adaptor(TlsAdaptor::new(connector, target.server_name().to_owned()));
    }
    arguments.finish()
}

/// Observes the end of a connection. It is dropped with the client's task that reads the connection.
struct CloseCallback(Lifecycle);

impl Drop for CloseCallback {
    fn drop(&mut self) {
        let error = Error::new(ErrorKind::Unreachable, Operation::Connect, "the connection was lost");
        self.0.end(Some(Arc::new(error)));
    }
}

#[async_trait]
impl ConnectionCallback for CloseCallback {
    async fn close(&mut self, _: &Connection, close: Close) -> std::result::Result<(), amqprs::error::Error> {
        let error = closed_by_broker(Operation::Connect, close.reply_code(), close.reply_text());
        self.0.end(Some(Arc::new(error)));
        Ok(())
    }

    async fn blocked(&mut self, _: &Connection, _: String) {}

    async fn unblocked(&mut self, _: &Connection) {}

    async fn secret_updated(&mut self, _: &Connection) {}
}
