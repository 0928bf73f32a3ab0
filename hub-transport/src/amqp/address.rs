//! Parses the address of a broker.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::node::{Node, read_nodes};
use crate::{Error, ErrorKind, Operation, Result};

/// Default port of AMQP.
const PORT: u16 = 5672;
/// Default port of AMQP over TLS.
const TLS_PORT: u16 = 5671;
/// Default user of brokers, and its password.
const GUEST: &str = "guest";

/// The address of a broker: one node, or several nodes of a cluster. Its `Display` never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpAddress {
    /// Whether to use TLS.
    pub tls: bool,
    /// The nodes of the broker in the order of the address, at least one, without duplicates.
    pub nodes: Vec<Node>,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The virtual host.
    pub vhost: String,
    /// The option `heartbeat`, in seconds: interval of heartbeats.
    pub heartbeat: Option<Duration>,
    /// The option `connection_timeout`, in milliseconds: maximum time to connect to one node.
    pub connect_timeout: Option<Duration>,
    /// The option `server_name_indication`: the name in the certificates of all nodes, if it is not the host name.
    pub server_name: Option<String>,
}

/// `HOSTS`, or `amqp://USER:PASSWORD@HOSTS/VHOST?OPTION=VALUE`, or the same with `amqps`. `HOSTS` is `HOST` or
/// `HOST:PORT`, or several of them separated by commas. The options have the names of RabbitMQ's URI specification.
impl FromStr for AmqpAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("amqp", text));
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "amqp" => false,
            "amqps" => true,
            other if other.chars().all(char::is_alphanumeric) => {
                return Err(refuse(&format!("the scheme {other:?} is neither amqp nor amqps")));
            }
            _ => return Err(refuse("the scheme is neither amqp nor amqps")),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if rest.contains("://") {
            return Err(refuse("the scheme and the user are written once, before the first host"));
        }
        // Such a rest is likely the end of a password, so it is neither parsed nor shown.
        if rest.contains('@') {
            return Err(refuse(
                "within the user, the password and the vhost, / is written %2f, ? %3f, # %23 and @ %40",
            ));
        }
        if rest.contains('#') {
            return Err(refuse("a # within it is written %23"));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let vhost = match path.strip_prefix('/') {
            None | Some("") => "/".to_owned(),
            Some(path) if path.contains('/') => return Err(refuse("a slash within the vhost is written %2f")),
            Some(path) => decode(path)?,
        };
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let (user, password) = credentials(login)?;
        let mut address = Self {
            tls,
            nodes: read_nodes(hosts, if tls { TLS_PORT } else { PORT }).map_err(|why| refuse(&why))?,
            user,
            password,
            vhost,
            heartbeat: None,
            connect_timeout: None,
            server_name: None,
        };
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            address.set(&decode(name)?, &decode(value)?)?;
        }
        Ok(address)
    }
}

/// The user and the password. Without a login, they are those of guest. A user without a password gets an empty password.
fn credentials(login: Option<&str>) -> Result<(String, String)> {
    let Some(login) = login.filter(|login| !login.is_empty()) else {
        return Ok((GUEST.to_owned(), GUEST.to_owned()));
    };
    if login.contains('@') && login.contains(',') {
        return Err(refuse(
            "the user and the password are written once, before the first host, with @ as %40 and a comma as %2c",
        ));
    }
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Ok((decode(user)?, decode(password)?))
}

impl AmqpAddress {
    /// The name that the certificate of each node must have: its host name, unless the address sets another name.
    pub fn server_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| self.server_name.as_deref().unwrap_or(&node.host))
    }

    fn set(&mut self, option: &str, value: &str) -> Result<()> {
        match option {
            // At least 2, because clients send heartbeats at half of this interval, in whole seconds.
            "heartbeat" => match value.parse::<u16>() {
                Ok(seconds) if seconds >= 2 => self.heartbeat = Some(Duration::from_secs(seconds.into())),
                _ => return Err(refuse("heartbeat must be a number of seconds from 2 to 65535")),
            },
            "connection_timeout" => match value.parse::<u32>() {
                Ok(millis) if millis > 0 => self.connect_timeout = Some(Duration::from_millis(millis.into())),
                _ => return Err(refuse("connection_timeout must be a number of milliseconds")),
            },
            "server_name_indication" if !value.is_empty() => self.server_name = Some(value.to_owned()),
            _ => {
                return Err(refuse(&format!(
                    "unknown option {option:?}: known are heartbeat, connection_timeout and server_name_indication"
                )));
            }
        }
        Ok(())
    }
}

