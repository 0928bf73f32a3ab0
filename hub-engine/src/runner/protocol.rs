//! The protocol between a worker and its Python processes.
//!
//! Each message has a head of fixed size, with its length and the key of its task, followed by JSON text. So no content
//! can be mistaken for the end of a message, and a message that cannot be parsed can still be assigned to its task.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use hub_core::Json;
use hub_core::state::{ErrorKind, RetryAdvice, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::process::{Child, Command};

use super::environment::{self, Group};
use super::sdk::Sdk;
use super::settings::RunnerSettings;
use super::{NoOutcome, Outcome, RunControl, TaskReport, TaskRequest};

/// Maximum number of bytes of a dead child's output that are shown as its traceback.
const MAXIMUM_TRACEBACK: usize = 4096;
/// Size of a request's head: length of the body, key, kind.
const REQUEST_HEAD: usize = 8 + 8 + 1;
/// Room for the body of a request without its arguments.
const ABOUT_BYTES: usize = 256;
/// Size of an answer's head: length of the body, key.
pub(super) const ANSWER_HEAD: usize = 8 + 8;
/// Maximum number of bytes that one byte of a log takes in an answer. A control character is written as `\u0000`.
const BYTES_PER_ESCAPE: usize = 6;
/// Maximum size of an answer without result and log: the message and the traceback, which the child limits.
const ANSWER_OVERHEAD: usize = 512 * 1024;

/// Maximum duration of a task. Longer ones, as reported by its process, are reduced to it.
const MAXIMUM_DURATION: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The kind of a request.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Run = 0,
    RunCoroutine = 1,
    Cancel = 2,
    Drop = 3,
}

/// Generates unpredictable keys, so that a task cannot answer for a queued one.
#[derive(Debug, Default)]
pub(super) struct Keys {
    secret: RandomState,
    made: u64,
}

impl Keys {
    /// Generates a key.
    pub(super) fn make(&mut self) -> u64 {
        self.made += 1;
        self.secret.hash_one(self.made)
    }
}

/// The settings of a child, passed at its start.
#[derive(Serialize)]
pub(super) struct ChildSettings<'a> {
    pub(super) tasks_dir: &'a Path,
    pub(super) output: &'a Path,
    pub(super) log_limit: usize,
    pub(super) result_limit: usize,
    /// Maximum nesting depth of values, for messages.
    pub(super) max_depth: usize,
    /// Whether it runs coroutines concurrently.
    pub(super) coroutines: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scan: Option<&'a [String]>,
}

/// A request to run a task, without its arguments.
#[derive(Serialize)]
struct Request<'a> {
    id: hub_core::TaskId,
    parent_id: hub_core::JobId,
    name: &'a str,
    task_name: &'a str,
    attempt: u32,
}

/// A child's answer.
#[derive(Debug)]
pub(super) struct ChildAnswer {
    pub(super) key: u64,
    body: Body,
}

#[derive(Debug, Deserialize)]
struct Body {
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
    bases: Vec<String>,
    #[serde(default)]
    retry: Option<RetryAdvice>,
    #[serde(default)]
    traceback: Option<String>,
    /// The duration of the task.
    #[serde(default)]
    us: Option<u64>,
    /// Whether the state of the process has changed, so that it must not run another task.
    #[serde(default)]
    last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Launched,
    Failed,
    Cancelled,
    Dropped,
    /// The task goes on, and has reported progress.
    Progress,
    /// The process had no file descriptors left before it started the task. Another process runs it.
    Exhausted,
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

/// The request to run a task.
pub(super) fn run(key: u64, request: &TaskRequest, coroutine: bool) -> Vec<u8> {
    let about = Request {
        id: request.id,
        parent_id: request.parent_id,
        name: &request.name,
        task_name: &request.task_name,
        attempt: request.attempt,
    };
    let kind = if coroutine { Kind::RunCoroutine } else { Kind::Run };
    let values = [Some(&request.args), Some(&request.kwargs), request.last_progress.as_ref()].into_iter().flatten();
    let mut message = head(kind, key, ABOUT_BYTES + values.map(|value| value.get().len()).sum::<usize>());
    // Writing to memory does not fail, and neither does writing texts and numbers as JSON.
    let _ = serde_json::to_writer(&mut message, &about);
    message.pop();
    // The arguments are JSON text already, so they are inserted without parsing.
    let arguments = [(&b",\"args\":"[..], &request.args), (b",\"kwargs\":", &request.kwargs)];
    let last_progress = request.last_progress.as_ref().map(|value| (&b",\"last_progress\":"[..], value));
    for (name, value) in arguments.into_iter().chain(last_progress) {
        message.extend_from_slice(name);
        message.extend_from_slice(value.get().as_bytes());
    }
    message.push(b'}');
    let length = (message.len() - REQUEST_HEAD) as u64;
    message[..8].copy_from_slice(&length.to_le_bytes());
    message
}

/// The request to cancel a coroutine.
pub(super) fn cancel(key: u64) -> Vec<u8> {
    head(Kind::Cancel, key, 0)
}

/// The request to withdraw a task, if it has not started.
pub(super) fn withdraw(key: u64) -> Vec<u8> {
    head(Kind::Drop, key, 0)
}

/// The head of a message, with room for `body` bytes behind it. The length that it names is 0.
fn head(kind: Kind, key: u64, body: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(REQUEST_HEAD + body);
    message.extend_from_slice(&0_u64.to_le_bytes());
    message.extend_from_slice(&key.to_le_bytes());
    message.push(kind as u8);
    message
}

/// The length of an answer's body, and the key of its task.
pub(super) fn answer_head(bytes: &[u8]) -> Option<(u64, u64)> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let key = rest.first_chunk::<8>()?;
    Some((u64::from_le_bytes(*length), u64::from_le_bytes(*key)))
}

