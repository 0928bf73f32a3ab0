//! The flat job with each of the AMQP clients.

use super::Workload;
use crate::Client;
use crate::bench::deployment::Deployment;
use crate::bench::figure::{Figure, Unit};
use crate::bench::jobs;
use crate::bench::round::Round;
use crate::bench::run::Bench;

pub(super) const WORKLOAD: Workload = Workload {
    name: "clients",
    about: "W1 through lapin and through amqprs",
    needs_broker: true,
    on_request: false,
    figures,
    run,
};

fn figures() -> Vec<Figure> {
    vec![
        Figure::new("clients.lapin", "W1 through lapin: tasks", Unit::PerSecond),
        Figure::new("clients.amqprs", "W1 through amqprs: tasks", Unit::PerSecond)
            .beside("clients.lapin")
            .above(0.6, 1.0),
    ]
}

fn run(bench: &Bench, round: &mut Round) {
    let tasks = bench.size(10_000, 100);
    for (client, key) in [(Client::Lapin, "clients.lapin"), (Client::Amqprs, "clients.amqprs")] {
        let deployment = Deployment::start(bench, client);
        let took = deployment.measured(key, tasks, round, |deployment| deployment.run_job(jobs::flat(tasks)));
        deployment.end();
        round.note(key, tasks as f64 / took.as_secs_f64());
    }
}
