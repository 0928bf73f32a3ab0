//! Inspects a program that failed.

use std::process::Output;

/// Its standard error.
#[must_use]
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts that it failed with this exit code, and that its standard error contains all of these texts.
///
/// # Panics
/// If it did not.
#[track_caller]
pub fn fails(output: &Output, code: i32, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
}
