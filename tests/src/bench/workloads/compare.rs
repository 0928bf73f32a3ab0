//! Other task queues on the same broker, configured as safely as possible: see `tests/compare/`.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::Workload;
use crate::bench::figure::{Figure, Unit};
use crate::bench::round::Round;
use crate::bench::run::Bench;
use crate::root;

/// The virtual host of the other task queues. It is deleted with its contents.
const VHOST: &str = "compare";
/// The other task queues.
const OTHERS: [&str; 2] = ["celery", "dramatiq"];

pub(super) const WORKLOAD: Workload = Workload {
    name: "compare",
    about: "Celery and Dramatiq on the same broker (installs them)",
    needs_broker: true,
    on_request: true,
    figures,
    run,
};

fn figures() -> Vec<Figure> {
    let of = |other: &str| {
        let figure = |what: &str, title: &str, unit| {
            Figure::new(format!("compare.{other}.{what}"), format!("{other}: {title}"), unit)
        };
        [
            figure("tasks", "independent tasks, as in W1", Unit::PerSecond).beside("w1.tasks"),
            figure("jobs", "chains of two, as in W4", Unit::PerSecond).beside("w4.jobs.1000"),
            figure("task", "one task when idle", Unit::Millis),
        ]
    };
    OTHERS.into_iter().flat_map(of).collect()
}

fn run(bench: &Bench, round: &mut Round) {
    let broker = bench.broker();
    broker.control(&["add_vhost", VHOST]);
    broker.control(&["set_permissions", "--vhost", VHOST, "guest", ".*", ".*", ".*"]);
    let (tasks, jobs, waits) = (bench.size(10_000, 50), bench.size(1000, 10), bench.size(200, 5));
    let measured = measure(&format!("amqp://guest:guest@{}/{VHOST}", broker.address()), [tasks, jobs, waits]);
    broker.control(&["delete_vhost", VHOST]);
    for other in OTHERS {
        for (what, key) in [("tasks", "tasks_per_second"), ("jobs", "jobs_per_second"), ("task", "task_seconds")] {
            let value = measured[other][key].as_f64().expect("a number is measured");
            round.note(&format!("compare.{other}.{what}"), value);
        }
    }
}

fn measure(broker: &str, counts: [usize; 3]) -> Value {
    let own = std::env::current_exe().expect("a program has a path");
    let environment = own.with_file_name("compare-environment");
    let [tasks, jobs, waits] = counts.map(|count| count.to_string());
    let output = Command::new("python3")
        .arg(root().join("tests/compare/compare.py"))
        .args(["--broker", broker, "--tasks", &tasks, "--jobs", &jobs, "--waits", &waits, "--environment"])
        .arg(environment)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "the comparison failed: what it said is above");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}
