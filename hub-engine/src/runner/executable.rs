//! Tasks in any language: a program that reads a request from its standard input and writes a value to its standard
//! output.
//!
//! The task ends with the program. Processes that are still running in its process group are killed. A program that the
//! worker ends early receives SIGTERM, with its group, and what is left of them is killed after a while.

use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use hub_core::Json;
use hub_core::state::{ErrorKind, TaskError};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::time::Instant;

use super::environment::{self, Group};
use super::progress_lines::Errors;
use super::protocol::describe_exit;
use super::settings::RunnerSettings;
use super::streams::Head;
use super::{Interruption, NoOutcome, Outcome, RunControl, TaskReport, TaskRequest, program};

/// Maximum number of bytes of invalid output in a message.
const MAXIMUM_EXCERPT: usize = 200;
/// Maximum number of lines of standard error in the message of a failure.
const LAST_LINES: usize = 5;
/// Maximum time to read the pipes of a program that has ended. They contain all its output; only a process that has
/// left its group can keep them open longer.
const PIPE_TIMEOUT: Duration = Duration::from_millis(500);

/// The request that the program reads.
#[derive(Serialize)]
struct Request<'a> {
    id: hub_core::TaskId,
    parent_id: hub_core::JobId,
    name: &'a str,
    task_name: &'a str,
    args: &'a Json,
    kwargs: &'a Json,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_progress: Option<&'a Json>,
}

/// Runs a program as a task.
pub(super) async fn run(
    path: &Path,
    request: &TaskRequest,
    settings: &RunnerSettings,
    control: &RunControl,
) -> TaskReport {
    let mut command = environment::command(path);
    let started = tokio::select! {
        started = environment::start(command.current_dir(&settings.tasks_dir)) => started,
        () = control.stopped() => return TaskReport::without(NoOutcome::Cancelled),
    };
    let child = match started {
        Ok(child) => child,
        Err(error) => return not_started(&error, path, settings),
    };
    converse(child, request, settings, control).await.unwrap_or_else(|error| {
        let msg = format!("failed to communicate with the program: {error}");
        TaskReport::silent(failed(ErrorKind::TaskFailed, msg, None))
    })
}

fn not_started(error: &io::Error, path: &Path, settings: &RunnerSettings) -> TaskReport {
    if let Some(what) = environment::shortage(error) {
        return TaskReport::without(NoOutcome::Shortage { what });
    }
    let name = path.file_name().unwrap_or_default().display();
    match error.kind() {
        // The file has just been removed.
        io::ErrorKind::NotFound if std::fs::symlink_metadata(path).is_err() => TaskReport::without(NoOutcome::Unknown),
        io::ErrorKind::ExecutableFileBusy => TaskReport::broken(format!(
            "{name}: a process keeps the file open for writing. Write to a temporary file and rename it, as install does"
        )),
        _ => TaskReport::broken(format!("{name}: {}", program::explain(error, path, &settings.tasks_dir))),
    }
}

