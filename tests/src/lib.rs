//! Shared code of the tests of whole programs: a real broker, the real binaries, the example jobs, and waiting for conditions.

pub mod bench;
mod broker;
mod cases;
mod certificates;
pub mod chaos;
mod client;
pub mod client_calls;
mod client_pool;
mod cluster;
pub mod docs;
pub mod evaluator;
mod examples;
mod failures;
pub mod fuzzing;
mod job_values;
pub mod jobs;
mod programs;
pub mod python;
mod raw_client;
pub mod simulator;
pub mod tidy;
mod trials;
pub mod values;
mod wait;

pub use broker::{Broker, BrokerSettings};
pub use cases::{Case, cases, run_cases, tasks_of_cases};
pub use certificates::{Authority, Certificate, CertificateFiles};
pub use client::Client;
pub use client_pool::ClientPool;
pub use cluster::Cluster;
pub use examples::{ASYNCHRONOUS, UNATTENDED, WAITING, check_example, check_manual_record, example, run_examples};
pub use failures::{fails, said};
pub use programs::{Daemon, Programs, root};
pub use raw_client::RawClient;
pub use trials::{BrokerTest, BrokerTrial, PlainTest, broker_tests, trials_beside, trials_on};
pub use wait::{DEADLINE, eventually, eventually_within, poll_delay, rest};
