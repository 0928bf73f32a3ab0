//! The jobs of `tests/cases` without a broker: in `hub-client run`, and over HTTP. `cases_on_a_broker` runs them with a broker.

use hub_tests::{Programs, cases, run_cases, tasks_of_cases};

/// Time limit for jobs that hang. Normal runs take less than a second.
const LIMIT: &str = "60";

#[test]
fn the_client_runs_every_case() {
    let programs = Programs::alone();
    let tasks = tasks_of_cases();
    for case in cases() {
        let flags = ["run", "-", "--tasks-dir", &tasks, "--slots", "2", "--wait-limit", LIMIT, "-o", "json"];
        let output = programs.run_reading("hub-client", &flags, case.job.get());
        let record = serde_json::from_slice(&output.stdout);
        case.check(&record.unwrap_or_else(|error| panic!("{}: {error}: {output:?}", case.name)));
    }
}

#[test]
fn one_process_with_http_runs_every_case() {
    let (programs, hub) = Programs::in_memory(&[], &["--tasks-dir", &tasks_of_cases()]);
    run_cases(&programs);
    // Run them again on the same processes.
    run_cases(&programs);
    hub.stop();
}
