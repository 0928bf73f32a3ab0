//! An idle Hub.

use std::time::{Duration, Instant};

use super::Workload;
use crate::bench::cost::{Role, between};
use crate::bench::deployment::Deployment;
use crate::bench::figure::{Figure, Unit};
use crate::bench::round::Round;
use crate::bench::run::Bench;
use crate::rest;

/// Duration of the measurement: several heartbeats, and many ticks of the processor time.
const WATCHED: Duration = Duration::from_secs(30);

pub(super) const WORKLOAD: Workload = Workload {
    name: "idle",
    about: "what programs use that have nothing to do",
    needs_broker: true,
    on_request: false,
    figures,
    run,
};

fn figures() -> Vec<Figure> {
    vec![
        Figure::new("idle.dispatcher", "Idle dispatcher: of a processor", Unit::Percent).below(0.005, 0.001),
        Figure::new("idle.worker", "Idle worker: of a processor", Unit::Percent).below(0.005, 0.001),
    ]
}

fn run(bench: &Bench, round: &mut Round) {
    let deployment = Deployment::start(bench, bench.client);
    deployment.settle(0);
    let (begun, before) = (Instant::now(), deployment.processes().used());
    rest(bench.time(WATCHED));
    let (passed, used) = (begun.elapsed().as_secs_f64(), between(&before, &deployment.processes().used()));
    round.note("idle.dispatcher", used[&Role::Dispatcher].cpu / passed);
    round.note("idle.worker", used[&Role::Worker].cpu / passed);
    deployment.end();
}
