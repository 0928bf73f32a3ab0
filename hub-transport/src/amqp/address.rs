//! Where a broker is and how to get in, as people write it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::{Error, ErrorKind, Operation, Result};

/// The port of AMQP.
const PORT: u16 = 5672;
/// The port of AMQP over TLS.
const TLS_PORT: u16 = 5671;
/// The user that brokers know from the beginning, and its password.
const GUEST: &str = "guest";

/// The address of a broker. Its text never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpAddress {
    /// Whether to speak TLS.
    pub tls: bool,
    /// Name or address of the host; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The virtual host.
    pub vhost: String,
    /// The option `heartbeat`, in seconds: how often both sides say that they live.
    pub heartbeat: Option<Duration>,
    /// The option `connection_timeout`, in milliseconds: how long connecting may take.
    pub connect_timeout: Option<Duration>,
    /// The option `server_name_indication`: the name in the broker's certificate, where it is not the host.
    pub server_name: Option<String>,
}

/// `host`, `host:port`, `amqp://user:password@host:port/vhost?option=value` or the same with `amqps`. The options
/// are called as in the URI specification of RabbitMQ.
impl FromStr for AmqpAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let full = if text.contains("://") { text.to_owned() } else { format!("amqp://{text}") };
        let url = Url::parse(&full).map_err(|error| refuse(&error.to_string()))?;
        let tls = match url.scheme() {
            "amqp" => false,
            "amqps" => true,
            other => return Err(refuse(&format!("the scheme {other:?} is neither amqp nor amqps"))),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refuse("there is no host"))?;
        let vhost = match url.path().strip_prefix('/') {
            None | Some("") => "/".to_owned(),
            Some(path) if path.contains('/') => return Err(refuse("a slash within the vhost is written %2f")),
            Some(path) => decode(path)?,
        };
        if url.fragment().is_some() {
            return Err(refuse("a # within it is written %23"));
        }
        // A user without a password is not the guest, and does not get the guest's.
        let nobody = url.username().is_empty() && url.password().is_none();
        let (user, password) = if nobody {
            (GUEST.to_owned(), GUEST.to_owned())
        } else {
            (decode(url.username())?, decode(url.password().unwrap_or_default())?)
        };
        let mut address = Self {
            tls,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(if tls { TLS_PORT } else { PORT }),
            user,
            password,
            vhost,
            heartbeat: None,
            connect_timeout: None,
            server_name: None,
        };
        for (name, value) in url.query_pairs() {
            address.set(&name, &value)?;
        }
        Ok(address)
    }
}

impl AmqpAddress {
    fn set(&mut self, option: &str, value: &str) -> Result<()> {
        match option {
            // A second at least between two heartbeats: half of this passes between them.
            "heartbeat" => match value.parse::<u16>() {
                Ok(seconds) if seconds >= 2 => self.heartbeat = Some(Duration::from_secs(seconds.into())),
                _ => return Err(refuse("heartbeat is a number of seconds from 2 to 65535")),
            },
            "connection_timeout" => match value.parse::<u32>() {
                Ok(millis) if millis > 0 => self.connect_timeout = Some(Duration::from_millis(millis.into())),
                _ => return Err(refuse("connection_timeout is a number of milliseconds")),
            },
            "server_name_indication" if !value.is_empty() => self.server_name = Some(value.to_owned()),
            _ => {
                return Err(refuse(&format!(
                    "there is no option {option:?}, only heartbeat, connection_timeout and server_name_indication"
                )));
            }
        }
        Ok(())
    }
}

/// The text may hold a password: it is not repeated.
fn refuse(why: &str) -> Error {
    let message = format!(
        "the broker's address is wrong: {why}. Write host, host:port or amqp[s]://user:password@host:port/vhost"
    );
    Error::new(ErrorKind::Configuration, Operation::Configure, message)
}

impl fmt::Display for AmqpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{scheme}://{host}:{}/{}", self.port, encode(&self.vhost))
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
    let wrong = || refuse("a % is not followed by two hexadecimal digits, or what they stand for is not UTF-8");
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