/// Sends the program its request and reads its output until its end.
async fn converse(
    mut child: Child,
    request: &TaskRequest,
    settings: &RunnerSettings,
    control: &RunControl,
) -> io::Result<TaskReport> {
    let (group, since) = (Group::of(&child), Instant::now());
    let missing = || io::Error::other("the process has no pipes");
    let input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let errors = child.stderr.take().ok_or_else(missing)?;
    let (mut value, mut log) = (Head::new(settings.result_limit_bytes), Errors::new(settings.log_limit_bytes, control));
    let interruption = {
        let request = line(request)?;
        let streams = async { tokio::join!(feed(input, &request), value.read(output), log.read(errors)) };
        let mut streams = std::pin::pin!(streams);
        let mut streaming = true;
        let interruption = loop {
            tokio::select! {
                biased;
                status = child.wait() => {
                    status?;
                    break None;
                }
                // Before the limits: after a pause of this program, progress may be waiting.
                _ = &mut streams, if streaming => streaming = false,
                interruption = control.interrupted(since) => break Some(interruption),
            }
        };
        let end = async {
            match interruption {
                None => drop(group),
                // Its output is read in the meantime.
                Some(interruption) => {
                    let kill_due = control.kill_due(control.kill_time(interruption));
                    environment::stop(&mut child, group, kill_due).await;
                }
            }
        };
        let mut end = std::pin::pin!(end);
        tokio::select! {
            () = &mut end => {}
            _ = &mut streams, if streaming => {
                streaming = false;
                end.await;
            }
        }
        if streaming {
            let _ = tokio::time::timeout(PIPE_TIMEOUT, streams).await;
        }
        interruption
    };
    let (status, log) = (child.wait().await?, log.text());
    let outcome = outcome(status, &value, &log, settings);
    let log = (!log.is_empty()).then_some(log);
    Ok(match interruption {
        None => TaskReport { log, ..TaskReport::silent(outcome) },
        Some(interruption) => interrupted(interruption, outcome, &value, log),
    })
}

/// The report of a program that was ended early. Many programs exit with code 0 after SIGTERM, so only one that has also
/// written a value has succeeded.
fn interrupted(interruption: Interruption, outcome: Outcome, value: &Head, log: Option<String>) -> TaskReport {
    let has_value = !value.kept.trim_ascii().is_empty();
    let is_success = matches!(outcome, Outcome::Success { .. });
    let outcome = if is_success && !has_value { Err(NoOutcome::Cancelled) } else { Ok(outcome) };
    interruption.apply(TaskReport { outcome, log, took: None })
}

/// The request as exactly one line. JSON strings contain no raw line breaks, so only whitespace between tokens is
/// removed.
fn line(request: &TaskRequest) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Request {
        id: request.id,
        parent_id: request.parent_id,
        name: &request.name,
        task_name: &request.task_name,
        args: &request.args,
        kwargs: &request.kwargs,
        attempt: request.attempt,
        last_progress: request.last_progress.as_ref(),
    })?;
    line.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    line.push(b'\n');
    Ok(line)
}

async fn feed(mut input: ChildStdin, line: &[u8]) {
    // A program may end without reading its input.
    let _ = input.write_all(line).await;
}

/// The outcome of a program that has ended.
fn outcome(status: ExitStatus, value: &Head, log: &str, settings: &RunnerSettings) -> Outcome {
    let limit = settings.result_limit_bytes;
    // The output was truncated, so the exit code does not matter.
    if value.size > limit {
        failed(ErrorKind::ResultTooLarge, format!("the result has more than {limit} bytes, which is the limit"), None)
    } else if !status.success() {
        failed(ErrorKind::TaskFailed, with_last_lines(&describe_exit(status), log), Some(log))
    } else {
        read_value(&value.kept)
    }
}

fn read_value(output: &[u8]) -> Outcome {
    if output.trim_ascii().is_empty() {
        return Outcome::Success { data: Json::null() };
    }
    let text = std::str::from_utf8(output).map_err(|error| error.to_string());
    match text.and_then(|text| Json::parse(text).map_err(|error| error.to_string())) {
        Ok(data) => Outcome::Success { data },
        Err(error) => {
            let excerpt = String::from_utf8_lossy(&output[..output.len().min(MAXIMUM_EXCERPT)]);
            let msg = format!(
                "the output is not one JSON value ({error}); it begins {excerpt:?}. Write logs to standard error"
            );
            failed(ErrorKind::BadResult, msg, None)
        }
    }
}

fn failed(kind: ErrorKind, msg: String, traceback: Option<&str>) -> Outcome {
    let traceback = traceback.filter(|text| !text.is_empty()).map(Into::into);
    let error = TaskError { traceback, ..TaskError::new(kind) };
    Outcome::Failed { msg: msg.into(), error: Some(error.into()) }
}

fn with_last_lines(what: &str, log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    if last.is_empty() { what.to_owned() } else { format!("{what}: {last}") }
}
