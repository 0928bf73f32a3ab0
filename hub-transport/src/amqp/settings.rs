//! Everything that a client library is told about a broker.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use super::AmqpAddress;

/// What RabbitMQ takes at most since 4.0, in bytes.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// The most that Hub puts into one frame, in bytes, where a client lets that be chosen; longer bodies go in several. Lapin
/// keeps room for 32 frames each way and goes round in it: as large as brokers offer them, they are 8 MiB.
pub const FRAME_MAX: u32 = 32 * 1024;
/// Maximum time to connect to the only node, where the address does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time to connect to a node where there are others, and the address does not say.
const CONNECT_TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(3);
/// Interval of heartbeats, where nothing else is configured. A node that is cut off is noticed after twice as long.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Maximum time for an answer or a confirm. The election of a quorum queue's leader takes about ten seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How to reach a broker.
#[derive(Clone, Debug)]
pub struct AmqpSettings {
    /// Where it is.
    pub address: AmqpAddress,
    /// Certificates, for `amqps://`.
    pub tls: TlsFiles,
    /// How this connection is called in the broker's own listings.
    pub connection_name: String,
    /// The node that is dialled first, by its position; counted round where there are fewer.
    pub first_node: usize,
    /// Maximum time to connect to one node, with both connections of a session.
    pub connect_timeout: Duration,
    /// Interval of heartbeats. In whole seconds, at least 2; a node that has been silent for twice as long is given up.
    pub heartbeat: Duration,
    /// Maximum time for an answer of the broker, or for a confirm. A node that takes longer is left: it lives, and is of no
    /// use. While the broker reads nothing, as under a memory alarm, confirms are waited for without a limit.
    pub answer_limit: Duration,
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
    /// The broker at `address`, with the options it carries, and default settings otherwise. The first node is drawn at
    /// random, so that not all programs of a Hub are at the same one.
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

    /// The heartbeat as AMQP negotiates it, in seconds. Clients halve it, and must not come to zero.
    pub fn heartbeat_seconds(&self) -> u16 {
        u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX).max(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_does_not_say_has_a_default() {
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
        assert_eq!(first.len(), 3, "200 draws that all miss one of three nodes are a fault, not chance");
    }
}
