//! The memory of the dispatcher: idle, with one job of a million tasks, and with a hundred thousand waiting jobs.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use hub_engine::client::HttpHub;
use hub_engine::operations::{Hub, Submission};

use super::Workload;
use crate::bench::cost::Role;
use crate::bench::deployment::{Deployment, TIMEOUT};
use crate::bench::figure::{Figure, Unit};
use crate::bench::jobs;
use crate::bench::processes::resident;
use crate::bench::round::Round;
use crate::bench::run::Bench;

/// Number of concurrent submissions.
const AT_ONCE: usize = 1000;

pub(super) const WORKLOAD: Workload =
    Workload { name: "live", about: "the dispatcher's memory", needs_broker: true, on_request: false, figures, run };

fn figures() -> Vec<Figure> {
    vec![
        Figure::new("live.idle", "Dispatcher's memory, idle", Unit::Megabytes).below(30e6, 12e6),
        Figure::new("live.large", "Dispatcher's memory, a job of 1,000,000 tasks (peak)", Unit::Megabytes)
            .below(1.2e9, 400e6),
        Figure::new("live.many", "Dispatcher's memory, 100,000 live jobs (peak)", Unit::Megabytes).below(600e6, 200e6),
    ]
}

fn run(bench: &Bench, round: &mut Round) {
    large(bench, round);
    many(bench, round);
}

fn large(bench: &Bench, round: &mut Round) {
    let tasks = bench.size(1_000_000, 1000);
    // The job exceeds the maximum size of a message, so it is submitted over HTTP.
    let deployment =
        Deployment::without_worker(bench, bench.client, &["--http", "127.0.0.1:0", "--max-job-bytes", "1000000000"]);
    deployment.settle(0);
    round.note("live.idle", resident(deployment.dispatcher.pid()));
    let log = deployment.dispatcher.log();
    let address = log.split("HTTP API at ").nth(1).and_then(|rest| rest.split("/api/v1").next());
    let http = HttpHub::new(address.expect("the log names it"), None, TIMEOUT).expect("an address");
    let text = jobs::flat(tasks).into();
    bench.runtime.block_on(http.submit(Submission { text, id: None })).expect("the job is taken");
    peak(deployment, 1, "live.large", round);
}

fn many(bench: &Bench, round: &mut Round) {
    let count = bench.size(100_000, 100);
    let deployment = Deployment::without_worker(bench, bench.client, &[]);
    let text: Arc<str> = jobs::sum_product().into();
    let submit = || async { deployment.hub.submit(Submission { text: Arc::clone(&text), id: None }).await.map(drop) };
    let submits = stream::iter(0..count).map(|_| submit()).buffer_unordered(AT_ONCE);
    bench.runtime.block_on(submits.for_each(async |outcome| outcome.expect("the job is taken")));
    peak(deployment, count as u64, "live.many", round);
}

fn peak(deployment: Deployment<'_>, jobs: u64, key: &str, round: &mut Round) {
    deployment.settle(jobs);
    round.note(key, deployment.processes().used()[&Role::Dispatcher].peak);
    deployment.abandon();
}
