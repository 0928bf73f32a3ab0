//! The nodes of a broker. Each attempt to connect uses the next node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;

use super::{AmqpSettings, Node, client_config};
use crate::{Error, ErrorKind, Operation, Result};

/// All nodes of a broker.
#[derive(Debug)]
pub struct Nodes {
    settings: AmqpSettings,
    tls: Option<Arc<ClientConfig>>,
    next: AtomicUsize,
}

/// One node, with the settings to connect to it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The settings of all nodes.
    pub settings: &'a AmqpSettings,
    /// The TLS configuration. `None` without TLS.
    pub tls: Option<&'a Arc<ClientConfig>>,
    node: &'a Node,
}

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Publishes messages.
    Publishing,
    /// Consumes messages, and does everything else.
    Consuming,
}

/// Connects with a client library.
pub trait Dial: Sync {
    /// A connection of that library.
    type Connection: Send;

    /// Connects to one of the addresses of a node. It has no time limit: the caller drops the future after its limit, which closes
    /// the connection.
    ///
    /// # Errors
    /// Those of [`crate::Transport::connect`].
    fn dial(
        &self,
        target: Target<'_>,
        purpose: Purpose,
        address: SocketAddr,
    ) -> impl Future<Output = Result<Self::Connection>> + Send;
}

impl Purpose {
    /// The name in the broker's list of connections.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Consuming => "consuming",
        }
    }
}

impl Nodes {
    /// The nodes of the address.
    ///
    /// # Errors
    /// `Configuration` if a certificate, a key or the name of a node cannot be used.
    pub fn new(settings: AmqpSettings) -> Result<Self> {
        let tls = client_config(&settings)?;
        let next = AtomicUsize::new(settings.first_node);
        Ok(Self { settings, tls, next })
    }

    /// The settings.
    pub const fn settings(&self) -> &AmqpSettings {
        &self.settings
    }

    /// The number of nodes.
    pub fn count(&self) -> usize {
        self.settings.address.nodes.len()
    }

    /// The next node in turn.
    pub fn next(&self) -> Target<'_> {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.count();
        Target { settings: &self.settings, tls: self.tls.as_ref(), node: &self.settings.address.nodes[at] }
    }
}

