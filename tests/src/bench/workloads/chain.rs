//! W2: a chain in which each task takes the value of the previous one.

use super::Workload;
use crate::bench::deployment::Deployment;
use crate::bench::figure::{Figure, Scale, Unit};
use crate::bench::jobs;
use crate::bench::round::Round;
use crate::bench::run::Bench;

pub(super) const WORKLOAD: Workload =
    Workload { name: "w2", about: "a chain of 100", needs_broker: true, on_request: false, figures, run };

fn figures() -> Vec<Figure> {
    vec![Figure::new("w2.hop", "W2 chain: a hop", Unit::Millis).to(Scale::RoundTrips(1)).below(1.6, 1.1)]
}

fn run(bench: &Bench, round: &mut Round) {
    let tasks = bench.size(100, 10);
    let deployment = Deployment::start(bench, bench.client);
    let took = deployment.measured(WORKLOAD.name, tasks, round, |deployment| deployment.run_job(jobs::chain(tasks)));
    deployment.end();
    round.note("w2.hop", took.as_secs_f64() / tasks as f64);
}
