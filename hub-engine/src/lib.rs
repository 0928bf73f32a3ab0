//! Hub's async shell: the dispatcher and the worker around the core, the stores, the task runners, the
//! HTTP API and the client library. It must not know command lines and terminals.

mod acks;
mod bundle;
pub mod client;
pub mod clock;
pub mod dispatcher;
pub mod events;
pub mod http;
pub mod operations;
mod progress;
pub mod runner;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod wire;
pub mod worker;
