//! Latency as a function of load, for a plot: small jobs are submitted at a constant rate.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Workload;
use super::many::all_at_once;
use crate::bench::deployment::{Deployment, check, submit_and_wait};
use crate::bench::figure::percentile;
use crate::bench::jobs;
use crate::bench::round::Round;
use crate::bench::run::Bench;

/// The loads, relative to the maximum throughput.
const LOADS: [f64; 6] = [0.05, 0.2, 0.4, 0.6, 0.8, 0.9];
/// Duration of each load.
const LASTS: Duration = Duration::from_secs(10);

pub(super) const WORKLOAD: Workload = Workload {
    name: "load",
    about: "latency of small jobs at rising load, for a plot",
    needs_broker: true,
    on_request: false,
    figures: Vec::new,
    run,
};

fn run(bench: &Bench, round: &mut Round) {
    let deployment = Deployment::start(bench, bench.client);
    let count = bench.size(2000, 20);
    let most = count as f64 / all_at_once(&deployment, count).as_secs_f64();
    for load in LOADS {
        deployment.settle(0);
        let times = steadily(&deployment, most * load, bench.time(LASTS));
        for (line, part) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            round.point("latency", line, load, percentile(&times, part));
        }
    }
    deployment.end();
}

/// Submits jobs at a constant rate and returns the latency of each, measured from its scheduled time, so that a slow Hub does not reduce
/// the rate.
fn steadily(deployment: &Deployment<'_>, per_second: f64, lasts: Duration) -> Vec<f64> {
    let text: Arc<str> = jobs::sum_product().into();
    let count = ((lasts.as_secs_f64() * per_second) as usize).max(1);
    deployment.bench.runtime.block_on(async {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut jobs = JoinSet::new();
        for _ in 0..count {
            let due: Instant = ticks.tick().await;
            let (hub, text) = (Arc::clone(&deployment.hub), Arc::clone(&text));
            jobs.spawn(async move {
                let record = submit_and_wait(&*hub, text).await;
                let took = due.elapsed().as_secs_f64();
                check(&record);
                took
            });
        }
        jobs.join_all().await
    })
}
