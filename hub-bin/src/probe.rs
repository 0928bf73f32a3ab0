//! What answers at an address that could not be used: people mix up the ports of the broker and of the HTTP API.

use std::time::Duration;

use hub_transport::supervisor::LinkHealth;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Maximum time for connecting, and for the answer.
const LIMIT: Duration = Duration::from_secs(1);
/// A request that every HTTP server answers and that a broker refuses with its own greeting.
const REQUEST: &[u8] = b"GET /api/v1/health/live HTTP/1.0\r\nHost: localhost\r\n\r\n";

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    /// HTTP, as a dispatcher of Hub's.
    Hub,
    Http,
    Amqp,
    Tls,
}

/// Logs what to write instead of `address`, as soon as it could not be used.
pub(crate) async fn log_advice(address: String, mut health: watch::Receiver<LinkHealth>) {
    let is_down = |health: &LinkHealth| matches!(health, LinkHealth::Down(Some(_)));
    if health.wait_for(is_down).await.is_err() {
        return;
    }
    if let Some(advice) = advice(&address).await {
        tracing::warn!("{advice}");
    }
}

/// What to write instead of `address`, where the server there speaks something else.
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
    let speaks = tokio::time::timeout(2 * LIMIT, ask(&place)).await.ok()??;
    match (scheme, speaks) {
        ("http", Speaks::Amqp) => {
            Some(format!("{place} speaks AMQP, so it is a broker: write --broker {place}, without http://"))
        }
        ("http", Speaks::Http) => Some(format!("{place} speaks HTTP, but it is not the HTTP API of a Hub dispatcher")),
        ("http", Speaks::Tls) => Some(format!("{place} speaks TLS, and Hub's HTTP API does not")),
        ("amqp" | "amqps", Speaks::Hub) => Some(format!(
            "{place} is the HTTP API of a dispatcher, not a broker: hub-client reaches it with --broker http://{place}"
        )),
        ("amqp" | "amqps", Speaks::Http) => Some(format!(
            "{place} speaks HTTP, not AMQP: RabbitMQ's port for AMQP is 5672, 15672 is its management page"
        )),
        ("amqp", Speaks::Tls) => Some(format!("{place} speaks TLS: write amqps:// before the address")),
        ("amqps", Speaks::Amqp) => Some(format!("{place} speaks AMQP without TLS: write amqp:// before the address")),
        _ => None,
    }
}

async fn ask(place: &str) -> Option<Speaks> {
    let mut stream = TcpStream::connect(place).await.ok()?;
    stream.write_all(REQUEST).await.ok()?;
    let (mut answer, mut end) = ([0; 2048], 0);
    // What has come by then is enough to tell them apart.
    let _ = tokio::time::timeout(LIMIT, async {
        while let Ok(more @ 1..) = stream.read(&mut answer[end..]).await {
            end += more;
        }
    })
    .await;
    speaks(&answer[..end])
}

fn speaks(answer: &[u8]) -> Option<Speaks> {
    match answer {
        [b'H', b'T', b'T', b'P', b'/', ..] => {
            let is_hub = answer.windows(7).any(|part| part == b"\"alive\"");
            Some(if is_hub { Speaks::Hub } else { Speaks::Http })
        }
        [b'A', b'M', b'Q', b'P', ..] => Some(Speaks::Amqp),
        // An alert, of any version.
        [0x15, 0x03, ..] => Some(Speaks::Tls),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart_by_their_first_bytes() {
        assert_eq!(speaks(b"HTTP/1.1 200 OK\r\n\r\n\"alive\""), Some(Speaks::Hub));
        assert_eq!(speaks(b"HTTP/1.1 404 Not Found\r\n\r\n"), Some(Speaks::Http));
        assert_eq!(speaks(b"AMQP\0\0\x09\x01"), Some(Speaks::Amqp));
        assert_eq!(speaks(b"\x15\x03\x01\0\x02\x02\x46"), Some(Speaks::Tls));
        assert_eq!(speaks(b"SSH-2.0-OpenSSH"), None);
        assert_eq!(speaks(b""), None);
    }
}
