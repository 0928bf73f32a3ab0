//! The memory backend: exchanges and queues in this process, without a broker.
//!
//! Its behaviour defines the contract of the other backends. It is also the transport of a Hub in one process, so it is fast: it has
//! one lock and needs no runtime task for a message. Expired messages and queues are detected when a queue is used, not by a timer.

mod broker;
mod limits;
mod queue;
mod routing;
mod session;
mod shared;
mod state;

pub use broker::MemoryBroker;
