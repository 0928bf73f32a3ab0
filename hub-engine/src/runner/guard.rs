//! Ends what tasks have started when this program is killed, and can do nothing itself any more.
//!
//! A small process (`guard.sh`) waits for the end of a pipe that only this program holds open. Every process that runs a
//! task has a mark in its environment, by which the guard finds it: so a task costs nothing more, and none is missed,
//! since a process that is being started holds the pipe open until it has its environment. Where this program leads its
//! session (a service, a daemon), the guard finds all members of the session, also those that have cleared their environment.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::environment;

const SCRIPT: &str = include_str!("guard.sh");

/// The process that waits. It ends when this goes.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Starts to wait. At this program's end it also removes `directory`.
    ///
    /// Without a shell there is no guard: tasks then end with the worker as far as they notice its end themselves.
    pub(super) fn start(directory: &Path) -> Option<Self> {
        let started = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "hub-guard", environment::mark()])
            .arg(std::process::id().to_string())
            .arg(nix::unistd::getpgrp().to_string())
            .arg(directory)
            // This program's own may hold its secrets, and tasks can read that of every process of their user.
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
                tracing::warn!(%error, "no guard: if this process is killed, programs that it runs as tasks go on");
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

    /// Leads a session, and starts what its tasks may start, without a mark: in its own group, in another group and in
    /// another session.
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
    fn where_the_worker_led_its_session_all_members_end_with_it() {
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
        assert!(is_running(numbers[2]), "what has a session of its own goes on");
        assert!(Command::new("kill").args(["-KILL", numbers[2]]).status().unwrap().success());
    }
}
