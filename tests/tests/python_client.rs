//! The Python client: its wheel in a fresh environment, against a real Hub.

use std::path::Path;
use std::process::{Command, Stdio};

use hub_tests::{Programs, root};

/// A Python interpreter with mypy and venv: the first one in PATH, or Debian's.
fn python() -> &'static str {
    let has_both = |python: &&&str| {
        let asked = Command::new(python).args(["-c", "import mypy, venv, ensurepip"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].iter().find(has_both);
    found.expect("no Python has mypy and venv: install mypy and python3-venv")
}

/// Runs a command in a directory, with these variables, and demands that it succeeds.
fn run(directory: &Path, program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

/// Builds the wheel, and installs it into a fresh environment. Returns its interpreter.
fn install(directory: &Path) -> String {
    let package = root().join("hub-engine/python").to_string_lossy().into_owned();
    run(directory, python(), &["-m", "venv", "--system-site-packages", "venv"], &[]);
    let own = directory.join("venv/bin/python").to_string_lossy().into_owned();
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
