//! Processes that run tasks: their environment, their groups, and their end.

use std::io;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Variables that begin so are Hub's own, credentials among them: tasks do not see them.
const PRIVATE: &str = "HUB_";
/// What the service manager has told this process alone: how to speak for it, and where its secrets are.
const MANAGERS: [&str; 4] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY"];
/// The variable that all processes of this program's tasks have, with a value that no other program's have: the guard
/// knows them by it.
const MARK: &str = "HUB_TASK_OF";
/// How long a task that is told to stop may take before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// Interval at which a group whose leader has ended is asked whether anything is left of it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Delay before a program whose file is open for writing is tried again: at first, and the first that is too long.
const BUSY: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(2));

/// A command in a process group of its own, with pipes, and without Hub's secrets.
pub(super) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(PRIVATE) || MANAGERS.iter().any(|managers| name == *managers) {
            command.env_remove(name);
        }
    }
    command.env(MARK, mark());
    command
}

/// Starts a command. A program whose file is open for writing is being installed: that is waited for, a few seconds.
pub(super) async fn start(command: &mut Command) -> io::Result<Child> {
    let (mut delay, too_long) = BUSY;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && delay < too_long => {
                tokio::time::sleep(delay).await;
                delay *= 2;
            }
            other => return other,
        }
    }
}

/// The value of [`MARK`] for processes of this program.
pub(super) fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| uuid::Uuid::new_v4().simple().to_string())
}

/// What a process could not be started for, where that is this machine's condition and not the task's fault. Ends with
/// what to do.
pub(super) fn shortage(error: &io::Error) -> Option<String> {
    let what = match Errno::from_raw(error.raw_os_error()?) {
        Errno::EMFILE => "the worker has no file descriptors left (raise LimitNOFILE or ulimit -n, or lower slots)",
        Errno::ENFILE => "this machine has no file descriptors left (raise fs.file-max)",
        Errno::EAGAIN => "no further process may be started (raise TasksMax, ulimit -u or the container's pids limit)",
        Errno::ENOMEM => "there is not enough memory for a further process",
        Errno::ENOSPC | Errno::EDQUOT => {
            "there is no room for the files for Python (free some in the temporary directory)"
        }
        _ => return None,
    };
    Some(what.to_owned())
}

/// A child's process group. What is left of it is killed when this goes.
#[derive(Debug)]
pub(super) struct Group(Option<Pid>);

impl Group {
    /// The group of a child that was not waited for yet: one that was has no number any more.
    pub(super) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    /// Kills what is left of it.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: impl Into<Option<Signal>>) -> bool {
        self.0.is_some_and(|group| killpg(group, signal).is_ok())
    }

    /// Waits until nothing is left of it, as long as that may take.
    async fn end(&self, deadline: Instant) {
        while self.signal(None) && Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Group {
    /// A group's number stays taken while a member lives. Of a group without members, which was waited for just now, it is not
    /// given out again before all other numbers were.
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ends a child and everything it started: first by request, then by force.
pub(super) async fn stop(child: &mut Child) {
    let group = Group::of(child);
    let deadline = Instant::now() + STOP_GRACE;
    group.signal(Signal::SIGTERM);
    if tokio::time::timeout_at(deadline, child.wait()).await.is_ok() {
        // The child is gone, but processes that it started may still be putting things in order.
        group.end(deadline).await;
    }
    drop(group);
    let _ = child.wait().await;
}

/// Ends a child and everything it started, at once.
pub(super) async fn kill(child: &mut Child) {
    drop(Group::of(child));
    let _ = child.wait().await;
}
