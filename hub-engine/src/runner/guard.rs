//! Ends the processes of tasks if this program is killed.
//!
//! A small process (`guard.sh`) waits for the end of a pipe that only this program keeps open. Every process that runs
//! a task has a mark in its environment, by which the guard finds it. This adds no cost per task, and no process is
//! missed, because a process that is being started keeps the pipe open until it has its environment. If this program
//! leads its session (a service, a daemon), the guard finds all members of the session, also those that have cleared
//! their environment.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::environment;

const SCRIPT: &str = include_str!("guard.sh");

/// The guard process. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Starts the guard. When this program is killed, the guard also removes `directory`.
    ///
    /// Without a shell there is no guard. Then only processes that notice the end of the worker themselves end with it.
    pub(super) fn start(directory: &Path) -> Option<Self> {
        let started = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "hub-guard", environment::mark()])
            .arg(std::process::id().to_string())
            .arg(nix::unistd::getpgrp().to_string())
            .arg(directory)
            // The environment of this program may contain secrets, and tasks can read the environment of every process
            // of their user.
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        started
            .inspect_err(|error| {
                tracing::warn!(%error, "failed to start the guard: if this process is killed, its running executables continue");
            })
            .ok()
            .map(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Leads a session and starts three processes without a mark, as tasks may do: in its own group, in another group
    /// and in another session.
    const WORKER: &str = r#"
import os, signal, subprocess, sys

os.setsid()
own = str(os.getpid())
guard = ["sh", "-c", sys.argv[1], "hub-guard", "no-such-mark", own, own, os.path.abspath("directory")]
subprocess.Popen(guard, stdin=subprocess.PIPE, preexec_fn=os.setpgrp)
started = [
    subprocess.Popen(["sleep", "1000"], env={"PATH": os.environ["PATH"]}, preexec_fn=leave)
    for leave in (None, os.setpgrp, os.setsid)
]
with open("numbers", "w") as file:
    file.write(" ".join(str(process.pid) for process in started))
os.kill(os.getpid(), signal.SIGKILL)
"#;

    fn is_running(process: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }

    #[test]
    fn all_members_of_the_workers_session_end_with_it() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("directory")).unwrap();
        let mut worker = Command::new("python3");
        assert!(!worker.args(["-c", WORKER, SCRIPT]).current_dir(place.path()).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(60);
        let numbers = std::fs::read_to_string(place.path().join("numbers")).unwrap();
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        while is_running(numbers[0]) || is_running(numbers[1]) || place.path().join("directory").exists() {
            assert!(Instant::now() < deadline, "{numbers:?}");
            std::thread::yield_now();
        }
        assert!(is_running(numbers[2]), "a process in another session continues");
        assert!(Command::new("kill").args(["-KILL", numbers[2]]).status().unwrap().success());
    }
}
