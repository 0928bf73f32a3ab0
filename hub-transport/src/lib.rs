//! Message transport between Hub's programs. It does not depend on the content of messages.
//!
//! A [`Transport`] connects and returns a [`Session`]: one connection that ends once and never reconnects. A supervisor above these
//! traits reconnects, declares the topology, subscribes again, and reports publishes whose outcome is unknown because their session
//! ended.
//!
//! The contract is documented on the traits in [`session`], and the conformance suite tests every backend against it. The memory
//! backend defines the behaviour.

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
