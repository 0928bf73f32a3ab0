//! What every backend promises, as cases that anyone can run on theirs.
//!
//! A [`Fixture`] brings a broker and the means to disturb it. Each case declares what it needs under names of
//! its own, so that cases can share a broker. Nothing here sleeps: what is awaited has a deadline.
//!
//! A case that needs a capability ([`Case::needs`]) applies only to backends that have it: a test shows it as ignored for the
//! others.

mod cases;
mod delivery;
mod fixture;
mod refusal;
mod session;
mod steps;
mod supervision;

pub use cases::{Case, cases};
pub use fixture::Fixture;
