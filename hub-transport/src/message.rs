//! A published or delivered message.

use std::collections::BTreeMap;

pub use bytes::Bytes;
/// A name or a key. Short texts and constants need no allocation, and clones of long texts share their allocation.
pub use smol_str::SmolStr as Text;

/// Whether a message survives a restart of the broker (in a durable queue).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// The broker writes it to disk before it confirms it.
    #[default]
    Persistent,
    /// It may be lost when the broker restarts.
    Transient,
}

/// A message with its address and content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The exchange. Empty for the broker's default exchange, which routes by queue name and is used only for replies.
    pub exchange: Text,
    /// The routing key.
    pub routing_key: Text,
    /// The body.
    pub body: Bytes,
    /// The id of the message. A message that is published again has the same id.
    pub message_id: Option<Text>,
    /// The id of the request, in the request and in its reply.
    pub correlation_id: Option<Text>,
    /// The address for the reply: a key on the default exchange, from [`crate::Inbox::address`].
    pub reply_to: Option<Text>,
    /// The MIME type of the body.
    pub content_type: Option<Text>,
    /// Further properties. In a delivery, integer values are converted to decimal text. Values of other types and the broker's
    /// headers, whose names begin with `x-`, are omitted.
    pub headers: BTreeMap<String, String>,
    /// Whether it survives a restart of the broker.
    pub persistence: Persistence,
    /// If the message is not routed to a queue, its outcome is [`crate::Outcome::Unroutable`].
    pub mandatory: bool,
}

impl Message {
    /// A persistent message.
    #[must_use]
    pub fn new(exchange: impl Into<Text>, routing_key: impl Into<Text>, body: impl Into<Bytes>) -> Self {
        Self { exchange: exchange.into(), routing_key: routing_key.into(), body: body.into(), ..Self::default() }
    }

    /// Sets the message id.
    #[must_use]
    pub fn with_message_id(mut self, id: impl Into<Text>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Makes the message transient: it may be lost when the broker restarts.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.persistence = Persistence::Transient;
        self
    }
}
