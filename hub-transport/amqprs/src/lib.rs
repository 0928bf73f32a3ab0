//! The transport over AMQP 0-9-1 with the client amqprs. No type of amqprs is used outside of this crate.
//!
//! This crate compensates for limitations of the client:
//!
//! - It has no future for a confirm. This crate counts delivery tags and resolves them from callbacks.
//! - It loses queued messages without an error when the connection ends. All publishes without an outcome then become unknown.
//! - Its calls must not be dropped before they end. Each call runs in a separate task.
//! - It does not report that the broker is blocked. Publishes wait for their confirms.
//! - Its tasks can panic without an error. These tasks own the registered callbacks, so when a callback is dropped, its task has
//!   ended, and the session is ended as well.

mod calls;
mod confirms;
mod connection;
mod convert;
mod publisher;
mod session;
mod subscription;
mod transport;

pub use transport::transport;
