//! Processes of tasks: their environment, their process groups, and their end.

use std::io;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Prefix of Hub's own variables, which include credentials. Tasks do not receive them.
const PRIVATE_PREFIX: &str = "HUB_";
/// Variables of the service manager for this process alone: notification sockets and credentials.
const SERVICE_MANAGER_VARIABLES: [&str; 4] =
    ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY"];
/// The variable that marks all processes of this program's tasks with a unique value. The guard finds them by it.
const MARK: &str = "HUB_TASK_OF";
/// Maximum time for the members of a killed process group to end.
const KILL_TIMEOUT: Duration = Duration::from_millis(200);
/// Interval at which a process group whose leader has ended is checked for members.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Delay before a program whose file is open for writing is started again: the first delay, and the bound of all
/// delays.
const BUSY_DELAY: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(2));

/// A command in a separate process group, with pipes, and without Hub's secrets.
pub(super) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(PRIVATE_PREFIX)
            || SERVICE_MANAGER_VARIABLES.iter().any(|managers| name == *managers)
        {
            command.env_remove(name);
        }
    }
    command.env(MARK, mark());
    command
}

/// Starts a command. If its file is open for writing, a program is being installed, and this waits for some seconds.
pub(super) async fn start(command: &mut Command) -> io::Result<Child> {
    let (mut delay, too_long) = BUSY_DELAY;
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

/// The shortage on this machine because of which a process could not be started, with what to do. `None` if the error
/// has another cause.
pub(super) fn shortage(error: &io::Error) -> Option<String> {
    let what = match Errno::from_raw(error.raw_os_error()?) {
        Errno::EMFILE => "the worker has no file descriptors left (raise LimitNOFILE or ulimit -n, or lower slots)",
        Errno::ENFILE => "this machine has no file descriptors left (raise fs.file-max)",
        Errno::EAGAIN => "no further process may be started (raise TasksMax, ulimit -u or the container's pids limit)",
        Errno::ENOMEM => "there is not enough memory for a further process",
        Errno::ENOSPC | Errno::EDQUOT => {
            "there is no space for the files for Python (free space in the temporary directory)"
        }
        _ => return None,
    };
    Some(what.to_owned())
}

/// The process group of a child. Its remaining members are killed when this is dropped.
#[derive(Debug)]
pub(super) struct Group(Option<Pid>);

impl Group {
    /// The group of a child that has not been waited for. Afterwards, its process id is invalid.
    pub(super) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    /// Kills the remaining members.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: impl Into<Option<Signal>>) -> bool {
        self.0.is_some_and(|group| killpg(group, signal).is_ok())
    }

    /// Asks all members to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Waits until the group has no members.
    pub(super) async fn end(&self) {
        while self.signal(None) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for Group {
    /// The id of a group stays in use while it has members. The id of a group whose last member has just been waited
    /// for is not reused before all other ids, so the signal cannot reach another group.
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ends a child and its process group with SIGTERM, and kills what is left of them when `kill_due` is ready.
pub(super) async fn stop(child: &mut Child, group: Group, kill_due: impl Future<Output = ()>) {
    group.terminate();
    let end = async {
        let _ = child.wait().await;
        // The child has ended, but processes that it started may still be cleaning up.
        group.end().await;
    };
    tokio::select! {
        () = end => {}
        () = kill_due => {}
    }
    kill(child, group).await;
}

/// Kills a child and its process group, and waits for their end.
pub(super) async fn kill(child: &mut Child, group: Group) {
    group.kill();
    let _ = child.wait().await;
    // A killed process that waits for a disk ends later.
    let _ = tokio::time::timeout(KILL_TIMEOUT, group.end()).await;
}
