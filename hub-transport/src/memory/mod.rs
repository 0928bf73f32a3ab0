//! The backend without a broker: exchanges and queues in this process.
//!
//! Its behaviour defines the contract, and the conformance suite holds the other backends to it. It also
//! carries a Hub that runs in one process, so it is quick: one lock, no task for a message. What expires
//! (messages by age, queues by disuse) is looked at when the queue is used, not by a timer.

mod broker;
mod limits;
mod queue;
mod routing;
mod session;
mod shared;
mod state;

pub use broker::MemoryBroker;
