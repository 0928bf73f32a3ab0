//! Everything that a client library is told about a broker.

use std::path::PathBuf;
use std::time::Duration;

use super::AmqpAddress;

/// What RabbitMQ takes at most since 4.0, in bytes.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// The most that Hub puts into one frame, in bytes, where a client lets that be chosen; longer bodies go in several. Lapin
/// keeps room for 32 frames each way and goes round in it: as large as brokers offer them, they are 8 MiB.
pub(crate) const FRAME_MAX: u32 = 32 * 1024;
/// How long connecting may take, where the address does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often both sides say that they live, where the address does not say.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// How to reach a broker.
#[derive(Clone, Debug)]
pub struct AmqpSettings {
    /// Where it is.
    pub address: AmqpAddress,
    /// Certificates, for `amqps://`.
    pub tls: TlsFiles,
    /// How this connection is called in the broker's own listings.
    pub connection_name: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How often both sides say that they live. In whole seconds, at least 2; a broker that has been silent for
    /// twice as long is given up.
    pub heartbeat: Duration,
    /// The largest body that the broker takes, in bytes.
    pub max_message_bytes: usize,
}

/// Files with certificates and keys, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities to trust beside those of the system.
    pub ca: Option<PathBuf>,
    /// The client's certificate, where the broker wants one, with its chain.
    pub client_cert: Option<PathBuf>,
    /// The key of the client's certificate.
    pub client_key: Option<PathBuf>,
}

impl AmqpSettings {
    /// The broker at `address`, with the options it carries, everything else as is good for most.
    #[must_use]
    pub fn new(address: AmqpAddress) -> Self {
        Self {
            connect_timeout: address.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            heartbeat: address.heartbeat.unwrap_or(HEARTBEAT),
            tls: TlsFiles::default(),
            connection_name: "hub".to_owned(),
            max_message_bytes: MAX_MESSAGE_BYTES,
            address,
        }
    }

    /// The heartbeat as AMQP negotiates it, in seconds. Clients halve it, and must not come to zero.
    pub(crate) fn heartbeat_seconds(&self) -> u16 {
        u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX).max(2)
    }

    /// The name that the broker's certificate has to carry.
    pub(crate) fn server_name(&self) -> &str {
        self.address.server_name.as_deref().unwrap_or(&self.address.host)
    }
}
