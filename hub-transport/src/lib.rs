//! Moves bytes between Hub's programs, and knows nothing of jobs.
//!
//! A [`Transport`] dials; what it returns is a [`Session`], one live connection that dies once. No
//! session reconnects by itself: a supervisor above the trait redials, declares the topology,
//! subscribes again and reports every publish whose fate the dead session took with it.
//!
//! The contract stands on the traits in [`session`], and the conformance suite
//! holds every backend to it. The memory backend defines the behaviour; the others follow.

#[cfg(feature = "amqp")]
pub mod amqp;
mod capabilities;
mod error;
#[cfg(feature = "memory")]
pub mod memory;
mod message;
pub mod session;
pub mod supervisor;
#[cfg(feature = "testing")]
pub mod testing;
pub mod topology;

pub use capabilities::{Capabilities, Capability};
pub use error::{Error, ErrorKind, Operation, Result};
pub use message::{Bytes, Message, Persistence, Text};
pub use session::{
    Death, Delivery, DeliveryTag, Health, Inbox, Outcome, Publisher, Receipt, Session, Settlement, Settler,
    SubscribeOptions, Subscription, Transport,
};
pub use topology::Topology;
