//! Opens a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_compat::Compat;
use lapin::tcp::AsyncTcpStream;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::either::Either;

use super::convert::error;
use super::reactor::{connect, runtime};
use super::socket::Socket;
use hub_transport::amqp::{AmqpSettings, Dial, FRAME_MAX, Purpose, Target};
use hub_transport::{Operation, Result};

/// Connects with lapin and keeps a handle of the socket.
pub(super) struct LapinDial;

impl Dial for LapinDial {
    type Connection = (Connection, Socket);

    async fn dial(&self, target: Target<'_>, purpose: Purpose, address: SocketAddr) -> Result<Self::Connection> {
        dial(target, purpose, address).await
    }
}

/// Maximum size of a frame. `None` means the broker's maximum. Consuming connections use it, because messages of other clients
/// can arrive in larger frames, and lapin ends a connection on which a frame exceeds the negotiated maximum.
const fn frame_max(purpose: Purpose) -> Option<u32> {
    match purpose {
        Purpose::Publishing => Some(FRAME_MAX),
        Purpose::Consuming => None,
    }
}

async fn dial(target: Target<'_>, purpose: Purpose, address: SocketAddr) -> Result<(Connection, Socket)> {
    let failed = |source| target.failed(error(Operation::Connect, source));
    let (mut dialling, abandoned) = Dialling::new();
    let (held, tls, name) = (dialling.socket.clone(), target.tls.cloned(), target.server_name().to_owned());
    let connecting = Connection::connector(
        uri(target.settings, purpose, address),
        runtime(),
        async move |_, _| {
            let reaching = async {
                let stream = connect(address).await?;
                held.hold(&stream)?;
                let Some(config) = &tls else { return Ok(Either::Left(stream)) };
                let name = ServerName::try_from(name.clone()).map_err(io::Error::other)?;
                let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
                Ok::<_, io::Error>(Either::Right(Box::new(stream)))
            };
            // Lapin's thread waits here. Only this can end the wait.
            let mut abandoned = abandoned.clone();
            let reached = tokio::select! {
                reached = reaching => reached,
                _ = abandoned.changed() => Err(io::Error::from(io::ErrorKind::TimedOut)),
            };
            Ok(AsyncTcpStream::Plain(Compat::new(reached?)))
        },
        properties(target.settings, purpose),
    );
    let connection = connecting.await.map_err(failed)?;
    dialling.is_done = true;
    Ok((connection, dialling.socket.clone()))
}

/// An attempt to connect. If it is dropped before it is done, the socket is closed.
struct Dialling {
    socket: Socket,
    /// Dropped with this attempt, which ends the wait of lapin's thread.
    _waits: watch::Sender<()>,
    is_done: bool,
}

impl Dialling {
    /// A new attempt, and a receiver that is notified when the attempt is dropped.
    fn new() -> (Self, watch::Receiver<()>) {
        let (waits, abandoned) = watch::channel(());
        (Self { socket: Socket::default(), _waits: waits, is_done: false }, abandoned)
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        if !self.is_done {
            self.socket.cut();
        }
    }
}

fn uri(settings: &AmqpSettings, purpose: Purpose, address: SocketAddr) -> AMQPUri {
    let broker = &settings.address;
    AMQPUri {
        scheme: if broker.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: broker.user.clone(), password: broker.password.clone() },
            host: address.ip().to_string(),
            port: address.port(),
        },
        vhost: broker.vhost.clone(),
        query: AMQPQueryString {
            heartbeat: Some(settings.heartbeat_seconds()),
            frame_max: frame_max(purpose),
            ..AMQPQueryString::default()
        },
    }
}

fn properties(settings: &AmqpSettings, purpose: Purpose) -> ConnectionProperties {
    let name = format!("{} ({})", settings.connection_name, purpose.name());
    ConnectionProperties::default().with_connection_name(name.into())
}
