//! The environment of a daemon: its session, its pid file, and reports to the process that has started it.
//!
//! If a control program (`ctrl-hub-*`) has started it, the daemon leaves the terminal, holds its pid file, and reports when it is
//! ready, or why it is not. Reports to a service manager are in `notify`.
//!
//! The control program reads lines from the daemon's standard output: `waiting CAUSE` whenever the cause changes, then `ready`
//! or `error TEXT`. After `ready`, the daemon redirects its standard output to `/dev/null`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hub_transport::supervisor::LinkHealth;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use tokio::sync::watch;

use crate::exit::{Exit, Failure};
use crate::logging;
use crate::notify;
use crate::signals::Signals;

/// Maximum number of bytes that are read from a pid file.
const MAX_PID_BYTES: u64 = 64;

/// The hidden flag of control programs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DaemonArgs {
    /// Started by a control program
    #[arg(long, hide = true)]
    daemon: bool,
}

/// The connection to the control program, if there is one.
pub(crate) struct Ready {
    daemon: bool,
}

/// The pid file of a daemon. The daemon is alive if the file is locked, regardless of the number in it.
pub(crate) struct PidFile {
    path: PathBuf,
    _locked: File,
}

/// Runs the main function of a program in a new runtime and reports its failure.
pub(crate) fn run<F>(args: DaemonArgs, main: F) -> ExitCode
where
    F: AsyncFnOnce(&mut Ready) -> Result<(), Failure>,
{
    let mut ready = Ready { daemon: args.daemon };
    if args.daemon {
        // A new session has no controlling terminal. The call fails if the process already leads a session.
        let _ = nix::unistd::setsid();
    }
    // One thread, because the tasks of the runtime often pass work to each other, and waking another thread would cost more than
    // the work. Long operations (the store, large jobs, Python) have separate threads or processes.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(Exit::Refused, "cannot start").because(error).report(),
    };
    let outcome = runtime.block_on(main(&mut ready));
    // The process does not wait for tasks that did not end when they were told to.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ready.tell(&format!("error {}", failure.to_string().replace('\n', "\u{1f}")));
            notify::status(&failure.to_string());
            // The report below is written to standard error.
            if logging::has_file() {
                tracing::error!("{}", failure.in_one_line());
            }
            failure.report()
        }
    }
}

impl Ready {
    fn tell(&self, line: &str) {
        if self.daemon {
            let mut out = io::stdout();
            let _ = writeln!(out, "{line}");
            let _ = out.flush();
        }
    }

    /// Takes the pid file if the program runs as a daemon.
    pub(crate) fn take_pid_file(&self, path: Option<&Path>) -> Result<Option<PidFile>, Failure> {
        match path {
            Some(path) if self.daemon => PidFile::take(path).map(Some),
            _ => Ok(None),
        }
    }

    /// Waits until the program is up and reports what it waits for, with messages from `explain`. Fails on an error that a retry
    /// cannot solve.
    pub(crate) async fn wait(
        &mut self,
        up: impl Future<Output = ()>,
        mut health: watch::Receiver<LinkHealth>,
        explain: impl Fn(&hub_transport::Error) -> String,
        signals: &mut Signals,
    ) -> Result<(), Failure> {
        tokio::pin!(up);
        loop {
            tokio::select! {
                () = &mut up => break,
                () = signals.next() => {
                    notify::stopping();
                    return Err(Failure::new(Exit::Interrupted, "stopped before it was connected"));
                }
                Ok(()) = health.changed() => {
                    let LinkHealth::Down(Some(cause)) = health.borrow_and_update().clone() else { continue };
                    let why = explain(&cause);
                    if !cause.is_retryable() {
                        return Err(Failure::new(Exit::Unreachable, why));
                    }
                    notify::status(&format!("waiting for the broker: {why}"));
                    self.tell(&format!("waiting {}", why.replace('\n', "\u{1f}")));
                }
            }
        }
        notify::ready();
        self.tell("ready");
        self.detach_stdout();
        Ok(())
    }

    /// Waits for a signal to stop. `alive` checks that the program's main loop responds.
    pub(crate) async fn serve(
        &self,
        health: watch::Receiver<LinkHealth>,
        alive: impl AsyncFn() -> bool,
        signals: &mut Signals,
    ) {
        tokio::select! {
            () = signals.next() => {}
            () = notify::serving(health, alive) => {}
        }
        notify::stopping();
    }

    /// Redirects standard output to `/dev/null`, since the control program no longer reads it.
    fn detach_stdout(&mut self) {
        if std::mem::take(&mut self.daemon)
            && let Ok(null) = File::options().write(true).open("/dev/null")
        {
            let _ = nix::unistd::dup2_stdout(null);
        }
    }
}

