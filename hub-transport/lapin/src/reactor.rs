//! The network connections of lapin: tokio's sockets, with TLS by rustls if the address requires it.
//!
//! Lapin's TLS support is not used. It reads other certificate formats than Hub and would double the number of dependencies.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use async_compat::Compat;
use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::{Stream, TryFutureExt as _};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

/// A connection to the broker, without and with TLS.
pub(super) type Wire = Compat<Either<TcpStream, Box<TlsStream<TcpStream>>>>;

/// Tokio's reactor with connections of type [`Wire`].
#[derive(Clone, Debug)]
pub(super) struct HubReactor(Tokio);

/// The current runtime.
pub(super) fn runtime() -> Runtime<RuntimeParts<Tokio, HubReactor>> {
    Runtime::new(RuntimeParts::new(Tokio::current(), HubReactor(Tokio::current())))
}

impl Reactor for HubReactor {
    type TcpStream = Wire;
    type Sleep = Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, period: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(period)
    }

    fn tcp_connect_addr(&self, address: SocketAddr) -> impl Future<Output = io::Result<Wire>> + Send + 'static {
        connect(address).map_ok(|stream| Compat::new(Either::Left(stream)))
    }
}

/// Opens a connection without TLS.
pub(super) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
