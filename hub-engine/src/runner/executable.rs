//! Tasks in any language: a program that reads a request on its input and writes a value to its output.

use std::path::Path;

use hub_core::Json;
use hub_core::state::{ErrorKind, TaskError};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::modules::RunnerSettings;
use super::protocol::describe_exit;
use super::{Outcome, TaskReport, TaskRequest, environment};

/// How much of what is not JSON is shown.
const EXCERPT: usize = 200;
/// How many lines of the error output make the message of a failure.
const LAST_LINES: usize = 5;

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
) -> std::io::Result<TaskReport> {
    let mut child = environment::command(path).current_dir(&settings.tasks_dir).spawn()?;
    let missing = || std::io::Error::other("the process has no pipes");
    let mut input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let errors = child.stderr.take().ok_or_else(missing)?;
    let mut body = serde_json::to_vec(&Request {
        id: request.id,
        parent_id: request.parent_id,
        name: &request.name,
        task_name: &request.task_name,
        args: &request.args,
        kwargs: &request.kwargs,
        attempt: request.attempt,
    })?;
    // One line, as documented: arguments may be written over several. Texts have no line breaks of their own in JSON.
    body.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    let feed = async move {
        // A program that does not care for its input may end before it has read it.
        let _ = input.write_all(&body).await;
        let _ = input.write_all(b"\n").await;
    };
    let conversation =
        async { tokio::join!(feed, head(output, settings.result_limit_bytes), tail(errors, settings.log_limit_bytes)) };
    let ((), (value, size), log) = tokio::select! {
        said = conversation => said,
        () = stop.cancelled() => {
            environment::stop(&mut child).await;
            return Ok(TaskReport::silent(Outcome::Cancelled));
        }
    };
    let status = tokio::select! {
        status = child.wait() => status?,
        () = stop.cancelled() => {
            environment::stop(&mut child).await;
            return Ok(TaskReport::silent(Outcome::Cancelled));
        }
    };
    let outcome = if !status.success() {
        failed(ErrorKind::TaskFailed, with_last_lines(&describe_exit(status), &log), Some(&log))
    } else if size > settings.result_limit_bytes {
        let msg = format!("the result has {size} bytes, the limit is {}", settings.result_limit_bytes);
        failed(ErrorKind::ResultTooLarge, msg, None)
    } else {
        read_value(&value)
    };
    Ok(TaskReport { log: (!log.is_empty()).then_some(log), ..TaskReport::silent(outcome) })
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
    Outcome::Failed { msg, error: TaskError { kind, type_name: None, traceback } }
}

fn with_last_lines(what: &str, log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    if last.is_empty() { what.to_owned() } else { format!("{what}: {last}") }
}

/// The first `limit` bytes, and how many there were.
async fn head(mut from: impl AsyncRead + Unpin, limit: usize) -> (Vec<u8>, usize) {
    let (mut kept, mut size) = (Vec::new(), 0);
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        size += read;
        let room = limit.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&buffer[..room]);
    }
    (kept, size)
}

/// The last `limit` bytes, as text.
async fn tail(mut from: impl AsyncRead + Unpin, limit: usize) -> String {
    let mut kept = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > 2 * limit {
            kept.drain(..kept.len() - limit);
        }
    }
    let kept = &kept[kept.len().saturating_sub(limit)..];
    String::from_utf8_lossy(kept).into_owned()
}
