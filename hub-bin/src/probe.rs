//! Detects the protocol at an address to which the connection failed, because users confuse the ports of the broker and of the
//! HTTP API.

use std::time::Duration;

use hub_transport::supervisor::LinkHealth;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Maximum time to connect, and to wait for the response.
const LIMIT: Duration = Duration::from_secs(1);
/// A request that every HTTP server answers. A broker answers it with an AMQP protocol header.
const REQUEST: &[u8] = b"GET /api/v1/health/live HTTP/1.0\r\nHost: localhost\r\n\r\n";

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// The HTTP API of a dispatcher.
    Hub,
    Http,
    Amqp,
    Tls,
}

/// Waits until the connection fails and logs advice about `address`.
pub(crate) async fn log_advice(address: String, mut health: watch::Receiver<LinkHealth>) {
    let is_down = |health: &LinkHealth| matches!(health, LinkHealth::Down(Some(_)));
    if health.wait_for(is_down).await.is_err() {
        return;
    }
    if let Some(advice) = advice(&address).await {
        tracing::warn!("{advice}");
    }
}

/// Advice about `address`, if the server there uses another protocol.
pub(crate) async fn advice(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("amqp", address));
    let default_port = match scheme {
        "http" => 80,
        "amqps" => 5671,
        _ => 5672,
    };
    let at = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let place = at.split(['/', '?', ',']).next().filter(|place| !place.is_empty())?;
    let has_port = place.rsplit_once(':').is_some_and(|(host, port)| {
        port.bytes().all(|one| one.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']'))
    });
    let place = if has_port { place.to_owned() } else { format!("{place}:{default_port}") };
    let protocol = tokio::time::timeout(2 * LIMIT, probe(&place)).await.ok()??;
    match (scheme, protocol) {
        ("http", Protocol::Amqp) => {
            Some(format!("the server at {place} is an AMQP broker: use --broker {place}, without http://"))
        }
        ("http", Protocol::Http) => {
            Some(format!("the server at {place} is an HTTP server, but not the HTTP API of a dispatcher"))
        }
        ("http", Protocol::Tls) => {
            Some(format!("the server at {place} uses TLS, which Hub's HTTP API does not support"))
        }
        ("amqp" | "amqps", Protocol::Hub) => Some(format!(
            "the server at {place} is the HTTP API of a dispatcher, not a broker: use hub-client --broker http://{place}"
        )),
        ("amqp" | "amqps", Protocol::Http) => Some(format!(
            "the server at {place} is an HTTP server: RabbitMQ's port for AMQP is 5672, the port of its management UI is 15672"
        )),
        ("amqp", Protocol::Tls) => Some(format!("the server at {place} uses TLS: write amqps:// before the address")),
        ("amqps", Protocol::Amqp) => {
            Some(format!("the server at {place} uses AMQP without TLS: write amqp:// before the address"))
        }
        _ => None,
    }
}

async fn probe(place: &str) -> Option<Protocol> {
    let mut stream = TcpStream::connect(place).await.ok()?;
    stream.write_all(REQUEST).await.ok()?;
    let (mut answer, mut end) = ([0; 2048], 0);
    // The first bytes are sufficient to detect the protocol.
    let _ = tokio::time::timeout(LIMIT, async {
        while let Ok(more @ 1..) = stream.read(&mut answer[end..]).await {
            end += more;
        }
    })
    .await;
    protocol_of(&answer[..end])
}

fn protocol_of(answer: &[u8]) -> Option<Protocol> {
    match answer {
        [b'H', b'T', b'T', b'P', b'/', ..] => {
            let is_hub = answer.windows(7).any(|part| part == b"\"alive\"");
            Some(if is_hub { Protocol::Hub } else { Protocol::Http })
        }
        [b'A', b'M', b'Q', b'P', ..] => Some(Protocol::Amqp),
        // An alert, of any version.
        [0x15, 0x03, ..] => Some(Protocol::Tls),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_detected_by_the_first_bytes() {
        assert_eq!(protocol_of(b"HTTP/1.1 200 OK\r\n\r\n\"alive\""), Some(Protocol::Hub));
        assert_eq!(protocol_of(b"HTTP/1.1 404 Not Found\r\n\r\n"), Some(Protocol::Http));
        assert_eq!(protocol_of(b"AMQP\0\0\x09\x01"), Some(Protocol::Amqp));
        assert_eq!(protocol_of(b"\x15\x03\x01\0\x02\x02\x46"), Some(Protocol::Tls));
        assert_eq!(protocol_of(b"SSH-2.0-OpenSSH"), None);
        assert_eq!(protocol_of(b""), None);
    }
}
