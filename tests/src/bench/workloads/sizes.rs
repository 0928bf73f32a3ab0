//! Throughput as a function of the size of a job, for a plot.

use super::Workload;
use crate::bench::deployment::Deployment;
use crate::bench::jobs;
use crate::bench::round::Round;
use crate::bench::run::Bench;

/// How many tasks, with how many that are for a trial. The record of the largest still fits into one message.
const SIZES: [(usize, usize); 6] = [(10, 10), (100, 20), (1000, 30), (3000, 40), (10_000, 50), (30_000, 60)];

pub(super) const WORKLOAD: Workload = Workload {
    name: "sizes",
    about: "flat jobs of 10 to 30,000 tasks, for a plot",
    needs_broker: true,
    on_request: false,
    figures: Vec::new,
    run,
};

fn run(bench: &Bench, round: &mut Round) {
    let deployment = Deployment::start(bench, bench.client);
    for (full, quick) in SIZES {
        let tasks = bench.size(full, quick);
        let took = deployment.run_job(jobs::flat(tasks));
        deployment.settle(0);
        round.point("throughput", "Hub", tasks as f64, tasks as f64 / took.as_secs_f64());
        if let Some(bound) = round.bounds.last().copied() {
            round.point("throughput", "bound", tasks as f64, bound.echoes_per_second);
        }
    }
    deployment.end();
}
