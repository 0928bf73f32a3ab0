//! Why a Python interpreter cannot be used, found out when it could not be.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::environment::{self, Group};
use super::streams::{Head, Tail};

/// How long an interpreter may take to say its version.
const LIMIT: Duration = Duration::from_secs(10);
/// How much of what it writes is kept, in bytes.
const EXCERPT: usize = 300;
const OLDEST: (u32, u32) = (3, 8);
/// Every Python understands this.
const ASK: &str = "import sys; sys.stdout.write('%d %d' % tuple(sys.version_info[:2]))";
const REMEDY: &str = "Install Python 3.8 or later, or name it with --python, or as python in the configuration file";

/// What to say of an interpreter that the system would not start.
pub(super) fn not_started(python: &Path, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::NotFound if python.components().count() == 1 => "there is no such program in PATH".to_owned(),
        io::ErrorKind::NotFound => "there is no such file, or what it needs is not there".to_owned(),
        io::ErrorKind::PermissionDenied if python.is_dir() => "it is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "it is not executable for this user".to_owned(),
        _ => error.to_string(),
    };
    format!("the Python interpreter {} cannot be started: {why}. {REMEDY}", python.display())
}

/// What is wrong with an interpreter that started, and then did not run Hub's part. `how` it ended completes a sentence.
pub(super) async fn diagnose(python: &Path, how: &str) -> String {
    let why = match tokio::time::timeout(LIMIT, ask(python)).await {
        Err(_) => format!("it does not answer within {} s when it is asked for its version", LIMIT.as_secs()),
        Ok(Err(error)) => return not_started(python, &error),
        Ok(Ok((said, last_words))) => match version(&said) {
            Some(version) if version < OLDEST => {
                format!("it is Python {}.{}, and Hub needs {}.{} or later", version.0, version.1, OLDEST.0, OLDEST.1)
            }
            Some((major, minor)) => format!("it is Python {major}.{minor}, but it {how} when it was to run tasks"),
            None if last_words.is_empty() => "it does not behave as Python does".to_owned(),
            None => format!("it says {last_words:?}"),
        },
    };
    format!("the Python interpreter {} cannot be used: {why}. {REMEDY}", python.display())
}

/// What it answers, and the end of what it complains about.
async fn ask(python: &Path) -> io::Result<(Vec<u8>, String)> {
    let mut command = environment::command(python);
    command.arg("-c").arg(ASK).stdin(std::process::Stdio::null());
    let mut child = environment::start(&mut command).await?;
    let _group = Group::of(&child);
    let (mut said, mut complaints) = (Head::new(EXCERPT), Tail::new(EXCERPT));
    if let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) {
        tokio::join!(said.read(output), complaints.read(errors));
    }
    child.wait().await?;
    Ok((said.kept, complaints.text().trim().to_owned()))
}

fn version(said: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = std::str::from_utf8(said).ok()?.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
