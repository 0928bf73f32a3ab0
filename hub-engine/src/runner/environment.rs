//! Processes that run tasks: their environment, and their end.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Variables that begin so are Hub's own, credentials among them: tasks do not see them.
const PRIVATE: &str = "HUB_";
/// What the service manager has told this process alone: how to speak for it, and where its secrets are.
const MANAGERS: [&str; 4] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY"];
/// How long a task that is told to stop may take before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// A command in a process group of its own, with pipes, and without Hub's secrets.
pub(super) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(PRIVATE) || MANAGERS.iter().any(|managers| name == *managers) {
            command.env_remove(name);
        }
    }
    command
}

/// Ends a child and everything it started: first by request, then by force.
pub(super) async fn stop(child: &mut Child) {
    signal(child, Signal::SIGTERM);
    if tokio::time::timeout(STOP_GRACE, child.wait()).await.is_err() {
        kill(child).await;
    } else {
        // The child is gone, but the processes that it started may not be.
        signal(child, Signal::SIGKILL);
    }
}

/// Ends a child and everything it started, at once.
pub(super) async fn kill(child: &mut Child) {
    signal(child, Signal::SIGKILL);
    let _ = child.wait().await;
}

fn signal(child: &Child, signal: Signal) {
    // A child that was waited for has no id any more, and its group's number may be somebody else's.
    if let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = killpg(Pid::from_raw(group), signal);
    }
}
