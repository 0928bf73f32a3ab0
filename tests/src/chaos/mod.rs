//! A Hub under torment: random jobs, random troubles, and somebody who knows what must come out of it.

mod chance;
mod expected;
mod generator;
mod left_over;
mod mayhem;
mod modules;
mod relay;
mod settings;
mod traffic;

pub use chance::Chance;
pub use generator::generate;
pub use left_over::Mark;
pub use mayhem::{Mayhem, Trouble};
pub use modules::{Runs, write_task_modules};
pub use relay::Relay;
pub use settings::ChaosSettings;
pub use traffic::{Ended, Source, Traffic};
