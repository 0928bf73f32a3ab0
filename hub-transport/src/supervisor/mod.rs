//! Keeps a program connected: redials, declares again, subscribes again, and is never deaf.
//!
//! Sessions die once; a [`Link`] lives as long as its owner wants. Publishes are queued while there is no
//! session. What was handed to a session that died resolves to [`crate::Outcome::Unknown`]: only the owner
//! knows whether it should go out again. A subscription that ends under a living session is declared and
//! started again; if that fails, the session is given up and dialled anew.
//!
//! What the backend cannot do ([`crate::Capabilities`]) is not asked of it: topologies lose what cannot be declared, deliveries are
//! settled one by one, and on a broker with a fixed topology the queues are looked for instead of declared.
//!
//! A broker may have several nodes. Whichever fails is followed by the next one at once; only when all have failed, one
//! after the other, there is a wait.

mod abilities;
mod backoff;
mod declare;
mod event;
mod keeper;
mod link;
mod one_by_one;
mod outbox;
mod plan;
mod round;
mod shared;

pub use backoff::Backoff;
pub use declare::{Conflict, declare};
pub use event::{DeliveryRef, LinkEvent, LinkHealth};
pub use link::{Link, LinkEvents, Receipts};
pub use plan::{Foundation, Plan, Subscribe, SubscriptionId};