/// Maximum size of an answer in bytes.
pub(super) const fn answer_limit(settings: &RunnerSettings) -> usize {
    let log = settings.log_limit_bytes.saturating_mul(BYTES_PER_ESCAPE);
    settings.result_limit_bytes.saturating_add(log).saturating_add(ANSWER_OVERHEAD)
}

impl ChildAnswer {
    /// Parses the body of an answer. An invalid body is a failure of its task.
    pub(super) fn read(key: u64, body: &[u8]) -> Self {
        let body = serde_json::from_slice(body).unwrap_or_else(|error| Body {
            status: Status::Failed,
            data: None,
            log: None,
            kind: None,
            msg: Some(format!("the answer of the process that ran the task cannot be read: {error}")),
            type_name: None,
            bases: Vec::new(),
            retry: None,
            traceback: None,
            us: None,
            last: true,
        });
        Self { key, body }
    }

    /// The duration of the task.
    pub(super) fn took(&self) -> Option<Duration> {
        self.body.us.map(|us| Duration::from_micros(us).min(MAXIMUM_DURATION))
    }

    /// Whether the answer confirms a withdrawal.
    pub(super) fn is_dropped(&self) -> bool {
        self.body.status == Status::Dropped
    }

    /// Whether the answer is a progress, and another answer follows.
    pub(super) fn is_progress(&self) -> bool {
        self.body.status == Status::Progress
    }

    /// Passes a progress on. Its process has checked it.
    pub(super) fn note_progress(self, control: &RunControl) {
        let value = self.body.data.map_or_else(Json::null, Json::from);
        if let Err(flaw) = control.report_progress(value) {
            tracing::debug!(flaw, "ignored the progress of a task");
        }
    }

    /// Whether its process must not run another task.
    pub(super) fn is_last(&self) -> bool {
        self.body.last
    }

    /// Converts the answer to a report.
    pub(super) fn report(self) -> TaskReport {
        let took = self.took();
        let Body { status, data, log, kind, msg, type_name, bases, retry, traceback, .. } = self.body;
        let data = data.map_or_else(Json::null, Json::from);
        let outcome = match status {
            Status::Success => Ok(Outcome::Success { data }),
            Status::Launched => Ok(Outcome::Launched { data }),
            Status::Cancelled => Err(NoOutcome::Cancelled),
            Status::Dropped | Status::Progress | Status::Exhausted => Err(NoOutcome::NotBegun),
            Status::Failed if kind.as_deref() == Some("UNKNOWN") => Err(NoOutcome::Unknown),
            Status::Failed => {
                let kind = serde_json::from_value(kind.unwrap_or_default().into());
                let error = TaskError {
                    type_name: type_name.map(Into::into),
                    bases: bases.into_iter().map(Into::into).collect(),
                    retry,
                    traceback: traceback.map(Into::into),
                    ..TaskError::new(kind.unwrap_or(ErrorKind::TaskFailed))
                };
                Ok(Outcome::Failed { msg: msg.unwrap_or_default().into(), error: Some(error.into()) })
            }
        };
        TaskReport { outcome, log, took, content: None }
    }
}

/// The report of a task whose process has ended. `why` is the reason if the worker has killed it.
pub(super) async fn end_report(child: &mut Child, why: Option<String>, printed: Option<String>) -> TaskReport {
    environment::kill(child, Group::of(child)).await;
    let msg = why.unwrap_or_else(|| {
        let how = child.try_wait().ok().flatten().map_or_else(|| "was killed".to_owned(), describe_exit);
        format!("the process that ran the task {how}")
    });
    let traceback = printed
        .as_deref()
        .map(|text| text[text.ceil_char_boundary(text.len().saturating_sub(MAXIMUM_TRACEBACK))..].into());
    let error = TaskError { traceback, ..TaskError::new(ErrorKind::ChildDied) };
    let outcome = Outcome::Failed { msg: msg.into(), error: Some(error.into()) };
    TaskReport { log: printed, ..TaskReport::silent(outcome) }
}

/// Describes the end of a process, as the end of a sentence.
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

/// The last `limit` bytes of a process's output.
pub(super) fn printed(output: &Path, limit: usize) -> Option<String> {
    use std::io::{Read, Seek, SeekFrom};
    let limit = limit as u64;
    let mut file = std::fs::File::open(output).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(limit))).ok()?;
    let mut text = Vec::new();
    // Output that processes of the task may still append is ignored.
    file.take(limit).read_to_end(&mut text).ok()?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
}
