//! How a program that failed is looked at.

use std::process::Output;

/// What it wrote to standard error.
#[must_use]
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// It failed with this exit code, and said all of these words.
///
/// # Panics
/// Where it did not.
#[track_caller]
pub fn fails(output: &Output, code: i32, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
}
