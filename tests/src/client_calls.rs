//! Calls of `hub-client` whose outcome is demanded.

use serde_json::Value;

use crate::failures::said;
use crate::programs::Programs;

/// The standard output and the standard error of a command that succeeds.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn answered(programs: &Programs, args: &[&str]) -> (String, String) {
    let output = programs.run("hub-client", args);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {printed}{}", said(&output));
    (printed, said(&output))
}

/// The standard error of a command that fails with this exit code.
///
/// # Panics
/// If it does not.
#[track_caller]
#[must_use]
pub fn refused(programs: &Programs, args: &[&str], code: i32) -> String {
    let output = programs.run("hub-client", args);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    said
}

/// A JSON text as a value.
///
/// # Panics
/// If it is no JSON.
#[track_caller]
#[must_use]
pub fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Writes a file into the directory of the programs. Returns its path.
///
/// # Panics
/// If it cannot be written.
pub fn write(programs: &Programs, name: &str, text: &str) -> String {
    let path = programs.directory().join(name);
    std::fs::create_dir_all(path.parent().expect("it is in a directory")).expect("the directory can be made");
    std::fs::write(&path, text).expect("the file can be written");
    path.to_string_lossy().into_owned()
}
