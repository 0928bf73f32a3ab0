//! W3: one task, then many parallel tasks, then one task.

use super::Workload;
use crate::bench::deployment::Deployment;
use crate::bench::figure::{Figure, Scale, Unit};
use crate::bench::jobs;
use crate::bench::round::Round;
use crate::bench::run::Bench;

pub(super) const WORKLOAD: Workload =
    Workload { name: "w3", about: "1, then 1,000, then 1", needs_broker: true, on_request: false, figures, run };

fn figures() -> Vec<Figure> {
    vec![
        Figure::new("w3.job", "W3 fan out and in: the job", Unit::Millis)
            .to(Scale::AtEchoes(10_000.0))
            .below(0.35, 0.2),
    ]
}

fn run(bench: &Bench, round: &mut Round) {
    let width = bench.size(1000, 20);
    let deployment = Deployment::start(bench, bench.client);
    let took = deployment.measured(WORKLOAD.name, width + 2, round, |deployment| deployment.run_job(jobs::fan(width)));
    deployment.end();
    round.note("w3.job", took.as_secs_f64());
}
