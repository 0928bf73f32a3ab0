//! The message for users about a failed connection to a broker.

use std::fmt::Write as _;

use hub_transport::{Error, ErrorKind, Operation};

use crate::operations::{RequestError, RequestErrorKind};

/// What to check if the broker does not answer.
const CHECK_BROKER: &str = "Is the broker running, and are address and credentials right?";

/// What to check if TLS fails.
const CHECK_TLS: &str = "Check the host and the port in the broker's address, the certificate authority (--ca-file) and the client's certificate";

/// The message about a missing session with the broker at `address` (as its transport describes it). It contains the
/// cause without repetitions, and what to check.
#[must_use]
pub fn no_connection(address: &str, cause: Option<&Error>) -> String {
    let Some(cause) = cause else { return format!("no connection to {address}. {CHECK_BROKER}") };
    // Most causes contain the broker, which is `address` without the client library.
    let broker = address.split(" (").next().unwrap_or(address);
    let what = cause.message().trim_end_matches('.');
    let behind = what.strip_prefix(broker);
    let said = behind.unwrap_or(what).trim_start_matches([':', ' ']);
    let (mut message, advice) = match (cause.operation(), cause.kind()) {
        (Operation::Connect, ErrorKind::AccessRefused) => (
            format!("the broker {broker} refused the user: {said}"),
            "Check the user, the password and the virtual host in the broker's address",
        ),
        (Operation::Connect, ErrorKind::NotFound) => (
            format!("the broker {broker} refused the virtual host: {said}"),
            "Check the end of the broker's address: amqp://USER:PASSWORD@HOST/VHOST",
        ),
        (Operation::Connect, kind) => {
            let message = match behind {
                Some(_) => format!("no connection: {what}"),
                None => format!("no connection to {address}: {what}"),
            };
            (message, if kind == ErrorKind::Configuration { CHECK_TLS } else { CHECK_BROKER })
        }
        // The login succeeded, so the cause describes the problem.
        (operation, _) => (format!("failed to {operation} at {broker}: {said}"), ""),
    };
    // The root cause may add information.
    let mut root = std::error::Error::source(cause);
    while let Some(deeper) = root.and_then(std::error::Error::source) {
        root = Some(deeper);
    }
    let root = root.map(ToString::to_string).unwrap_or_default();
    let root = root.trim_end_matches('.');
    // The client libraries add prefixes to the root cause.
    let last = root.rsplit(": ").next().unwrap_or_default();
    let repeats = said.contains(root) || said.ends_with(last) || (!said.is_empty() && root.contains(said));
    if !repeats {
        let _ = write!(message, ": {root}");
    }
    if advice.is_empty() { message } else { format!("{message}. {advice}") }
}

/// The error of a client without a connection.
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
    fn the_message_about_a_missing_connection_has_no_repetitions() {
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
    fn a_refused_login_differs_from_a_missing_broker() {
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

    #[test]
    fn a_failure_after_the_login_is_reported_without_advice() {
        let denied =
            Error::new(ErrorKind::AccessRefused, Operation::Declare, "ACCESS_REFUSED - no right to configure.");
        let missing =
            Error::new(ErrorKind::Unreachable, Operation::Declare, "there is no queue: start the dispatcher first");
        let expected = "failed to declare at amqp://b:1/v: ACCESS_REFUSED - no right to configure";
        assert_eq!(no_connection(BROKER, Some(&denied)), expected);
        assert_eq!(
            no_connection(BROKER, Some(&missing.with_source(denied))),
            "failed to declare at amqp://b:1/v: there is no queue: start the dispatcher first: failed to declare: \
             ACCESS_REFUSED - no right to configure"
        );
        let taken = Error::new(ErrorKind::Conflict, Operation::Subscribe, "PRECONDITION_FAILED - in use");
        let told = no_connection(BROKER, Some(&taken));
        assert_eq!(told, "failed to subscribe at amqp://b:1/v: PRECONDITION_FAILED - in use");
    }

    #[test]
    fn a_root_cause_contained_in_the_cause_is_not_repeated() {
        let told = |said: &str, root: &str| {
            let cause = Error::new(ErrorKind::Configuration, Operation::Connect, said);
            no_connection(BROKER, Some(&cause.with_source(io::Error::other(root.to_owned()))))
        };
        let corrupt = "received corrupt message of type InvalidContentType";
        let twice = told(&format!("amqp://b:1/v: the TLS handshake failed: {corrupt}"), corrupt);
        assert_eq!(twice.matches(corrupt).count(), 1, "{twice}");
        let wrapped =
            told("amqp://b:1/v: the TLS handshake failed: bad name", "AMQP network error: io error: bad name");
        assert_eq!(wrapped.matches("bad name").count(), 1, "{wrapped}");
        let longer = told("it failed", "it failed: no route");
        assert_eq!(longer.matches("it failed").count(), 1, "{longer}");
        let bare = told("amqp://b:1/v", corrupt);
        assert_eq!(bare.matches(corrupt).count(), 1, "{bare}");
    }
}
