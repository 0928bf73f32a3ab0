//! One connection, from the address to the login.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, RustlsConnector};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties};
use tokio_rustls::rustls::ClientConfig;

use super::convert::error;
use super::end::Socket;
use crate::amqp::{AmqpSettings, FRAME_MAX};
use crate::{Error, ErrorKind, Operation, Result};

/// What a connection is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Publishing,
    Consuming,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Consuming => "consuming",
        }
    }

    /// The most that goes into one frame; `None`: what the broker offers. What others have published comes in frames as
    /// large as theirs, and lapin ends a connection on which a larger one comes than was agreed.
    const fn frame_max(self) -> Option<u32> {
        match self {
            Self::Publishing => Some(FRAME_MAX),
            Self::Consuming => None,
        }
    }
}

/// Connects, and returns the connection with a hold on its socket.
///
/// # Errors
/// As of connecting a transport, and `Timeout` after `limit`.
pub(super) async fn dial(
    settings: &AmqpSettings,
    tls: Option<Arc<ClientConfig>>,
    purpose: Purpose,
    limit: Duration,
) -> Result<(Connection, Socket)> {
    let address = &settings.address;
    let failed = |source| {
        let failure = error(Operation::Connect, source);
        let message = match failure.kind() {
            ErrorKind::Unreachable => format!("{address} cannot be reached"),
            _ => format!("{address}: {}", failure.message()),
        };
        Error::new(failure.kind(), Operation::Connect, message).with_source(failure)
    };
    let socket = Socket::default();
    let (held, host, port) = (socket.clone(), address.host.clone(), address.port);
    let name = settings.server_name().to_owned();
    let runtime = lapin::runtime::default_runtime().map_err(failed)?;
    let dialling = Connection::connector(
        uri(settings, purpose),
        runtime,
        async move |_, runtime| {
            let reaching = async {
                let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), port)).await?.collect();
                let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    held.hold(plain.get_ref())?;
                }
                match &tls {
                    Some(config) => stream.into_rustls(&RustlsConnector::from(Arc::clone(config)), &name).await,
                    None => Ok(stream),
                }
            };
            // Lapin's thread is in here, and nobody else can end it.
            let reached = tokio::time::timeout(limit, reaching).await;
            Ok(reached.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??)
        },
        properties(settings, purpose),
    );
    match tokio::time::timeout(limit, dialling).await {
        Ok(Ok(connection)) => Ok((connection, socket)),
        Ok(Err(source)) => Err(failed(source)),
        Err(_) => {
            socket.cut();
            let message = format!("{address} did not answer within {limit:?}");
            Err(Error::new(ErrorKind::Timeout, Operation::Connect, message))
        }
    }
}

fn uri(settings: &AmqpSettings, purpose: Purpose) -> AMQPUri {
    let address = &settings.address;
    AMQPUri {
        scheme: if address.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: address.user.clone(), password: address.password.clone() },
            host: address.host.clone(),
            port: address.port,
        },
        vhost: address.vhost.clone(),
        query: AMQPQueryString {
            heartbeat: Some(settings.heartbeat_seconds()),
            frame_max: purpose.frame_max(),
            ..AMQPQueryString::default()
        },
    }
}

fn properties(settings: &AmqpSettings, purpose: Purpose) -> ConnectionProperties {
    let name = format!("{} ({})", settings.connection_name, purpose.name());
    ConnectionProperties::default().with_connection_name(name.into())
}
