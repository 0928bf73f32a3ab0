//! What a worker and its Python children say to each other: one line of JSON at a time.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use hub_core::Json;
use hub_core::state::{ErrorKind, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::process::{Child, Command};

use super::sdk::Sdk;
use super::{Outcome, TaskReport, TaskRequest, environment};

/// How much of a dead child's output is shown.
const LAST_WORDS: u64 = 4096;

/// What every child is told at its start.
#[derive(Serialize)]
pub(super) struct ChildSettings<'a> {
    pub(super) tasks_dir: &'a Path,
    pub(super) output: &'a Path,
    pub(super) log_limit: usize,
    pub(super) result_limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scan: Option<&'a [String]>,
}

/// A task for a child.
#[derive(Serialize)]
struct Request<'a> {
    key: u64,
    id: hub_core::TaskId,
    parent_id: hub_core::JobId,
    name: &'a str,
    task_name: &'a str,
    args: &'a Json,
    kwargs: &'a Json,
    attempt: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    coroutine: bool,
}

/// A child's answer.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) id: u64,
    status: Status,
    #[serde(default)]
    data: Option<Box<RawValue>>,
    #[serde(default)]
    log: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    msg: Option<String>,
    #[serde(rename = "type", default)]
    type_name: Option<String>,
    #[serde(default)]
    traceback: Option<String>,
    /// For how long the task ran.
    #[serde(default)]
    us: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Launched,
    Failed,
    Cancelled,
    Dropped,
}

/// The command that starts a child.
pub(super) fn python(interpreter: &Path, sdk: &Sdk, settings: &ChildSettings<'_>) -> Command {
    let mut command = environment::command(interpreter);
    command
        .arg("-c")
        .arg("import sys; sys.path[0] = sys.argv.pop(1); from hub.child import main; main()")
        .arg(sdk.path())
        .arg(serde_json::to_string(settings).unwrap_or_default())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stderr(std::process::Stdio::null());
    command
}

/// The line for a request.
pub(super) fn line(key: u64, request: &TaskRequest, coroutine: bool) -> Vec<u8> {
    let request = Request {
        key,
        id: request.id,
        parent_id: request.parent_id,
        name: &request.name,
        task_name: &request.task_name,
        args: &request.args,
        kwargs: &request.kwargs,
        attempt: request.attempt,
        coroutine,
    };
    let mut line = serde_json::to_vec(&request).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The line that has a child stop a coroutine.
pub(super) fn cancel_line(key: u64) -> Vec<u8> {
    format!("{{\"cancel\":{key}}}\n").into_bytes()
}

/// The line that has a child give back what it has not begun of these tasks.
pub(super) fn drop_line(keys: &[u64]) -> Vec<u8> {
    format!("{{\"drop\":{keys:?}}}\n").into_bytes()
}

impl Answer {
    /// For how long the task ran.
    pub(super) fn took(&self) -> Option<Duration> {
        self.us.map(Duration::from_micros)
    }

    /// The report that it makes.
    pub(super) fn report(self) -> TaskReport {
        let took = self.took();
        let data = self.data.map_or_else(Json::null, Json::from);
        let outcome = match self.status {
            Status::Success => Outcome::Success { data },
            Status::Launched => Outcome::Launched { data },
            Status::Cancelled => Outcome::Cancelled,
            Status::Dropped => Outcome::NotBegun,
            Status::Failed if self.kind.as_deref() == Some("UNKNOWN") => Outcome::Unknown,
            Status::Failed => {
                let kind = serde_json::from_value(self.kind.unwrap_or_default().into());
                Outcome::Failed {
                    msg: self.msg.unwrap_or_default(),
                    error: TaskError {
                        kind: kind.unwrap_or(ErrorKind::TaskFailed),
                        type_name: self.type_name.map(Into::into),
                        traceback: self.traceback.map(Into::into),
                    },
                }
            }
        };
        TaskReport { outcome, log: self.log, took }
    }
}

/// What is to be said of a task whose process died under it.
pub(super) async fn obituary(child: &mut Child, output: &Path) -> TaskReport {
    environment::kill(child).await;
    let how = child.try_wait().ok().flatten().map_or_else(|| "was killed".to_owned(), describe_exit);
    let last_words = tail(output);
    let msg = format!("the process that ran the task {how}");
    let error =
        TaskError { kind: ErrorKind::ChildDied, type_name: None, traceback: last_words.clone().map(Into::into) };
    TaskReport { outcome: Outcome::Failed { msg, error }, log: last_words, took: None }
}

/// How a process ended, as the end of a sentence.
pub(super) fn describe_exit(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => {
            let name = nix::sys::signal::Signal::try_from(signal).map_or("unknown", nix::sys::signal::Signal::as_str);
            format!("was ended by signal {signal} ({name})")
        }
        (None, None) => "ended".to_owned(),
    }
}

fn tail(path: &Path) -> Option<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(LAST_WORDS))).ok()?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
}
