//! What a worker and its Python children say to each other.
//!
//! Each message has a head of fixed size, with its length and the key of its task, and then JSON text. So no content can be
//! taken for the end of a message, and what a side cannot read it can still tell whose it is.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use hub_core::Json;
use hub_core::state::{ErrorKind, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::process::{Child, Command};

use super::sdk::Sdk;
use super::settings::RunnerSettings;
use super::{NoOutcome, Outcome, TaskReport, TaskRequest, environment};

/// How much of a dead child's output is shown as its last words, in bytes.
const LAST_WORDS: usize = 4096;
/// Length of the body, key, kind.
const REQUEST_HEAD: usize = 8 + 8 + 1;
/// Length of the body, key.
pub(super) const ANSWER_HEAD: usize = 8 + 8;
/// What one byte of a log takes in an answer at most: a control character is written `\u0000`.
const ESCAPED: usize = 6;
/// What an answer may take beside result and log: the message and the traceback, which the child keeps short.
const REST: usize = 512 * 1024;

/// Longer than this no task has run, whatever its process says.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What a request is about.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Run = 0,
    RunCoroutine = 1,
    Cancel = 2,
    Drop = 3,
}

/// Makes keys that cannot be guessed: a task cannot answer for one that waits behind it.
#[derive(Debug, Default)]
pub(super) struct Keys {
    secret: RandomState,
    made: u64,
}

impl Keys {
    /// One more.
    pub(super) fn make(&mut self) -> u64 {
        self.made += 1;
        self.secret.hash_one(self.made)
    }
}

/// The settings of a child, given at its start.
#[derive(Serialize)]
pub(super) struct ChildSettings<'a> {
    pub(super) tasks_dir: &'a Path,
    pub(super) output: &'a Path,
    pub(super) log_limit: usize,
    pub(super) result_limit: usize,
    /// How deep values may be nested, for messages.
    pub(super) max_depth: usize,
    /// It runs coroutines, many at a time.
    pub(super) coroutines: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scan: Option<&'a [String]>,
}

/// A task for a child, but for its arguments.
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
    traceback: Option<String>,
    /// For how long the task ran.
    #[serde(default)]
    us: Option<u64>,
    /// The process is not as it was, and must not be given another task.
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
    /// The process has run out of descriptors before it began: another one runs the task.
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

/// The message that hands a task over.
pub(super) fn run(key: u64, request: &TaskRequest, coroutine: bool) -> Vec<u8> {
    let about = Request {
        id: request.id,
        parent_id: request.parent_id,
        name: &request.name,
        task_name: &request.task_name,
        attempt: request.attempt,
    };
    let mut message = head(if coroutine { Kind::RunCoroutine } else { Kind::Run }, key);
    // Writing to memory does not fail, and neither does writing texts and numbers as JSON.
    let _ = serde_json::to_writer(&mut message, &about);
    message.pop();
    // The arguments are JSON text already: they are put in, not read and written once more.
    for (name, value) in [(&b",\"args\":"[..], &request.args), (b",\"kwargs\":", &request.kwargs)] {
        message.extend_from_slice(name);
        message.extend_from_slice(value.get().as_bytes());
    }
    message.push(b'}');
    let length = (message.len() - REQUEST_HEAD) as u64;
    message[..8].copy_from_slice(&length.to_le_bytes());
    message
}

/// The message that has a child stop a coroutine.
pub(super) fn cancel(key: u64) -> Vec<u8> {
    head(Kind::Cancel, key)
}

/// The message that has a child give a task back, if it has not begun.
pub(super) fn drop_unbegun(key: u64) -> Vec<u8> {
    head(Kind::Drop, key)
}

/// The head of a message without a body.
fn head(kind: Kind, key: u64) -> Vec<u8> {
    let mut message = Vec::with_capacity(REQUEST_HEAD);
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

/// How long an answer may be.
pub(super) const fn answer_limit(settings: &RunnerSettings) -> usize {
    let log = settings.log_limit_bytes.saturating_mul(ESCAPED);
    settings.result_limit_bytes.saturating_add(log).saturating_add(REST)
}

impl ChildAnswer {
    /// Reads an answer's body. One that cannot be read is a failure of its task.
    pub(super) fn read(key: u64, body: &[u8]) -> Self {
        let body = serde_json::from_slice(body).unwrap_or_else(|error| Body {
            status: Status::Failed,
            data: None,
            log: None,
            kind: None,
            msg: Some(format!("the answer of the process that ran the task cannot be read: {error}")),
            type_name: None,
            traceback: None,
            us: None,
            last: true,
        });
        Self { key, body }
    }

    /// For how long the task ran.
    pub(super) fn took(&self) -> Option<Duration> {
        self.body.us.map(|us| Duration::from_micros(us).min(LONGEST))
    }

    /// Whether the task is given back unbegun.
    pub(super) fn is_dropped(&self) -> bool {
        self.body.status == Status::Dropped
    }

    /// Whether its process must not be given another task.
    pub(super) fn is_last(&self) -> bool {
        self.body.last
    }

    /// The report that it makes.
    pub(super) fn report(self) -> TaskReport {
        let took = self.took();
        let Body { status, data, log, kind, msg, type_name, traceback, .. } = self.body;
        let data = data.map_or_else(Json::null, Json::from);
        let outcome = match status {
            Status::Success => Ok(Outcome::Success { data }),
            Status::Launched => Ok(Outcome::Launched { data }),
            Status::Cancelled => Err(NoOutcome::Cancelled),
            Status::Dropped | Status::Exhausted => Err(NoOutcome::NotBegun),
            Status::Failed if kind.as_deref() == Some("UNKNOWN") => Err(NoOutcome::Unknown),
            Status::Failed => {
                let kind = serde_json::from_value(kind.unwrap_or_default().into());
                let error = TaskError {
                    kind: kind.unwrap_or(ErrorKind::TaskFailed),
                    type_name: type_name.map(Into::into),
                    traceback: traceback.map(Into::into),
                };
                Ok(Outcome::Failed { msg: msg.unwrap_or_default().into(), error: Some(error.into()) })
            }
        };
        TaskReport { outcome, log, took }
    }
}

/// The report of a task whose process has ended. `why`: what it was ended for, where the worker ended it.
pub(super) async fn end_report(child: &mut Child, why: Option<String>, printed: Option<String>) -> TaskReport {
    environment::kill(child).await;
    let msg = why.unwrap_or_else(|| {
        let how = child.try_wait().ok().flatten().map_or_else(|| "was killed".to_owned(), describe_exit);
        format!("the process that ran the task {how}")
    });
    let last_words =
        printed.as_deref().map(|text| text[text.ceil_char_boundary(text.len().saturating_sub(LAST_WORDS))..].into());
    let error = TaskError { kind: ErrorKind::ChildDied, type_name: None, traceback: last_words };
    let outcome = Outcome::Failed { msg: msg.into(), error: Some(error.into()) };
    TaskReport { log: printed, ..TaskReport::silent(outcome) }
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

/// The last `limit` bytes of what a process has printed.
pub(super) fn printed(output: &Path, limit: usize) -> Option<String> {
    use std::io::{Read, Seek, SeekFrom};
    let limit = limit as u64;
    let mut file = std::fs::File::open(output).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(limit))).ok()?;
    let mut text = Vec::new();
    // What processes of the task's own may still be adding is left.
    file.take(limit).read_to_end(&mut text).ok()?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
}
