//! Clients of a remote Hub: over the broker or over HTTP. The operations are in [`crate::operations`].

mod amqp;
mod follow;
mod http;
mod pieces;
mod replies;
mod submissions;
mod unreachable;

pub use amqp::AmqpHub;
pub use follow::last_answer;
pub use http::HttpHub;
pub use unreachable::no_connection;
