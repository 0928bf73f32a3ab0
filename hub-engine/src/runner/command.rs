//! Commands and shell texts as tasks: what the program writes to its standard output is the value, what it writes to its
//! standard error is the log, and its standard input is empty.

use std::io;
use std::path::Path;

use hub_core::Json;
use hub_core::state::ErrorKind;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::order::ProcessOrder;
use super::settings::RunnerSettings;
use super::{NoOutcome, Outcome, RunControl, TaskReport, environment, process, program};

/// Runs a command as a task.
pub(super) async fn run(order: &ProcessOrder, settings: &RunnerSettings, control: &RunControl) -> TaskReport {
    let cwd = order.cwd.as_ref().map_or_else(|| settings.tasks_dir.clone(), |cwd| settings.tasks_dir.join(cwd));
    let mut command = environment::command(&order.words[0]);
    command.args(&order.words[1..]).envs(&order.env).current_dir(&cwd);
    let limit = settings.result_limit_bytes;
    let read = |output: &[u8]| if order.is_json { process::read_json(output) } else { read_text(output, limit) };
    let ran = process::run(&mut command, b"", settings, control, read).await;
    ran.unwrap_or_else(|error| not_started(&error, order, &cwd))
}

/// The outcome of a program whose output is a text, without the line breaks at its end.
fn read_text(output: &[u8], limit: usize) -> Outcome {
    let text = match std::str::from_utf8(output) {
        Ok(text) => text.trim_end_matches(['\n', '\r']),
        Err(error) => {
            let at = error.valid_up_to();
            let msg = format!(
                "the output is not UTF-8 text: byte {at} (counted from 0) is not part of a character. Convert it, as with iconv, \
                 or write it to a file and return the name of the file"
            );
            return Outcome::failed(ErrorKind::BadResult, msg);
        }
    };
    let data = Json::string(text);
    if data.get().len() > limit {
        let msg = format!("the result has {} bytes as JSON, the limit is {limit}", data.get().len());
        return Outcome::failed(ErrorKind::ResultTooLarge, msg);
    }
    Outcome::Success { data }
}

fn not_started(error: &io::Error, order: &ProcessOrder, cwd: &Path) -> TaskReport {
    if let Some(what) = environment::shortage(error) {
        return TaskReport::without(NoOutcome::Shortage { what });
    }
    let failed = |kind, msg: String| TaskReport::silent(Outcome::failed(kind, msg));
    if error.raw_os_error() == Some(Errno::E2BIG as i32) {
        let msg = "the arguments and variables of the command are larger than the system allows (128 KiB each, about 2 MiB \
            together): write large values to a file, and pass its name";
        return failed(ErrorKind::ArgumentsTooLarge, msg.to_owned());
    }
    failed(ErrorKind::TaskFailed, fault_of_directory(cwd).unwrap_or_else(|| fault_of_program(error, order, cwd)))
}

/// Why a program cannot run in this directory.
fn fault_of_directory(cwd: &Path) -> Option<String> {
    let why = match std::fs::metadata(cwd) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => "does not exist on this worker",
        Ok(metadata) if !metadata.is_dir() => "is not a directory",
        _ if access(cwd, AccessFlags::X_OK).is_err() => "cannot be entered by this worker's user",
        _ => return None,
    };
    Some(format!("the directory {} (cwd) {why}: create it, or name another one", cwd.display()))
}

/// Why a program cannot be started.
fn fault_of_program(error: &io::Error, order: &ProcessOrder, cwd: &Path) -> String {
    let name = &order.words[0];
    if name.contains('/') {
        let path = cwd.join(name);
        return if std::fs::symlink_metadata(&path).is_err() {
            format!("there is no program {} on this worker: install it there, or name another one", path.display())
        } else {
            format!("{name}: {}", program::explain(error, &path, cwd))
        };
    }
    let path = order.env.get("PATH").cloned().or_else(|| std::env::var("PATH").ok()).unwrap_or_default();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no program {name:?} in the PATH of this worker ({path}): install it there, or write its path"
        ),
        _ => format!("the program {name:?} cannot be started: {error}"),
    }
}
