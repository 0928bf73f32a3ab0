//! The failures of a broker's nodes in one round. When all nodes have failed, the supervisor waits.

use std::error::Error as _;
use std::sync::Arc;

use crate::{Error, ErrorKind, Operation, Session};

/// The failures since the last delay, or since the last stable session.
#[derive(Debug)]
pub(super) struct Round {
    nodes: usize,
    failures: Vec<Arc<Error>>,
}

impl Round {
    pub(super) const fn of(nodes: usize) -> Self {
        Self { nodes, failures: Vec::new() }
    }

    /// Adds the failure of the current node.
    pub(super) fn add(&mut self, failure: Arc<Error>) {
        self.failures.push(failure);
    }

    /// Whether every node has failed.
    pub(super) const fn is_complete(&self) -> bool {
        self.failures.len() >= self.nodes
    }

    pub(super) fn clear(&mut self) {
        self.failures.clear();
    }

    /// The combined error of this round, with the cause of each node. It is retryable if the error of one of the nodes is, or if a node
    /// has not been tried.
    pub(super) fn cause(&self) -> Arc<Error> {
        if let [only] = self.failures.as_slice()
            && self.nodes == 1
        {
            return Arc::clone(only);
        }
        let count = self.failures.len();
        let causes: Vec<String> = self.failures.iter().map(|failure| describe(failure)).collect();
        let message = match (self.is_complete(), self.nodes) {
            (true, nodes) => format!("none of its {nodes} nodes can be used: {}", causes.join("; ")),
            (false, nodes) => format!("{count} of its {nodes} nodes cannot be used: {}", causes.join("; ")),
        };
        // `InUse` comes from a working node, so it takes precedence over failures of other nodes.
        let in_use = self.failures.iter().find(|failure| failure.kind() == ErrorKind::InUse);
        let retryable = in_use.or_else(|| self.failures.iter().find(|failure| failure.is_retryable()));
        let (kind, operation) = match (retryable, self.failures.first()) {
            (Some(failure), _) => (failure.kind(), failure.operation()),
            (None, Some(first)) if self.is_complete() => (first.kind(), first.operation()),
            (None, _) => (ErrorKind::Unreachable, Operation::Connect),
        };
        Arc::new(Error::new(kind, operation, message).with_queue(retryable.and_then(|failure| failure.queue())))
    }
}

/// Adds the node of the session to the message, if there are several nodes.
pub(super) fn on_node(failure: Arc<Error>, session: &dyn Session, nodes: usize) -> Arc<Error> {
    match session.node() {
        Some(node) if nodes > 1 => {
            let message = format!("{node}: {}", failure.message());
            let named = Error::new(failure.kind(), failure.operation(), message).with_queue(failure.queue());
            Arc::new(named.with_source(failure))
        }
        _ => failure,
    }
}

/// The message of a failure with its root cause, unless the message contains it.
fn describe(failure: &Error) -> String {
    let message = failure.message();
    let mut root = failure.source();
    while let Some(deeper) = root.and_then(std::error::Error::source) {
        root = Some(deeper);
    }
    match root.map(ToString::to_string) {
        // An error of this crate may repeat the message of its wrapper.
        Some(root) if !root.contains(message) && !root.split(": ").any(|part| message.ends_with(part)) => {
            format!("{message}: {root}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn failure(kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, Operation::Connect, message)
    }

    fn refused(node: &str) -> Arc<Error> {
        let lost = failure(ErrorKind::Unreachable, "the connection failed");
        let lost = lost.with_source(io::Error::other("Connection refused"));
        Arc::new(failure(ErrorKind::Unreachable, &format!("{node} cannot be reached")).with_source(lost))
    }

    fn denied(node: &str) -> Arc<Error> {
        let why = failure(ErrorKind::AccessRefused, "login was refused");
        Arc::new(failure(ErrorKind::AccessRefused, &format!("{node}: login was refused")).with_source(why))
    }

    #[test]
    fn each_node_is_named_once_with_its_cause() {
        let mut round = Round::of(3);
        round.add(refused("r1:1"));
        round.add(denied("r2:2"));
        let so_far =
            "2 of its 3 nodes cannot be used: r1:1 cannot be reached: Connection refused; r2:2: login was refused";
        assert_eq!((round.is_complete(), round.cause().message()), (false, so_far));
        round.add(refused("r3:3"));
        let all = "none of its 3 nodes can be used: r1:1 cannot be reached: Connection refused; r2:2: login was refused; \
                   r3:3 cannot be reached: Connection refused";
        assert_eq!((round.is_complete(), round.cause().message()), (true, all));
    }

    #[test]
    fn a_round_is_retryable_unless_no_failure_is() {
        let mut round = Round::of(2);
        round.add(denied("r1"));
        assert!(round.cause().is_retryable(), "r2 has not been tried");
        round.add(denied("r2"));
        assert!(!round.cause().is_retryable());
        round.clear();
        round.add(denied("r1"));
        round.add(refused("r2"));
        assert!(round.cause().is_retryable());
    }

    #[test]
    fn a_queue_in_use_takes_precedence_over_other_failures() {
        let mut round = Round::of(2);
        round.add(refused("r1"));
        round.add(Arc::new(failure(ErrorKind::InUse, "it is locked").with_queue(Some("q"))));
        assert!(round.cause().is_in_use("q") && !round.cause().is_in_use("other"));
    }

    #[test]
    fn the_failure_of_the_only_node_is_unchanged() {
        let (mut round, only) = (Round::of(1), refused("broker"));
        round.add(Arc::clone(&only));
        assert!(round.is_complete() && Arc::ptr_eq(&round.cause(), &only));
    }
}
