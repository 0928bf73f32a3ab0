//! The errors of a transport. They tell whether a retry can help.

use std::error::Error as StdError;
use std::fmt;

use crate::Capability;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on a transport failed.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: Operation,
    message: String,
    queue: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The nature of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The address does not answer, or the connection was lost. A retry can help.
    Unreachable,
    /// The session has ended. A retry on a new session can help.
    Closed,
    /// There was no response within the time limit. A retry can help.
    Timeout,
    /// The broker does not accept the credentials, or they do not allow this.
    AccessRefused,
    /// The queue, exchange or virtual host does not exist.
    NotFound,
    /// The queue or exchange exists with other properties.
    Conflict,
    /// Another session holds the queue exclusively, as long as it lives: see [`Error::queue`].
    InUse,
    /// The message exceeds the limit of the broker or of a frame.
    TooLarge,
    /// A delivery was settled twice, or after its session had ended. In the latter case it is redelivered.
    Stale,
    /// The address, a certificate or an option is invalid.
    Configuration,
    /// The broker violated the protocol, or the client library failed.
    Protocol,
    /// The backend does not support this: see [`crate::Capabilities`].
    Unsupported,
}

/// The operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Reading an address, a certificate or an option.
    Configure,
    /// Connecting to a broker.
    Connect,
    /// Declaring exchanges, queues or bindings.
    Declare,
    /// Publishing a message.
    Publish,
    /// Starting or running a subscription.
    Subscribe,
    /// Acknowledging, requeueing or dead-lettering a delivery.
    Settle,
    /// Closing a session.
    Close,
    /// Inspecting a queue.
    Inspect,
}

impl Error {
    /// An error without a source. `message` is a lower-case fragment that names the cause and the object.
    #[must_use]
    pub fn new(kind: ErrorKind, operation: Operation, message: impl Into<String>) -> Self {
        Self { kind, operation, message: message.into(), queue: None, source: None }
    }

    /// The error for an operation that needs a missing capability of the backend.
    #[must_use]
    pub fn unsupported(operation: Operation, needs: Capability) -> Self {
        Self::new(ErrorKind::Unsupported, operation, format!("the broker does not support this (capability {needs})"))
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the name of the queue.
    #[must_use]
    pub fn with_queue(mut self, queue: Option<&str>) -> Self {
        self.queue = queue.map(str::to_owned);
        self
    }

    /// The nature of the failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message, without the operation.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The name of the queue, if it is known. It is always known for [`ErrorKind::InUse`].
    #[must_use]
    pub fn queue(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// Whether another session holds this queue.
    #[must_use]
    pub fn is_in_use(&self, queue: &str) -> bool {
        self.kind == ErrorKind::InUse && self.queue() == Some(queue)
    }

    /// The operation that failed.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether a retry can succeed without a change of the configuration. If the session has ended, the retry needs a new session.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unreachable | ErrorKind::Closed | ErrorKind::Timeout | ErrorKind::Protocol | ErrorKind::InUse
        )
    }
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure the transport",
            Self::Connect => "connect",
            Self::Declare => "declare",
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Settle => "settle",
            Self::Inspect => "inspect a queue",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}: {}", self.operation, self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
