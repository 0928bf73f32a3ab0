//! W1: one job with many independent tasks.

use super::Workload;
use crate::bench::cost::Role;
use crate::bench::deployment::Deployment;
use crate::bench::figure::{Figure, Scale, Unit};
use crate::bench::jobs;
use crate::bench::round::Round;
use crate::bench::run::Bench;

pub(super) const WORKLOAD: Workload = Workload {
    name: "w1",
    about: "one job of 10,000 independent tasks",
    needs_broker: true,
    on_request: false,
    figures,
    run,
};

fn figures() -> Vec<Figure> {
    vec![
        Figure::new("w1.tasks", "W1 flat: tasks", Unit::PerSecond).to(Scale::Echoes).above(0.5, 0.8),
        Figure::new("w1.cpu.dispatcher", "W1 dispatcher CPU a task", Unit::Micros).below(60e-6, 25e-6),
        Figure::new("w1.cpu.worker", "W1 worker CPU a task", Unit::Micros).below(60e-6, 25e-6),
        Figure::new("w1.cpu.python", "W1 Python children CPU a task", Unit::Micros).below(40e-6, 15e-6),
    ]
}

fn run(bench: &Bench, round: &mut Round) {
    let tasks = bench.size(10_000, 100);
    let deployment = Deployment::start(bench, bench.client);
    let took = deployment.measured(WORKLOAD.name, tasks, round, |deployment| deployment.run_job(jobs::flat(tasks)));
    deployment.end();
    round.note("w1.tasks", tasks as f64 / took.as_secs_f64());
    let used = round.costs.last().expect("it was measured a moment ago").used.clone();
    for (key, role) in
        [("w1.cpu.dispatcher", Role::Dispatcher), ("w1.cpu.worker", Role::Worker), ("w1.cpu.python", Role::Python)]
    {
        round.note(key, used[&role].cpu / tasks as f64);
    }
}
