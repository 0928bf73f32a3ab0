//! What a program does for whoever has started it.
//!
//! For a control script it leaves the terminal, holds its pid file, and tells the script when it is ready, or why
//! it is not. A service manager that wants to know is told in any case: see `notify`.
//!
//! The script reads the daemon's standard output: `ready`, or `waiting CAUSE` as often as that changes, or
//! `error TEXT`. Then the daemon lets go of it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hub_transport::supervisor::LinkHealth;
use tokio::sync::watch;

use crate::exit::{Exit, Failure};
use crate::notify;
use crate::signals::Signals;

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
            tracing::error!("{failure}");
            failure.report()
        }
    }
}

impl Ready {
    fn tell(&self, line: &str) {
        if self.daemon {
            let mut out = std::io::stdout();
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

    /// Waits until the program is up. Says meanwhile what it waits for, and gives up where waiting cannot help.
    pub(crate) async fn wait(
        &mut self,
        up: impl Future<Output = ()>,
        mut health: watch::Receiver<LinkHealth>,
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
                    let failure = Failure::new(Exit::Unreachable, cause.to_string());
                    let failure = match std::error::Error::source(&*cause) {
                        Some(source) => failure.because(source.to_string()),
                        None => failure,
                    };
                    if !cause.is_retryable() {
                        return Err(failure);
                    }
                    notify::status(&format!("waiting for the broker: {failure}"));
                    self.tell(&format!("waiting {}", failure.to_string().replace('\n', "\u{1f}")));
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
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Usage, format!("cannot write the pid file {}", path.display())).because(error)
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        if file.try_lock().is_err() {
            let message = format!("another one is running: it holds the pid file {}", path.display());
            return Err(Failure::new(Exit::Refused, message));
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

/// Looks whether a daemon lives.
pub(crate) fn look(path: &Path) -> std::io::Result<Life> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Life::Stopped),
        Err(error) => return Err(error),
    };
    if file.try_lock_shared().is_ok() {
        return Ok(Life::Dead);
    }
    let text = std::fs::read_to_string(path)?;
    let pid = text.trim().parse().map_err(|_| std::io::Error::other("there is no process id in it"))?;
    Ok(Life::Running(pid))
}
