//! The Python client: its wheel in a fresh environment, against a real Hub.

use std::path::Path;

use hub_tests::python::{run_python, virtual_environment};
use hub_tests::{Programs, root};

/// Runs Python in a directory, with these variables, and demands that it succeeds.
fn run(directory: &Path, python: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let (succeeded, output) = run_python(directory, python, arguments, variables);
    assert!(succeeded, "{arguments:?}: {output}");
    output
}

/// Builds the wheel, and installs it into a fresh environment. Returns its interpreter.
fn install(directory: &Path) -> String {
    let package = root().join("hub-engine/python").to_string_lossy().into_owned();
    let own = virtual_environment(directory);
    run(directory, &own, &["-m", "pip", "wheel", "--no-index", "--no-deps", "-w", "dist", &package], &[]);
    let wheels = std::fs::read_dir(directory.join("dist")).unwrap().map(|entry| entry.unwrap().path());
    let wheels: Vec<String> = wheels.map(|path| path.to_string_lossy().into_owned()).collect();
    let [wheel] = wheels.as_slice() else { panic!("{wheels:?}") };
    run(directory, &own, &["-m", "pip", "install", "--no-index", "--force-reinstall", wheel], &[]);
    own
}

#[test]
fn the_wheel_works_with_a_hub() {
    let modules = root().join("etc/tasks").to_string_lossy().into_owned();
    let (programs, hub) = Programs::alone().start_in_memory(&[], &["--tasks-dir", &modules]);
    let log = hub.log();
    let address = log.split("HTTP API at ").nth(1).and_then(|rest| rest.split("/api/v1").next()).unwrap();
    let python = install(programs.directory());
    let tests = root().join("tests/python_client");
    let said = run(&tests, &python, &["-m", "unittest"], &[("HUB_TEST_URL", address)]);
    assert!(said.contains("\nOK") && !said.contains("skipped"), "{said}");
    run(programs.directory(), &python, &["-m", "mypy", "--strict", "-p", "hub.client"], &[]);
}
