//! Ends what tasks have started when this program is killed, and can do nothing itself any more.
//!
//! A small process (`guard.sh`) waits for the end of a pipe that only this program holds open. Every process that runs a
//! task has a mark in its environment, by which the guard finds it: so a task costs nothing more, and none is missed,
//! since a process that is being started holds the pipe open until it has its environment.

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
