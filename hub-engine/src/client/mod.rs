//! A Hub that is somewhere else: over the broker, or over HTTP. What it is asked is in
//! [`crate::operations`]; how it decides is none of a client's business.

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
