//! Helpers shared by the tests of the job format.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use hub_core::job::{Job, Limits, Problem};
use proptest::test_runner::{Config, RngSeed};

/// Random cases that are the same in every run. `PROPTEST_RNG_SEED=… cargo test` selects others.
pub fn cases(number: u32) -> Config {
    let chosen = Config::default();
    let rng_seed = match chosen.rng_seed {
        RngSeed::Random => RngSeed::Fixed(2013),
        seed @ RngSeed::Fixed(_) => seed,
    };
    Config { cases: number, rng_seed, failure_persistence: None, ..chosen }
}

/// Parses a job that must be valid.
pub fn parse(text: &str) -> Job {
    Job::parse(text, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// The problems of a job that must be refused.
pub fn refuse(text: &str) -> Vec<Problem> {
    match Job::parse(text, &Limits::default()) {
        Ok(job) => panic!("accepted: {}", job.source()),
        Err(problems) => problems.into_iter().collect(),
    }
}

/// The code of a problem.
pub fn code(problem: &Problem) -> String {
    serde_json::to_value(problem.code).unwrap().as_str().unwrap().to_owned()
}