/// The error does not repeat the text, which may contain a password.
fn refuse(why: &str) -> Error {
    let message = format!(
        "invalid broker address: {why}. Use HOST, HOST:PORT or amqp[s]://USER:PASSWORD@HOST:PORT/VHOST; for several nodes \
         of a cluster, HOST:PORT,HOST:PORT"
    );
    Error::new(ErrorKind::Configuration, Operation::Configure, message)
}

impl fmt::Display for AmqpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let nodes: Vec<String> = self.nodes.iter().map(ToString::to_string).collect();
        write!(f, "{scheme}://{}/{}", nodes.join(","), encode(&self.vhost))
    }
}

impl fmt::Debug for AmqpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn encode(text: &str) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}

fn decode(text: &str) -> Result<String> {
    let wrong = || refuse("a % is not followed by two hexadecimal digits, or the decoded text is not UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digit = |at: usize| tail.get(at).and_then(|digit| char::from(*digit).to_digit(16));
            let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(wrong()) };
            bytes.extend(u8::try_from(high * 16 + low));
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_the_password() {
        let cases = [
            ("localhost", "amqp://localhost:5672/%2F"),
            ("broker:1234", "amqp://broker:1234/%2F"),
            ("127.0.0.1", "amqp://127.0.0.1:5672/%2F"),
            ("amqp://h/", "amqp://h:5672/%2F"),
            ("amqp://a:s%2fecret@h/v%2f1", "amqp://h:5672/v%2F1"),
            ("amqps://u:secret@[::1]/x", "amqps://[::1]:5671/x"),
            ("amqp://u:secret@h?heartbeat=7", "amqp://h:5672/%2F"),
            ("AMQP://u:s@secret@h", "amqp://h:5672/%2F"),
            ("r1,r2:5673", "amqp://r1:5672,r2:5673/%2F"),
            (" r1 , r2:5673 ", "amqp://r1:5672,r2:5673/%2F"),
            (
                "amqp://u:secret@r1,r2:5673,[fe80::1]:7,[::1]/v?heartbeat=7",
                "amqp://r1:5672,r2:5673,[fe80::1]:7,[::1]:5672/v",
            ),
            ("amqps://u:secret@r1,r2:5673", "amqps://r1:5671,r2:5673/%2F"),
            ("r1,r1:5672,r2", "amqp://r1:5672,r2:5672/%2F"),
        ];
        for (text, shown) in cases {
            let address: AmqpAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), shown);
        }
    }

    #[test]
    fn credentials_are_decoded_and_default_to_the_guest() {
        let read = |text: &str| {
            let address: AmqpAddress = text.parse().unwrap();
            (address.user, address.password, address.vhost)
        };
        let owned = |one: &str, two: &str, three: &str| (one.to_owned(), two.to_owned(), three.to_owned());
        assert_eq!(read("amqp://a:s%2f%C3%BC@h/v%2f1"), owned("a", "s/ü", "v/1"));
        assert_eq!(read("h"), owned("guest", "guest", "/"));
        assert_eq!(read("amqp://a@h"), owned("a", "", "/"));
    }

    #[test]
    fn options_are_read() {
        let text = "amqps://h/v?heartbeat=7&connection_timeout=1500&server_name_indication=broker.example";
        let address: AmqpAddress = text.parse().unwrap();
        assert_eq!(address.heartbeat, Some(Duration::from_secs(7)));
        assert_eq!(address.connect_timeout, Some(Duration::from_millis(1500)));
        assert_eq!(address.server_name.as_deref(), Some("broker.example"));
    }

    #[test]
    fn wrong_addresses_are_refused_without_repeating_them() {
        let wrong = [
            "http://u:secret@h",
            "amqp://",
            "amqp://u:secret@h/a/b",
            "amqp://u:secret@h:99999",
            "amqp://u:secret%2@h",
            "amqp://u:secret%ff@h",
            "amqp://u:secret%+1@h",
            "amqp://u:secret@h/v#x",
            "amqp://u:sec/secret@h",
            "amqp://u:sec?secret@h/v",
            "amqp://u:sec#secret@h/v",
            "amqp://u:a@secret/more@h",
            "amqp://h:secret",
            "amqp://u:secret@r1,amqp://u:secret@r2",
            "amqp://u:secret@r1,u:secret@r2/v",
            "amqp://u:secret@r1;r2",
            "amqp://u:secret@r1,",
            "amqp://u:secret@::1",
            "u:secret://h",
            "amqp://u:secret@h?heartbeat=0",
            "amqp://u:secret@h?connection_timeout=soon",
            "amqp://u:secret@h?hearbeat=10",
        ];
        for text in wrong {
            let error = text.parse::<AmqpAddress>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
