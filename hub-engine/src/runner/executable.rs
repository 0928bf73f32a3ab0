//! Tasks in any language: a program that reads a request on its input and writes a value to its output.
//!
//! The program's end is the task's end. Whatever it has left running in its process group ends with it.

use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use hub_core::Json;
use hub_core::state::{ErrorKind, TaskError};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio_util::sync::CancellationToken;

use super::environment::{self, Group};
use super::protocol::describe_exit;
use super::settings::RunnerSettings;
use super::streams::{Head, Tail};
use super::{NoOutcome, Outcome, TaskReport, TaskRequest, program};

/// How much of what is not JSON is shown.
const EXCERPT: usize = 200;
/// How many lines of the error output make the message of a failure.
const LAST_LINES: usize = 5;
/// How long the pipes of a program that has ended are still read. All that it wrote is in them; only a process that has
/// left its group can hold them open longer.
const LEFT_OPEN: Duration = Duration::from_millis(500);

/// What the program reads.
#[derive(Serialize)]
struct Request<'a> {
    id: hub_core::TaskId,
    parent_id: hub_core::JobId,
    name: &'a str,
    task_name: &'a str,
    args: &'a Json,
    kwargs: &'a Json,
    attempt: u32,
}

/// Runs a program as a task.
pub(super) async fn run(
    path: &Path,
    request: &TaskRequest,
    settings: &RunnerSettings,
    stop: &CancellationToken,
) -> TaskReport {
    let mut command = environment::command(path);
    let started = tokio::select! {
        started = environment::start(command.current_dir(&settings.tasks_dir)) => started,
        () = stop.cancelled() => return TaskReport::without(NoOutcome::Cancelled),
    };
    let child = match started {
        Ok(child) => child,
        Err(error) => return not_started(&error, path, settings),
    };
    converse(child, request, settings, stop).await.unwrap_or_else(|error| {
        let msg = format!("the program could not be followed to its end: {error}");
        TaskReport::silent(failed(ErrorKind::TaskFailed, msg, None))
    })
}

fn not_started(error: &io::Error, path: &Path, settings: &RunnerSettings) -> TaskReport {
    if let Some(what) = environment::shortage(error) {
        return TaskReport::without(NoOutcome::Shortage { what });
    }
    let name = path.file_name().unwrap_or_default().display();
    match error.kind() {
        // It was there a moment ago.
        io::ErrorKind::NotFound if std::fs::symlink_metadata(path).is_err() => TaskReport::without(NoOutcome::Unknown),
        io::ErrorKind::ExecutableFileBusy => TaskReport::broken(format!(
            "{name}: a process keeps the file open for writing. Write to a file beside it and rename that, as install does"
        )),
        _ => TaskReport::broken(format!("{name}: {}", program::explain(error, path, &settings.tasks_dir))),
    }
}

/// Gives the program its request and takes what it says, to its end.
async fn converse(
    mut child: Child,
    request: &TaskRequest,
    settings: &RunnerSettings,
    stop: &CancellationToken,
) -> io::Result<TaskReport> {
    let group = Group::of(&child);
    let missing = || io::Error::other("the process has no pipes");
    let input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let errors = child.stderr.take().ok_or_else(missing)?;
    let (mut value, mut log) = (Head::new(settings.result_limit_bytes), Tail::new(settings.log_limit_bytes));
    let status = {
        let request = line(request)?;
        let talk = async { tokio::join!(feed(input, &request), value.read(output), log.read(errors)) };
        let mut talk = std::pin::pin!(talk);
        let mut talking = true;
        let status = loop {
            tokio::select! {
                status = child.wait() => break Some(status?),
                () = stop.cancelled() => break None,
                _ = &mut talk, if talking => talking = false,
            }
        };
        let end = async {
            match status {
                Some(_) => drop(group),
                // What it prints meanwhile is read.
                None => environment::stop(&mut child).await,
            }
        };
        let mut end = std::pin::pin!(end);
        tokio::select! {
            () = &mut end => {}
            _ = &mut talk, if talking => {
                talking = false;
                end.await;
            }
        }
        if talking {
            let _ = tokio::time::timeout(LEFT_OPEN, talk).await;
        }
        status
    };
    let log = log.text();
    let outcome = status.map(|status| outcome(status, &value, &log, settings)).ok_or(NoOutcome::Cancelled);
    Ok(TaskReport { outcome, log: (!log.is_empty()).then_some(log), took: None })
}

/// The request, as exactly one line. JSON strings hold no raw line breaks, so what goes is space between tokens.
fn line(request: &TaskRequest) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Request {
        id: request.id,
        parent_id: request.parent_id,
        name: &request.name,
        task_name: &request.task_name,
        args: &request.args,
        kwargs: &request.kwargs,
        attempt: request.attempt,
    })?;
    line.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    line.push(b'\n');
    Ok(line)
}

async fn feed(mut input: ChildStdin, line: &[u8]) {
    // A program that does not care for its input may end before it has read it.
    let _ = input.write_all(line).await;
}

/// How a program that was not stopped has ended.
fn outcome(status: ExitStatus, value: &Head, log: &str, settings: &RunnerSettings) -> Outcome {
    let limit = settings.result_limit_bytes;
    // Such a program was cut off, whatever its exit code.
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
            let excerpt = String::from_utf8_lossy(&output[..output.len().min(EXCERPT)]);
            let msg = format!(
                "the output is not one JSON value ({error}); it begins {excerpt:?}. Logs belong on the error output"
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
