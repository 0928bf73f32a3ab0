//! Settings of the connection to a broker.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use super::AmqpAddress;

/// Default maximum size of a message since RabbitMQ 4.0, in bytes.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Maximum size of a frame, in bytes, if the client library lets Hub choose it. Larger bodies are split into several frames. Lapin
/// has a ring buffer of 32 frames in each direction, which would be 8 MiB with the frame size of brokers.
pub const FRAME_MAX: u32 = 32 * 1024;
/// Default maximum time to connect to the only node.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Default maximum time to connect to one of several nodes.
const CONNECT_TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(3);
/// Default interval of heartbeats. A lost connection is detected after twice this time.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Maximum time for a response or a confirm. The election of a quorum queue's leader takes about ten seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Settings of the connection to a broker.
#[derive(Clone, Debug)]
pub struct AmqpSettings {
    /// The address of the broker.
    pub address: AmqpAddress,
    /// Certificates, for `amqps://`.
    pub tls: TlsFiles,
    /// The name of the connection in the broker's list of connections.
    pub connection_name: String,
    /// Index of the first node to connect to, modulo the number of nodes.
    pub first_node: usize,
    /// Maximum time to open both connections of a session to one node.
    pub connect_timeout: Duration,
    /// Interval of heartbeats, in whole seconds, at least 2. The connection is closed if nothing arrives for twice this time.
    pub heartbeat: Duration,
    /// Maximum time for a response of the broker, or for a confirm. If a node takes longer, the session with it is ended. While the
    /// broker does not read from the connection, as under a memory alarm, there is no limit for confirms.
    pub answer_limit: Duration,
    /// Maximum size of a message body on the broker, in bytes.
    pub max_message_bytes: usize,
}

/// Files with certificates and keys, in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Trusted certificate authorities in addition to those of the system.
    pub ca: Option<PathBuf>,
    /// The client certificate with its chain, if the broker requires one.
    pub client_cert: Option<PathBuf>,
    /// The private key of the client certificate.
    pub client_key: Option<PathBuf>,
}

impl AmqpSettings {
    /// The broker at `address`, with the options of the address and default settings. The first node is chosen at random, to
    /// distribute the programs of a Hub over the nodes.
    #[must_use]
    pub fn new(address: AmqpAddress) -> Self {
        let connect_timeout = if address.nodes.len() > 1 { CONNECT_TIMEOUT_OF_SEVERAL } else { CONNECT_TIMEOUT };
        Self {
            first_node: usize::try_from(RandomState::new().hash_one(0) >> 33).unwrap_or_default(),
            connect_timeout: address.connect_timeout.unwrap_or(connect_timeout),
            heartbeat: address.heartbeat.unwrap_or(HEARTBEAT),
            answer_limit: ANSWER_LIMIT,
            tls: TlsFiles::default(),
            connection_name: "hub".to_owned(),
            max_message_bytes: MAX_MESSAGE_BYTES,
            address,
        }
    }

    /// The heartbeat for the AMQP negotiation, in seconds. At least 2, because clients use half of it.
    pub fn heartbeat_seconds(&self) -> u16 {
        u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX).max(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_not_in_the_address_have_defaults() {
        let limits = |address: &str| {
            let settings = AmqpSettings::new(address.parse().unwrap());
            (settings.heartbeat.as_secs(), settings.connect_timeout.as_secs())
        };
        assert_eq!(limits("r1"), (5, 10));
        assert_eq!(limits("r1,r2"), (5, 3));
        assert_eq!(limits("r1,r2/?heartbeat=60&connection_timeout=7000"), (60, 7));
    }

    #[test]
    fn any_node_may_be_the_first() {
        let address: AmqpAddress = "r1,r2,r3".parse().unwrap();
        let first: std::collections::BTreeSet<usize> =
            (0..200).map(|_| AmqpSettings::new(address.clone()).first_node % 3).collect();
        assert_eq!(first.len(), 3, "each of three nodes should be drawn in 200 draws");
    }
}
