//! Python environments for tests of the Python package.

use std::path::Path;
use std::process::{Command, Stdio};

/// A Python interpreter with pytest and mypy: the first one in PATH, or Debian's.
fn system_python() -> &'static str {
    let has_both = |python: &&&str| {
        let asked =
            Command::new(python).args(["-c", "import pytest, mypy, venv, ensurepip"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].iter().find(has_both);
    found.expect("no Python has pytest, mypy and venv: install python3-pytest, mypy and python3-venv")
}

/// Runs a Python in a directory, with these variables. Returns whether it succeeded, and its output.
///
/// # Panics
/// If it cannot be started.
#[must_use]
pub fn run_python(directory: &Path, python: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(python);
    command.args(arguments).current_dir(directory).env("PYTHONDONTWRITEBYTECODE", "1").envs(variables.iter().copied());
    let output = command.output().expect("Python starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Creates the environment `venv`, with pytest and mypy of the system. Returns its interpreter.
///
/// # Panics
/// If it cannot be created.
#[must_use]
pub fn virtual_environment(directory: &Path) -> String {
    let (succeeded, output) =
        run_python(directory, system_python(), &["-m", "venv", "--system-site-packages", "venv"], &[]);
    assert!(succeeded, "{output}");
    directory.join("venv/bin/python").to_string_lossy().into_owned()
}
