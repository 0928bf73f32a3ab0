//! The transport over AMQP 0-9-1 with the client lapin. No type of lapin is used outside of this crate.
//!
//! A session has two connections, one to publish and one to consume. A broker under a memory alarm does not read from publishing
//! connections, but still receives acknowledgements on the other one. Lapin's recovery is disabled: a session is never
//! reconnected.

mod calls;
mod convert;
mod dial;
mod publisher;
mod reactor;
mod session;
mod socket;
mod subscription;
mod transport;

pub use transport::transport;
