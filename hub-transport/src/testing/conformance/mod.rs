//! The conformance suite: cases that test the contract on any backend.
//!
//! A [`Fixture`] provides a broker and operations that disturb it. Each case declares queues with unique names, so cases can share a
//! broker. The cases do not sleep. They wait for conditions with a deadline.
//!
//! A case that needs a capability ([`Case::needs`]) applies only to backends that have it. For the others, it is shown as ignored.

mod cases;
mod delivery;
mod fixture;
mod refusal;
mod session;
mod steps;
mod supervision;

pub use cases::{Case, cases};
pub use fixture::Fixture;
