//! Parses the nodes in the address of a broker: a list of hosts and ports.

use std::fmt;
use std::net::Ipv6Addr;

/// One node of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name or IP address of the host; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Parses `HOST` or `HOST:PORT`, or several of them separated by commas. Duplicates are removed.
///
/// # Errors
/// If a host is invalid. The message does not repeat the text after a colon, which may be a misplaced password.
pub(super) fn read_nodes(text: &str, default_port: u16) -> Result<Vec<Node>, String> {
    let hosts: Vec<&str> = text.split(',').map(str::trim).collect();
    let mut nodes = Vec::with_capacity(hosts.len());
    for (at, host) in hosts.iter().enumerate() {
        let node = read_node(host, default_port).map_err(|why| match hosts.len() {
            1 => why,
            count => format!("host {} of {count}: {why}", at + 1),
        })?;
        if !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    Ok(nodes)
}

fn read_node(text: &str, default_port: u16) -> Result<Node, String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("a [ is not followed by a ]")?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err("there is no IPv6 address in the brackets".to_owned());
            }
            (host, port)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            if port.matches(':').count() > 1 {
                return Err("an IPv6 address is written in brackets".to_owned());
            }
            check_name(host)?;
            (host, port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default_port,
        None => return Err("a ] is followed by something other than :PORT".to_owned()),
        Some("") => default_port,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| format!("the port of {host:?} is not a number from 1 to 65535"))?,
    };
    Ok(Node { host: host.to_owned(), port })
}

fn check_name(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("there is no host".to_owned());
    }
    match host.chars().find(|one| !one.is_alphanumeric() && !"-._".contains(*one)) {
        None => Ok(()),
        Some(';') => Err("hosts are separated by commas".to_owned()),
        Some(wrong) => Err(format!("the name of a host contains {wrong:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invalid_host_is_named() {
        let cases = [
            ("", "there is no host"),
            ("r1,,r3", "host 2 of 3: there is no host"),
            ("r1,r2,", "host 3 of 3: there is no host"),
            ("r1:port,r2", "host 1 of 2: the port of \"r1\" is not a number from 1 to 65535"),
            ("r1,r2:0", "host 2 of 2: the port of \"r2\" is not a number from 1 to 65535"),
            ("r1,r2:65536", "host 2 of 2: the port of \"r2\" is not a number from 1 to 65535"),
            ("r1;r2", "hosts are separated by commas"),
            ("r1,r 2", "host 2 of 2: the name of a host contains ' '"),
            ("r1,::1", "host 2 of 2: an IPv6 address is written in brackets"),
            ("fe80::1", "an IPv6 address is written in brackets"),
            ("[::1", "a [ is not followed by a ]"),
            ("[r1]", "there is no IPv6 address in the brackets"),
            ("[::1]5672", "a ] is followed by something other than :PORT"),
        ];
        for (text, why) in cases {
            assert_eq!(read_nodes(text, 1).unwrap_err(), why, "{text}");
        }
    }
}
