//! W4: many small jobs at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::Workload;
use crate::bench::deployment::{Deployment, check, submit_and_wait};
use crate::bench::figure::{Figure, Scale, Unit};
use crate::bench::jobs;
use crate::bench::round::Round;
use crate::bench::run::Bench;

pub(super) const WORKLOAD: Workload = Workload {
    name: "w4",
    about: "1,000 and 10,000 jobs of two tasks at once",
    needs_broker: true,
    on_request: false,
    figures,
    run,
};

fn figures() -> Vec<Figure> {
    vec![
        Figure::new("w4.jobs.1000", "W4 1,000 small jobs: jobs", Unit::PerSecond).to(Scale::Echoes).above(0.2, 0.35),
        Figure::new("w4.jobs.10000", "W4 10,000 small jobs: jobs", Unit::PerSecond).to(Scale::Echoes).above(0.2, 0.35),
    ]
}

fn run(bench: &Bench, round: &mut Round) {
    let sizes =
        [("w4.jobs.1000", "w4/1000", bench.size(1000, 20)), ("w4.jobs.10000", "w4/10000", bench.size(10_000, 40))];
    for (key, cost, count) in sizes {
        let deployment = Deployment::start(bench, bench.client);
        let took = deployment.measured(cost, 2 * count, round, |deployment| all_at_once(deployment, count));
        deployment.end();
        round.note(key, count as f64 / took.as_secs_f64());
    }
}

/// Submits `count` jobs concurrently and waits for their records.
pub(super) fn all_at_once(deployment: &Deployment<'_>, count: usize) -> Duration {
    let text: Arc<str> = jobs::sum_product().into();
    let (took, records) = deployment.bench.runtime.block_on(async {
        let begun = Instant::now();
        let records = join_all((0..count).map(|_| submit_and_wait(&*deployment.hub, Arc::clone(&text)))).await;
        (begun.elapsed(), records)
    });
    records.iter().for_each(check);
    took
}