impl Target<'_> {
    /// The node for messages: the whole address if it is the only node, otherwise its host and port.
    pub fn shown(&self) -> String {
        match self.settings.address.nodes.len() {
            1 => self.settings.address.to_string(),
            _ => self.node.to_string(),
        }
    }

    /// The name that the node's certificate must have.
    pub fn server_name(&self) -> &str {
        self.settings.address.server_name.as_deref().unwrap_or(&self.node.host)
    }

    /// The failure to connect to this node.
    pub fn failed(&self, failure: Error) -> Error {
        let message = match failure.kind() {
            ErrorKind::Unreachable => format!("{} cannot be reached", self.shown()),
            _ => format!("{}: {}", self.shown(), failure.message()),
        };
        Error::new(failure.kind(), Operation::Connect, message).with_source(failure)
    }

    /// The failure of a node that has not answered within the limit.
    fn silent(&self, limit: Duration) -> Error {
        let message = format!("{} did not answer within {limit:?}", self.shown());
        Error::new(ErrorKind::Timeout, Operation::Connect, message)
    }

    /// Opens both connections of a session within the time limit for connecting. A host name may have addresses of several
    /// machines, so the second connection uses the address of the first one.
    ///
    /// # Errors
    /// Those of [`crate::Transport::connect`].
    pub async fn open_both<D: Dial>(&self, dialler: &D) -> Result<(D::Connection, D::Connection)> {
        let limit = self.settings.connect_timeout;
        let until = Instant::now() + limit;
        let left = || until.saturating_duration_since(Instant::now());
        let addresses = self.resolve(limit).await?;
        let mut failure = None;
        for (at, address) in addresses.iter().enumerate() {
            // The remaining time is divided between the remaining addresses.
            let share = left() / u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            match self.limited(share, dialler.dial(*self, Purpose::Publishing, *address)).await {
                Ok(first) => {
                    let second = self.limited(left(), dialler.dial(*self, Purpose::Consuming, *address)).await?;
                    return Ok((first, second));
                }
                Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout) => {
                    failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| self.silent(limit)))
    }

    /// Runs `step` with a time limit.
    ///
    /// # Errors
    /// Those of `step`, and `Timeout` after `limit`.
    async fn limited<T>(&self, limit: Duration, step: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(limit, step).await.unwrap_or_else(|_| Err(self.silent(limit)))
    }

    async fn resolve(&self, limit: Duration) -> Result<Vec<SocketAddr>> {
        let looking = async {
            let found = tokio::net::lookup_host((self.node.host.as_str(), self.node.port)).await;
            found.map_err(|error| {
                let message = format!("the name {:?} cannot be resolved", self.node.host);
                self.failed(Error::new(ErrorKind::Unreachable, Operation::Connect, message).with_source(error))
            })
        };
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in self.limited(limit, looking).await? {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(address: &str, first_node: usize) -> Nodes {
        Nodes::new(AmqpSettings { first_node, ..AmqpSettings::new(address.parse().unwrap()) }).unwrap()
    }

    #[test]
    fn nodes_are_used_in_turn_from_the_first_one() {
        let turns = |address: &str, first| {
            let nodes = nodes(address, first);
            (0..4).map(|_| nodes.next().shown()).collect::<Vec<_>>()
        };
        assert_eq!(turns("r1,r2,[::1]:7", 4), ["r2:5672", "[::1]:7", "r1:5672", "r2:5672"]);
        assert_eq!(turns("r1/v", 5), vec!["amqp://r1:5672/v"; 4]);
    }

    #[test]
    fn each_certificate_has_the_name_of_its_node() {
        let names = |address: &str| {
            let nodes = nodes(address, 0);
            [0, 1].map(|_| nodes.next().server_name().to_owned())
        };
        assert_eq!(names("amqps://r1,r2"), ["r1", "r2"]);
        assert_eq!(names("amqps://r1,r2?server_name_indication=broker"), ["broker", "broker"]);
    }

    /// Connects only to this address. `None`: no address answers.
    struct Only(Option<SocketAddr>);

    impl Dial for Only {
        type Connection = (SocketAddr, Purpose);

        async fn dial(&self, _: Target<'_>, purpose: Purpose, address: SocketAddr) -> Result<Self::Connection> {
            match self.0 {
                Some(only) if only == address => Ok((only, purpose)),
                Some(_) => Err(Error::new(ErrorKind::Unreachable, Operation::Connect, "refused")),
                None => std::future::pending().await,
            }
        }
    }

    #[tokio::test]
    async fn both_connections_use_the_address_that_answered() {
        let nodes = nodes("localhost,r2", 0);
        let target = nodes.next();
        let addresses = target.resolve(target.settings.connect_timeout).await.unwrap();
        let last = *addresses.last().unwrap();
        let both = target.open_both(&Only(Some(last))).await.unwrap();
        assert_eq!(both, ((last, Purpose::Publishing), (last, Purpose::Consuming)));
        let other = "192.0.2.1:1".parse().unwrap();
        assert_eq!(target.open_both(&Only(Some(other))).await.unwrap_err().kind(), ErrorKind::Unreachable);
    }

    #[tokio::test(start_paused = true)]
    async fn connecting_to_unresponsive_addresses_ends_at_the_limit() {
        let nodes = nodes("127.0.0.1", 0);
        let (target, begun) = (nodes.next(), Instant::now());
        assert_eq!(target.open_both(&Only(None)).await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(begun.elapsed() <= target.settings.connect_timeout + Duration::from_millis(1), "{:?}", begun.elapsed());
    }
}
