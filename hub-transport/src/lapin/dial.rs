//! One connection, from the address to the login.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lapin::tcp::{AsyncTcpStream, RustlsConnector};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties};
use tokio::sync::watch;

use super::convert::error;
use super::socket::Socket;
use crate::amqp::{AmqpSettings, Dial, FRAME_MAX, Purpose, Target};
use crate::{Operation, Result};

/// Connects through lapin, and takes hold of the socket.
pub(super) struct LapinDial;

impl Dial for LapinDial {
    type Connection = (Connection, Socket);

    async fn dial(&self, target: Target<'_>, purpose: Purpose, address: SocketAddr) -> Result<Self::Connection> {
        dial(target, purpose, address).await
    }
}

/// The most that goes into one frame; `None`: what the broker offers. What others have published comes in frames as
/// large as theirs, and lapin ends a connection on which a larger one comes than was agreed.
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
    let runtime = lapin::runtime::default_runtime().map_err(failed)?;
    let connecting = Connection::connector(
        uri(target.settings, purpose, address),
        runtime,
        async move |_, runtime| {
            let reaching = async {
                let stream = AsyncTcpStream::connect(&runtime, vec![address]).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    held.hold(plain.get_ref())?;
                }
                match &tls {
                    Some(config) => stream.into_rustls(&RustlsConnector::from(Arc::clone(config)), &name).await,
                    None => Ok(stream),
                }
            };
            // Lapin's thread is in here, and nobody else can end it.
            let mut abandoned = abandoned.clone();
            let reached = tokio::select! {
                reached = reaching => reached,
                _ = abandoned.changed() => Err(io::Error::from(io::ErrorKind::TimedOut)),
            };
            Ok(reached?)
        },
        properties(target.settings, purpose),
    );
    let connection = connecting.await.map_err(failed)?;
    dialling.is_done = true;
    Ok((connection, dialling.socket.clone()))
}

/// Nothing stays open of what is dropped before its end.
struct Dialling {
    socket: Socket,
    /// Dropped with this.
    _waits: watch::Sender<()>,
    is_done: bool,
}

impl Dialling {
    /// The other end hears when this is dropped.
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
