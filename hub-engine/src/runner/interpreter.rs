//! Diagnoses a Python interpreter that cannot be used.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::environment::{self, Group};
use super::streams::{Head, Tail};

/// Maximum time to wait for an interpreter's version.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of bytes of its output that are kept.
const MAXIMUM_EXCERPT: usize = 300;
const MINIMUM_VERSION: (u32, u32) = (3, 8);
/// Works in every version of Python.
const VERSION_SCRIPT: &str = "import sys; sys.stdout.write('%d %d' % tuple(sys.version_info[:2]))";
const REMEDY: &str = "Install Python 3.8 or later, or name it with --python, or as python in the configuration file";

/// The message about an interpreter that the system cannot start.
pub(super) fn not_started(python: &Path, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::NotFound if python.components().count() == 1 => "there is no such program in PATH".to_owned(),
        io::ErrorKind::NotFound => "there is no such file, or its loader or libraries are missing".to_owned(),
        io::ErrorKind::PermissionDenied if python.is_dir() => "it is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "it is not executable for this user".to_owned(),
        _ => error.to_string(),
    };
    format!("the Python interpreter {} cannot be started: {why}. {REMEDY}", python.display())
}

/// The message about an interpreter that started and then did not run Hub's code. `how` describes its end, as the end
/// of a sentence.
pub(super) async fn diagnose(python: &Path, how: &str) -> String {
    let why = match tokio::time::timeout(TIMEOUT, ask_version(python)).await {
        Err(_) => format!("it does not answer within {} s when it is asked for its version", TIMEOUT.as_secs()),
        Ok(Err(error)) => return not_started(python, &error),
        Ok(Ok((said, errors))) => match version(&said) {
            Some(version) if version < MINIMUM_VERSION => {
                format!(
                    "it is Python {}.{}, and Hub needs {}.{} or later",
                    version.0, version.1, MINIMUM_VERSION.0, MINIMUM_VERSION.1
                )
            }
            Some((major, minor)) => {
                format!("it is Python {major}.{minor}, but it {how} when Hub started it to run tasks")
            }
            None if errors.is_empty() => "it does not behave like Python".to_owned(),
            None => format!("it prints {errors:?}"),
        },
    };
    format!("the Python interpreter {} cannot be used: {why}. {REMEDY}", python.display())
}

/// Its output and the end of its standard error.
async fn ask_version(python: &Path) -> io::Result<(Vec<u8>, String)> {
    let mut command = environment::command(python);
    command.arg("-c").arg(VERSION_SCRIPT).stdin(std::process::Stdio::null());
    let mut child = environment::start(&mut command).await?;
    let _group = Group::of(&child);
    let (mut said, mut errors_tail) = (Head::new(MAXIMUM_EXCERPT), Tail::new(MAXIMUM_EXCERPT));
    if let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) {
        tokio::join!(said.read(output), errors_tail.read(errors));
    }
    child.wait().await?;
    Ok((said.kept, errors_tail.text().trim().to_owned()))
}

fn version(said: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = std::str::from_utf8(said).ok()?.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
