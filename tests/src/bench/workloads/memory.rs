//! W7: one process without a broker, with Python tasks and with tasks that do nothing.

use std::sync::Arc;

use hub_engine::client::HttpHub;
use hub_engine::operations::Hub;

use super::Workload;
use crate::Programs;
use crate::bench::cost::{ProcessGroup, Role, between};
use crate::bench::deployment::{SLOTS, TIMEOUT, modules, run_job};
use crate::bench::figure::{Figure, Unit};
use crate::bench::inside::{self, Part};
use crate::bench::jobs::{self, Shape};
use crate::bench::processes::Scope;
use crate::bench::round::Round;
use crate::bench::run::Bench;
use crate::bench::settle::settle;

pub(super) const WORKLOAD: Workload = Workload {
    name: "w7",
    about: "100,000 tasks in one process, in Python and doing nothing",
    needs_broker: false,
    on_request: false,
    figures,
    run,
};

fn figures() -> Vec<Figure> {
    vec![
        Figure::new("w7.python", "W7 in memory, Python: tasks", Unit::PerSecond).above(25_000.0, 60_000.0),
        Figure::new("w7.noop", "W7 in memory, no-op: tasks", Unit::PerSecond).above(200_000.0, 1_000_000.0),
    ]
}

fn run(bench: &Bench, round: &mut Round) {
    let tasks = bench.size(100_000, 200);
    python(bench, tasks, round);
    let noop = inside::spawn(Part::Hub, Shape::Flat, tasks);
    round.note("w7.noop", noop.tasks as f64 / noop.seconds);
}

/// The real program, over HTTP.
fn python(bench: &Bench, tasks: usize, round: &mut Round) {
    let modules = modules();
    let texts: Vec<(&str, &str)> = modules.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (programs, dispatcher) = Programs::alone().quietly().start_in_memory(&texts, &["--slots", SLOTS]);
    let address = programs.variable("HUB_BROKER");
    let hub: Arc<dyn Hub> = Arc::new(HttpHub::new(address, None, TIMEOUT).expect("an address"));
    let processes = ProcessGroup::default()
        .with(Role::Client, std::process::id(), Scope::Own)
        .with(Role::Dispatcher, dispatcher.pid(), Scope::Own)
        .with(Role::Python, dispatcher.pid(), Scope::Below);
    run_job(&bench.runtime, &*hub, jobs::flat(64));
    settle(bench, &*hub, &processes, 0);
    let before = processes.used();
    let took = run_job(&bench.runtime, &*hub, jobs::flat(tasks));
    settle(bench, &*hub, &processes, 0);
    round.cost(WORKLOAD.name, tasks, between(&before, &processes.used()));
    dispatcher.stop();
    round.note("w7.python", tasks as f64 / took.as_secs_f64());
}
