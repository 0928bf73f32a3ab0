//! The jobs of `tests/cases` on a real RabbitMQ, with both AMQP clients.

use std::process::ExitCode;

use hub_tests::{Broker, Programs, broker_tests, run_cases, tasks_of_cases};

fn main() -> ExitCode {
    broker_tests([
        ("every_case_with_lapin", |broker| run_all(broker, "lapin")),
        ("every_case_with_amqprs", |broker| run_all(broker, "amqprs")),
    ])
}

fn run_all(broker: &Broker, client: &str) {
    let programs = Programs::new(&broker.address(), client, &format!("cases-{client}"));
    let dispatcher = programs.start("hub-dispatcher", &[]);
    dispatcher.wait_for("listening for jobs and results");
    let worker = programs.start("hub-worker", &["--slots", "2", "--tasks-dir", &tasks_of_cases()]);
    worker.wait_for("waiting for tasks");
    run_cases(&programs);
    worker.stop();
    dispatcher.stop();
}
