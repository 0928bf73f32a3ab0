//! W5: chains of computing tasks: short ones, where Hub's overhead is visible, and long ones, where it should not be.

use std::process::Command;

use super::Workload;
use crate::bench::deployment::{Deployment, FIBONACCI};
use crate::bench::figure::{Figure, Scale, Unit};
use crate::bench::jobs;
use crate::bench::round::Round;
use crate::bench::run::Bench;

/// Measures the computation of a chain in plain Python.
const PLAIN: &str = "import sys, time\nnumber, times = int(sys.argv[1]), int(sys.argv[2])\nbegun = time.perf_counter()\n\
    for _ in range(times):\n    fibonacci(number)\nprint(time.perf_counter() - begun)\n";

pub(super) const WORKLOAD: Workload = Workload {
    name: "w5",
    about: "a chain of 40 that compute fibonacci(10), and of 10 that compute fibonacci(33)",
    needs_broker: true,
    on_request: false,
    figures,
    run,
};

fn figures() -> Vec<Figure> {
    vec![
        Figure::new("w5.light", "W5 40 × fibonacci(10): a hop", Unit::Millis).to(Scale::RoundTrips(1)).below(1.6, 1.1),
        Figure::new("w5.plain", "W5 10 × fibonacci(33) in plain Python", Unit::Millis),
        Figure::new("w5.heavy", "W5 10 × fibonacci(33): the job", Unit::Millis).beside("w5.plain"),
    ]
}

fn run(bench: &Bench, round: &mut Round) {
    let deployment = Deployment::start(bench, bench.client);
    let light = bench.size(40, 5);
    let took = deployment
        .measured("w5/light", light, round, |deployment| deployment.run_job(jobs::fibonacci_chain(light, 10)));
    round.note("w5.light", took.as_secs_f64() / light as f64);
    let (heavy, number) = (bench.size(10, 2), if bench.size(1, 0) == 1 { 33 } else { 15 });
    round.note("w5.plain", plain(number, heavy));
    let took = deployment
        .measured("w5/heavy", heavy, round, |deployment| deployment.run_job(jobs::fibonacci_chain(heavy, number)));
    round.note("w5.heavy", took.as_secs_f64());
    deployment.end();
}

fn plain(number: u32, times: usize) -> f64 {
    let output = Command::new("python3")
        .args(["-c", &format!("{FIBONACCI}{PLAIN}"), &number.to_string(), &times.to_string()])
        .output()
        .expect("Python runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| panic!("no time: {text} {}", String::from_utf8_lossy(&output.stderr)))
}
