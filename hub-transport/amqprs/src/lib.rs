//! AMQP 0-9-1 through the amqprs client. No type of amqprs' leaves this folder.
//!
//! What that client does not do is made up for here: it has no confirm to wait for, so tags are counted and
//! resolved from its callbacks; what it has queued is lost without a word when the connection goes, so
//! everything without an outcome becomes unknown then; and its calls must not be dropped half-way, so each
//! runs in a task of its own. It never hears that a broker is blocked: publishes just wait for their confirms.
//!
//! Its own tasks panic now and then, and nobody is told. But they own the callbacks that were registered with
//! them: where a callback is dropped, its task has ended, for whatever reason, and so has the session.

mod calls;
mod confirms;
mod connection;
mod convert;
mod publisher;
mod session;
mod subscription;
mod transport;

pub use transport::transport;
