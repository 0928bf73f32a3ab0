//! A Hub under faults: random jobs, random faults, and an evaluator that computes the expected results.

mod chance;
mod expected;
mod faults;
mod generator;
mod left_over;
mod modules;
mod relay;
mod settings;
mod traffic;

pub use chance::Chance;
pub use faults::{Fault, FaultInjector};
pub use generator::generate;
pub use left_over::Mark;
pub use modules::{Runs, write_task_modules};
pub use relay::Relay;
pub use settings::ChaosSettings;
pub use traffic::{Ended, Source, Traffic};
