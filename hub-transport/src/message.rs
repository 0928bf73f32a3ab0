//! One message, as it goes out and as it comes in.

use std::collections::BTreeMap;

pub use bytes::Bytes;
/// A name or a key: short ones, and constants, take no memory of their own, and copies of long ones share theirs.
pub use smol_str::SmolStr as Text;

/// Whether a message outlives a restart of the broker (in a durable queue).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// Written to disk before it is confirmed.
    #[default]
    Persistent,
    /// May be lost with the broker.
    Transient,
}

/// A message: where it goes and what it carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The exchange it is published to. Empty for the broker's default exchange, which routes by queue
    /// name; that one is for replies only.
    pub exchange: Text,
    /// The routing key.
    pub routing_key: Text,
    /// The body.
    pub body: Bytes,
    /// Names the message for ever: the same message published again carries the same id.
    pub message_id: Option<Text>,
    /// Ties a reply to its request.
    pub correlation_id: Option<Text>,
    /// Where a reply is wanted: a key on the default exchange, from [`crate::Inbox::address`].
    pub reply_to: Option<Text>,
    /// The MIME type of the body.
    pub content_type: Option<Text>,
    /// What else is to be known of it, by name. Values that came as whole numbers are written in decimal; others, and
    /// names that begin with `x-`, which are the broker's own, are left out.
    pub headers: BTreeMap<String, String>,
    /// Whether it outlives a restart of the broker.
    pub persistence: Persistence,
    /// Asks for [`crate::Outcome::Unroutable`] where no queue takes it, instead of the exchange's
    /// alternate or silence.
    pub mandatory: bool,
}

impl Message {
    /// A persistent message.
    #[must_use]
    pub fn new(exchange: impl Into<Text>, routing_key: impl Into<Text>, body: impl Into<Bytes>) -> Self {
        Self { exchange: exchange.into(), routing_key: routing_key.into(), body: body.into(), ..Self::default() }
    }

    /// The same with a message id.
    #[must_use]
    pub fn with_message_id(mut self, id: impl Into<Text>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// The same, lost when the broker restarts.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.persistence = Persistence::Transient;
        self
    }
}
