//! What can go wrong between here and the broker, and whether trying again can help.

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
    /// There is no answer at the address, or the connection was lost. A retry can help.
    Unreachable,
    /// The session has ended. Dial again.
    Closed,
    /// No answer came in time. A retry can help.
    Timeout,
    /// The broker does not accept the credentials, or they do not allow this.
    AccessRefused,
    /// The queue, exchange or virtual host does not exist.
    NotFound,
    /// It exists with other properties.
    Conflict,
    /// Another session holds it exclusively, for as long as it lives: see [`Error::queue`].
    InUse,
    /// The message is larger than the broker or a frame can take.
    TooLarge,
    /// A delivery was settled twice, or after its session had ended. It was or will be delivered again.
    Stale,
    /// The address, a certificate or an option is wrong.
    Configuration,
    /// The broker does not speak as agreed, or the client library failed.
    Protocol,
    /// The backend cannot do this: see [`crate::Capabilities`].
    Unsupported,
}

/// What was being done.
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
    /// Asking how a queue is.
    Inspect,
}

impl Error {
    /// An error without a further cause. `message` is a lower-case fragment that names what and where.
    #[must_use]
    pub fn new(kind: ErrorKind, operation: Operation, message: impl Into<String>) -> Self {
        Self { kind, operation, message: message.into(), queue: None, source: None }
    }

    /// What was asked needs a capability that the backend does not have.
    #[must_use]
    pub fn unsupported(operation: Operation, needs: Capability) -> Self {
        Self::new(ErrorKind::Unsupported, operation, format!("the broker cannot do this (capability {needs})"))
    }

    /// The same with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error about a queue.
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

    /// What happened, without what was being done.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The queue that the failure is about, if that is known. It is always known for [`ErrorKind::InUse`].
    #[must_use]
    pub fn queue(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// Whether another session holds this queue.
    #[must_use]
    pub fn is_in_use(&self, queue: &str) -> bool {
        self.kind == ErrorKind::InUse && self.queue() == Some(queue)
    }

    /// What was being done.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether doing the same again, on a new session where this one has ended, can succeed without
    /// anybody changing anything.
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
            Self::Inspect => "look into a queue",
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
