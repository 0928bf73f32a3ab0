//! Why there is no connection to a broker, for people.

use std::fmt::Write as _;

use hub_transport::{Error, ErrorKind, Operation};

use crate::operations::{RequestError, RequestErrorKind};

/// Why there is no connection to the broker at `address` (as its transport describes it): what it said, each thing once, and
/// what to check.
#[must_use]
pub fn no_connection(address: &str, cause: Option<&Error>) -> String {
    // Most causes name the broker themselves; it is `address` without the client library.
    let broker = address.split(" (").next().unwrap_or(address);
    let what = cause.map(|cause| cause.message().trim_end_matches('.'));
    let said = what.map(|what| what.strip_prefix(broker).map_or(what, |what| what.trim_start_matches(": ")));
    let (mut message, advice) = match cause.map(|cause| (cause.kind(), cause.operation())) {
        Some((ErrorKind::AccessRefused, Operation::Connect)) => (
            format!("the broker {broker} refused the user: {}", said.unwrap_or_default()),
            "Check the user, the password and the virtual host in the broker's address",
        ),
        Some((ErrorKind::NotFound, Operation::Connect)) => (
            format!("the broker {broker} refused the virtual host: {}", said.unwrap_or_default()),
            "Check the end of the broker's address: amqp://USER:PASSWORD@HOST/VHOST",
        ),
        _ => {
            let message = match what {
                Some(what) if what.starts_with(broker) => format!("no connection: {what}"),
                Some(what) => format!("no connection to {address}: {what}"),
                None => format!("no connection to {address}"),
            };
            (message, "Is the broker running, and are address and credentials right?")
        }
    };
    // Of what is behind it the last may say something new.
    let mut root = cause.and_then(std::error::Error::source);
    while let Some(deeper) = root.and_then(std::error::Error::source) {
        root = Some(deeper);
    }
    let said = said.unwrap_or_default();
    if let Some(root) = root.map(ToString::to_string).filter(|root| !root.contains(said)) {
        let _ = write!(message, ": {root}");
    }
    format!("{message}. {advice}")
}

/// The refusal of a client without a connection.
pub(super) fn unreachable(address: &str, cause: Option<&Error>) -> RequestError {
    RequestError::new(RequestErrorKind::Unreachable, no_connection(address, cause))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const BROKER: &str = "amqp://b:1/v (lapin)";

    fn lost(message: &str) -> Error {
        Error::new(ErrorKind::Unreachable, Operation::Connect, message)
    }

    #[test]
    fn where_there_is_no_connection_the_message_says_each_thing_once() {
        let refused = io::Error::other("Connection refused");
        let deep =
            lost("amqp://b:1/v cannot be reached").with_source(lost("the connection failed").with_source(refused));
        let elsewhere = lost("the broker is away");
        let text = |cause: Option<&Error>| {
            let told = no_connection(BROKER, cause);
            told.split(". Is the broker").next().unwrap_or_default().to_owned()
        };
        assert_eq!(text(Some(&deep)), "no connection: amqp://b:1/v cannot be reached: Connection refused");
        assert_eq!(text(Some(&elsewhere)), "no connection to amqp://b:1/v (lapin): the broker is away");
        assert_eq!(text(None), "no connection to amqp://b:1/v (lapin)");
    }

    #[test]
    fn a_refusal_is_not_taken_for_a_broker_that_is_away() {
        let denied = |kind, said: &str| {
            let cause = Error::new(kind, Operation::Connect, said);
            Error::new(kind, Operation::Connect, format!("amqp://b:1/v: {said}")).with_source(cause)
        };
        let user =
            no_connection(BROKER, Some(&denied(ErrorKind::AccessRefused, "ACCESS_REFUSED - login was refused.")));
        assert_eq!(
            user,
            "the broker amqp://b:1/v refused the user: ACCESS_REFUSED - login was refused. Check the user, the password and \
             the virtual host in the broker's address"
        );
        let host = no_connection(BROKER, Some(&denied(ErrorKind::NotFound, "NOT_ALLOWED - vhost v not found")));
        assert!(host.starts_with("the broker amqp://b:1/v refused the virtual host: NOT_ALLOWED"), "{host}");
        assert_eq!(host.matches("NOT_ALLOWED").count(), 1, "{host}");
    }
}
