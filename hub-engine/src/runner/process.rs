//! A process that runs one task: it gets its input, its output is read within limits, and at its end the processes that
//! are still running in its process group are killed. A program that the worker ends early receives SIGTERM, with its
//! group, and what is left of them is killed after a while.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use hub_core::Json;
use hub_core::state::{ErrorKind, RetryAdvice, TaskError};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::Instant;

use super::environment::{self, Group};
use super::progress_lines::Errors;
use super::protocol::describe_exit;
use super::settings::RunnerSettings;
use super::streams::Head;
use super::{Interruption, NoOutcome, Outcome, RunControl, TaskReport};

/// Maximum number of bytes of invalid output in a message.
const MAXIMUM_EXCERPT: usize = 200;
/// Maximum number of lines of standard error in the message of a failure.
const LAST_LINES: usize = 5;
/// Maximum time to read the pipes of a program that has ended. They contain all its output; only a process that has
/// left its group can keep them open longer.
const PIPE_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs a command as a task. `read` makes the outcome of the output of a program that succeeded.
///
/// # Errors
/// If the program cannot be started.
pub(super) async fn run(
    command: &mut Command,
    input: &[u8],
    settings: &RunnerSettings,
    control: &RunControl,
    read: impl FnOnce(&[u8]) -> Outcome,
) -> io::Result<TaskReport> {
    let child = tokio::select! {
        started = environment::start(command) => started?,
        () = control.stopped() => return Ok(TaskReport::without(NoOutcome::Cancelled)),
    };
    Ok(converse(child, input, settings, control, read).await.unwrap_or_else(|error| {
        let msg = format!("failed to communicate with the program: {error}");
        TaskReport::silent(Outcome::failed(ErrorKind::TaskFailed, msg))
    }))
}

/// Sends the program its input and reads its output until its end.
async fn converse(
    mut child: Child,
    input: &[u8],
    settings: &RunnerSettings,
    control: &RunControl,
    read: impl FnOnce(&[u8]) -> Outcome,
) -> io::Result<TaskReport> {
    let (group, since) = (Group::of(&child), Instant::now());
    let missing = || io::Error::other("the process has no pipes");
    let stdin = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let errors = child.stderr.take().ok_or_else(missing)?;
    let (mut value, mut log) = (Head::new(settings.result_limit_bytes), Errors::new(settings.log_limit_bytes, control));
    let interruption = {
        let streams = async { tokio::join!(feed(stdin, input), value.read(output), log.read(errors)) };
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
    let (status, log, advice) = (child.wait().await?, log.text(), log.advice());
    let outcome = outcome(status, &value, (&log, advice), settings, read);
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
    interruption.apply(TaskReport { outcome, log, took: None, content: None })
}

async fn feed(mut stdin: ChildStdin, input: &[u8]) {
    // A program may end without reading its input.
    let _ = stdin.write_all(input).await;
}

/// The outcome of a program that has ended.
fn outcome(
    status: ExitStatus,
    value: &Head,
    (log, retry): (&str, Option<RetryAdvice>),
    settings: &RunnerSettings,
    read: impl FnOnce(&[u8]) -> Outcome,
) -> Outcome {
    let limit = settings.result_limit_bytes;
    // The output was truncated, so the exit code does not matter.
    if value.size > limit {
        Outcome::failed(
            ErrorKind::ResultTooLarge,
            format!("the result has more than {limit} bytes, which is the limit"),
        )
    } else if status.success() {
        read(&value.kept)
    } else {
        let how = describe_exit(status);
        let msg = with_last_lines(&how, log).into();
        // Retry policies can name the way in which a program ended.
        let (type_name, traceback) = (Some(how.into()), Some(log).filter(|log| !log.is_empty()).map(Into::into));
        let error = TaskError { type_name, traceback, retry, ..TaskError::new(ErrorKind::TaskFailed) };
        Outcome::Failed { msg, error: Some(error.into()) }
    }
}

/// The outcome of a program whose output is one JSON value, or nothing.
pub(super) fn read_json(output: &[u8]) -> Outcome {
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
            Outcome::failed(ErrorKind::BadResult, msg)
        }
    }
}

fn with_last_lines(what: &str, log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    if last.is_empty() { what.to_owned() } else { format!("{what}: {last}") }
}
