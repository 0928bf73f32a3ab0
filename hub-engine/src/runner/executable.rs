//! Task modules in any language: a program that reads a request from its standard input and writes a value to its
//! standard output.

use std::io;
use std::path::Path;

use hub_core::Json;
use serde::Serialize;

use super::settings::RunnerSettings;
use super::{NoOutcome, RunControl, TaskReport, TaskRequest, environment, process, program};

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
    command.current_dir(&settings.tasks_dir);
    let ran = process::run(&mut command, &line(request), settings, control, process::read_json).await;
    ran.unwrap_or_else(|error| not_started(&error, path, settings))
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

/// The request as exactly one line. JSON strings contain no raw line breaks, so only whitespace between tokens is
/// removed.
fn line(request: &TaskRequest) -> Vec<u8> {
    let written = serde_json::to_vec(&Request {
        id: request.id,
        parent_id: request.parent_id,
        name: &request.name,
        task_name: &request.task_name,
        args: &request.args,
        kwargs: &request.kwargs,
        attempt: request.attempt,
        last_progress: request.last_progress.as_ref(),
    });
    // Texts, numbers and checked JSON can be written.
    let mut line = written.unwrap_or_default();
    line.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    line.push(b'\n');
    line
}