impl PidFile {
    fn take(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let message = format!("cannot write the pid file {}", path.display());
            Failure::new(Exit::Usage, message).because(explained(error))
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut file = open_options().write(true).create(true).truncate(false).open(path).map_err(failed)?;
        check_file(&file).map_err(failed)?;
        if file.try_lock().is_err() {
            let message = format!("already running: another process has locked the pid file {}", path.display());
            return Err(Failure::new(Exit::Refused, message));
        }
        // Another process may have removed the file between the opening and the lock.
        if !is_at(&file, path) {
            return Self::take(path);
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), _locked: file })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The state of a daemon according to its pid file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs and has this process id.
    Running(i32),
    /// It ended without removing its pid file.
    Dead,
    /// There is no pid file.
    Stopped,
}

/// The state of a daemon. The process id is trusted only if the file is locked, and is read from the locked file, which may no
/// longer be the file at the path.
pub(crate) fn state_of(path: &Path) -> io::Result<State> {
    let mut file = match open_options().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Stopped),
        Err(error) => return Err(explained(error)),
    };
    check_file(&file)?;
    match file.try_lock_shared() {
        Ok(()) => return Ok(State::Dead),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut text = String::new();
    Read::by_ref(&mut file).take(MAX_PID_BYTES).read_to_string(&mut text)?;
    // To kill(), 0 and negative numbers denote process groups, and 1 is init.
    let pid = text.trim().parse().ok().filter(|pid| *pid > 1);
    let no_pid = || io::Error::other(format!("the file contains {:?}, which is not a process id", text.trim()));
    Ok(State::Running(pid.ok_or_else(no_pid)?))
}

/// Removes the pid file of a dead daemon, unless another daemon has locked it in the meantime.
pub(crate) fn remove_stale(path: &Path) -> io::Result<()> {
    let file = open_options().open(path).map_err(explained)?;
    check_file(&file)?;
    match file.try_lock() {
        Ok(()) => std::fs::remove_file(path),
        Err(_) => Err(io::Error::other("another process has locked the file")),
    }
}

/// Does not follow links, since users who may write to the directory could make a link to any file.
fn open_options() -> OpenOptions {
    let mut options = File::options();
    options.read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits()).mode(0o644);
    options
}

/// Refuses devices, pipes, and files with several hard links.
fn check_file(file: &File) -> io::Result<()> {
    let found = file.metadata()?;
    if found.is_file() && found.nlink() <= 1 {
        return Ok(());
    }
    Err(io::Error::other("it is not a regular file, or it has several hard links"))
}

/// Whether this is the file at the path.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: std::fs::Metadata| (found.dev(), found.ino());
    let (own, there) = (file.metadata().map(identity), std::fs::symlink_metadata(path).map(identity));
    own.is_ok() && own.ok() == there.ok()
}

fn explained(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(Errno::ELOOP as i32) {
        return io::Error::other("it is a symbolic link: links are not followed");
    }
    error
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_process_id_is_trusted_only_if_the_file_is_locked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pid");
        assert_eq!(state_of(&path).unwrap(), State::Stopped);
        std::fs::write(&path, "4242\n").unwrap();
        assert_eq!(state_of(&path).unwrap(), State::Dead);
        let held = PidFile::take(&path).unwrap();
        assert_eq!(state_of(&path).unwrap(), State::Running(std::process::id().cast_signed()));
        assert!(remove_stale(&path).is_err() && path.exists(), "a locked file is not removed");
        assert!(PidFile::take(&path).is_err());
        drop(held);
        assert_eq!(state_of(&path).unwrap(), State::Stopped);
    }

    #[test]
    fn numbers_that_are_not_process_ids_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pid");
        let held = PidFile::take(&path).unwrap();
        for text in ["-1", "0", "1", "-4242", "", "x", "99999999999", "4242 1"] {
            std::fs::write(&path, text).unwrap();
            assert!(state_of(&path).is_err(), "{text:?}");
        }
        drop(held);
    }

    #[test]
    fn links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (victim, path) = (directory.path().join("victim"), directory.path().join("x.pid"));
        std::fs::write(&victim, "precious").unwrap();
        let links: [fn(&Path, &Path) -> io::Result<()>; 2] =
            [|from, to| symlink(from, to), |from, to| std::fs::hard_link(from, to)];
        for link in links {
            link(&victim, &path).unwrap();
            let refused = PidFile::take(&path).map(drop).unwrap_err().to_string();
            assert!(refused.contains("link"), "{refused}");
            assert!(state_of(&path).is_err() && remove_stale(&path).is_err());
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
            std::fs::remove_file(&path).unwrap();
        }
        symlink(directory.path().join("new"), &path).unwrap();
        assert!(PidFile::take(&path).is_err() && !directory.path().join("new").exists());
    }
}
