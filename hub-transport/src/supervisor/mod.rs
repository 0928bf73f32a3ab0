//! Keeps a program connected: reconnects, declares the topology and subscribes again.
//!
//! A session ends once, but a [`Link`] lives until its owner closes it. Publishes are queued while there is no session. If a session
//! ends, its publishes without an outcome resolve to [`crate::Outcome::Unknown`], and the owner decides whether to publish them
//! again. If a subscription ends within a live session, the topology is declared again and the subscription restarted. If this fails,
//! the session is closed and a new one opened.
//!
//! The supervisor has fallbacks for missing [`crate::Capabilities`]: it omits unsupported declarations, settles deliveries one by
//! one, and checks the queues of a fixed topology instead of declaring them.
//!
//! If a node of a broker fails, the next one is tried at once. Only when all nodes have failed in turn, the supervisor waits.

mod abilities;
mod backoff;
mod declare;
mod event;
mod link;
mod one_by_one;
mod outbox;
mod plan;
mod round;
mod shared;
mod task;

pub use backoff::Backoff;
pub use declare::{Conflict, declare};
pub use event::{DeliveryRef, LinkEvent, LinkHealth};
pub use link::{Link, LinkEvents, Receipts};
pub use plan::{Foundation, Plan, Subscribe, SubscriptionId};
