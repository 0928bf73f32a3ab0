//! `hub-client run`: the whole process, from its start to its end.

use std::process::Command;
use std::time::Instant;

use super::Workload;
use crate::bench::figure::{Figure, Unit, median};
use crate::bench::round::Round;
use crate::bench::run::Bench;
use crate::{Programs, root};

pub(super) const WORKLOAD: Workload = Workload {
    name: "run",
    about: "hub-client run, as a whole process",
    needs_broker: false,
    on_request: false,
    figures,
    run,
};

fn figures() -> Vec<Figure> {
    vec![Figure::new("run.process", "hub-client run sum_product: the whole process", Unit::Millis).below(0.12, 0.04)]
}

fn run(bench: &Bench, round: &mut Round) {
    let programs = Programs::alone();
    let etc = |name: &str| root().join("etc").join(name).to_string_lossy().into_owned();
    let (job, tasks, python) = (etc("jobs/sum_product.json"), etc("tasks"), interpreter());
    let once = || {
        let begun = Instant::now();
        let output = programs.run("hub-client", &["run", &job, "--tasks-dir", &tasks, "--python", &python]);
        let took = begun.elapsed().as_secs_f64();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        took
    };
    // The first run reads all files from the disk.
    once();
    let times: Vec<f64> = (0..bench.size(20, 2)).map(|_| once()).collect();
    round.note("run.process", median(&times));
}

/// The interpreter itself: what is called `python3` may be a script of a version manager, which takes longer than all of
/// the rest.
fn interpreter() -> String {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let output = output.expect("there is a Python");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
