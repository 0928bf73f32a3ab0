//! AMQP 0-9-1 through the lapin client. No type of lapin's leaves this folder.
//!
//! A session is two connections, one to publish and one to consume: while a broker under a memory alarm
//! reads nothing more from a publishing connection, acknowledgements still reach it. Lapin's own recovery
//! is off; a session dies once.

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
