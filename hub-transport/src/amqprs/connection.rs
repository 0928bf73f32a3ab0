//! One connection, from the address to the login, and its end.

use std::sync::Arc;
use std::time::Duration;

use amqprs::Close;
use amqprs::callbacks::ConnectionCallback;
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::tls::TlsAdaptor;
use async_trait::async_trait;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use super::convert::{closed_by_broker, error};
use super::end::End;
use crate::amqp::AmqpSettings;
use crate::{Error, ErrorKind, Operation, Result};

/// Connects.
///
/// # Errors
/// As of connecting a transport, and `Timeout` after `limit`.
pub(super) async fn dial(
    settings: &AmqpSettings,
    tls: Option<&Arc<ClientConfig>>,
    purpose: &str,
    limit: Duration,
    end: &End,
) -> Result<Connection> {
    let address = &settings.address;
    // In a task of its own: the client panics over an answer that it does not expect.
    let arguments = arguments(settings, tls, purpose);
    let dialling = tokio::spawn(async move { Connection::open(&arguments).await });
    let stop = dialling.abort_handle();
    let Ok(opened) = tokio::time::timeout(limit, dialling).await else {
        stop.abort();
        let message = format!("{address} did not answer within {limit:?}");
        return Err(Error::new(ErrorKind::Timeout, Operation::Connect, message));
    };
    let opened = opened.map_err(|panic| {
        let message = format!("{address} does not speak AMQP as expected");
        Error::new(ErrorKind::Protocol, Operation::Connect, message).with_source(panic)
    })?;
    let connection = opened.map_err(|source| {
        let failure = error(Operation::Connect, source);
        let message = match failure.kind() {
            ErrorKind::Unreachable => format!("{address} cannot be reached"),
            _ => format!("{address}: {}", failure.message()),
        };
        Error::new(failure.kind(), Operation::Connect, message).with_source(failure)
    })?;
    let registered = connection.register_callback(OnConnection(end.clone())).await;
    registered.map_err(|source| error(Operation::Connect, source))?;
    Ok(connection)
}

fn arguments(settings: &AmqpSettings, tls: Option<&Arc<ClientConfig>>, purpose: &str) -> OpenConnectionArguments {
    let address = &settings.address;
    let host = if address.host.contains(':') { format!("[{}]", address.host) } else { address.host.clone() };
    let mut arguments = OpenConnectionArguments::new(&host, address.port, &address.user, &address.password);
    arguments
        .virtual_host(&address.vhost)
        .heartbeat(settings.heartbeat_seconds())
        .connection_name(&format!("{} ({purpose})", settings.connection_name));
    if let Some(config) = tls {
        let connector = TlsConnector::from(Arc::clone(config));
        arguments.tls_adaptor(TlsAdaptor::new(connector, settings.server_name().to_owned()));
    }
    arguments.finish()
}

/// Lives as long as the client's task that reads the connection.
struct OnConnection(End);

impl Drop for OnConnection {
    fn drop(&mut self) {
        let error = Error::new(ErrorKind::Unreachable, Operation::Connect, "the connection was lost");
        self.0.come(Some(Arc::new(error)));
    }
}

#[async_trait]
impl ConnectionCallback for OnConnection {
    async fn close(&mut self, _: &Connection, close: Close) -> std::result::Result<(), amqprs::error::Error> {
        let error = closed_by_broker(Operation::Connect, close.reply_code(), close.reply_text());
        self.0.come(Some(Arc::new(error)));
        Ok(())
    }

    async fn blocked(&mut self, _: &Connection, _: String) {}

    async fn unblocked(&mut self, _: &Connection) {}

    async fn secret_updated(&mut self, _: &Connection) {}
}
