//! W6: one small job at a time on an idle Hub.

use super::Workload;
use crate::bench::deployment::Deployment;
use crate::bench::figure::{Figure, Scale, Unit, percentile};
use crate::bench::jobs;
use crate::bench::round::Round;
use crate::bench::run::Bench;

pub(super) const WORKLOAD: Workload = Workload {
    name: "w6",
    about: "200 jobs of two tasks one after the other",
    needs_broker: true,
    on_request: false,
    figures,
    run,
};

fn figures() -> Vec<Figure> {
    vec![
        Figure::new("w6.p50", "W6 one small job: p50", Unit::Millis).to(Scale::RoundTrips(1)).below(3.5, 2.6),
        Figure::new("w6.p99", "W6 one small job: p99", Unit::Millis).beside("w6.p50").below(3.0, 3.0),
    ]
}

fn run(bench: &Bench, round: &mut Round) {
    let count = bench.size(200, 10);
    let deployment = Deployment::start(bench, bench.client);
    let times: Vec<f64> = deployment.measured(WORKLOAD.name, 2 * count, round, |deployment| {
        (0..count).map(|_| deployment.run_job(jobs::sum_product()).as_secs_f64()).collect()
    });
    deployment.end();
    round.note("w6.p50", percentile(&times, 0.5));
    round.note("w6.p99", percentile(&times, 0.99));
}
