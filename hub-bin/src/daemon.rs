//! What a program does for whoever has started it.
//!
//! For a control script it leaves the terminal, holds its pid file, and tells the script when it is ready, or why
//! it is not. A service manager that wants to know is told in any case: see `notify`.
//!
//! The script reads the daemon's standard output: `ready`, or `waiting CAUSE` as often as that changes, or
//! `error TEXT`. Then the daemon lets go of it.

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

/// Maximum number of bytes that are read of a pid file.
const LONGEST_PID: u64 = 64;

/// The hidden flag.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DaemonArgs {
    /// Started by a control script
    #[arg(long, hide = true)]
    daemon: bool,
}

/// The way to the control script, if there is one.
pub(crate) struct Ready {
    daemon: bool,
}

/// The pid file of a daemon. The lock on it, not the number in it, says that the daemon lives.
pub(crate) struct PidFile {
    path: PathBuf,
    _locked: File,
}

/// Runs a program's main function with everything around it.
pub(crate) fn run<F>(args: DaemonArgs, main: F) -> ExitCode
where
    F: AsyncFnOnce(&mut Ready) -> Result<(), Failure>,
{
    let mut ready = Ready { daemon: args.daemon };
    if args.daemon {
        // A session of its own: no terminal, and no signal from one. It fails where there is one already.
        let _ = nix::unistd::setsid();
    }
    // One thread: its tasks hand work to each other all the time, and waking another thread for each costs more than the
    // work. What takes long (the store, large jobs, Python) is on threads and in processes of its own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(Exit::Refused, "cannot start").because(error).report(),
    };
    let outcome = runtime.block_on(main(&mut ready));
    // Whatever still runs was told to end and did not: the process does not wait for it.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ready.tell(&format!("error {}", failure.to_string().replace('\n', "\u{1f}")));
            notify::status(&failure.to_string());
            // Standard error has it from the report.
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

    /// Takes the pid file, as a daemon; otherwise leaves it alone.
    pub(crate) fn take_pid_file(&self, path: Option<&Path>) -> Result<Option<PidFile>, Failure> {
        match path {
            Some(path) if self.daemon => PidFile::take(path).map(Some),
            _ => Ok(None),
        }
    }

    /// Waits until the program is up. Says meanwhile what it waits for, and gives up where waiting cannot help. `explain`
    /// says it for people.
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
        self.let_go();
        Ok(())
    }

    /// Serves until a signal says that it is enough. `alive` asks the program's loop for a sign of life.
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

    /// Nobody reads standard output any more.
    fn let_go(&mut self) {
        if std::mem::take(&mut self.daemon)
            && let Ok(nothing) = File::options().write(true).open("/dev/null")
        {
            let _ = nix::unistd::dup2_stdout(nothing);
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
            let message = format!("another one is running: it holds the pid file {}", path.display());
            return Err(Failure::new(Exit::Refused, message));
        }
        // Whoever cleared the old file away between the opening and the lock has left this one without a name.
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

/// What a pid file tells of its daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It runs, under this number.
    Running(i32),
    /// It ended without taking its pid file away.
    Dead,
    /// There is no pid file.
    Stopped,
}

/// Looks whether a daemon lives. The number is believed only while somebody holds the lock, and is read from the file that is
/// locked, not from whatever has the path by then.
pub(crate) fn look(path: &Path) -> io::Result<Life> {
    let mut file = match open_options().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Life::Stopped),
        Err(error) => return Err(explained(error)),
    };
    check_file(&file)?;
    match file.try_lock_shared() {
        Ok(()) => return Ok(Life::Dead),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut text = String::new();
    Read::by_ref(&mut file).take(LONGEST_PID).read_to_string(&mut text)?;
    // 0 and less would mean whole groups of processes, and 1 is init: none of them is a daemon of Hub's.
    let pid = text.trim().parse().ok().filter(|pid| *pid > 1);
    let no_pid = || io::Error::other(format!("there is no process id in it, but {:?}", text.trim()));
    Ok(Life::Running(pid.ok_or_else(no_pid)?))
}

/// Removes the pid file of a daemon that has died, unless another one has taken it meanwhile.
pub(crate) fn clear_away(path: &Path) -> io::Result<()> {
    let file = open_options().open(path).map_err(explained)?;
    check_file(&file)?;
    match file.try_lock() {
        Ok(()) => std::fs::remove_file(path),
        Err(_) => Err(io::Error::other("another process has locked it")),
    }
}

/// Opens no link: whoever may write into the directory could have it lead to any file.
fn open_options() -> OpenOptions {
    let mut options = File::options();
    options.read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits()).mode(0o644);
    options
}

/// Refuses what is no file of its own: a device, a pipe, or a file that has another name too.
fn check_file(file: &File) -> io::Result<()> {
    let found = file.metadata()?;
    if found.is_file() && found.nlink() <= 1 {
        return Ok(());
    }
    Err(io::Error::other("it is no plain file, or one with several names"))
}

/// Whether this is the file that the path leads to.
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
    fn a_number_is_believed_only_with_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pid");
        assert_eq!(look(&path).unwrap(), Life::Stopped);
        std::fs::write(&path, "4242\n").unwrap();
        assert_eq!(look(&path).unwrap(), Life::Dead);
        let held = PidFile::take(&path).unwrap();
        assert_eq!(look(&path).unwrap(), Life::Running(std::process::id().cast_signed()));
        assert!(clear_away(&path).is_err() && path.exists(), "it is somebody's");
        assert!(PidFile::take(&path).is_err());
        drop(held);
        assert_eq!(look(&path).unwrap(), Life::Stopped);
    }

    #[test]
    fn numbers_that_are_no_daemons_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pid");
        let held = PidFile::take(&path).unwrap();
        for text in ["-1", "0", "1", "-4242", "", "x", "99999999999", "4242 1"] {
            std::fs::write(&path, text).unwrap();
            assert!(look(&path).is_err(), "{text:?}");
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
            assert!(refused.contains("link") || refused.contains("several names"), "{refused}");
            assert!(look(&path).is_err() && clear_away(&path).is_err());
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
            std::fs::remove_file(&path).unwrap();
        }
        symlink(directory.path().join("new"), &path).unwrap();
        assert!(PidFile::take(&path).is_err() && !directory.path().join("new").exists());
    }
}
