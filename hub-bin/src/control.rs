//! `ctrl-hub-dispatcher` and `ctrl-hub-worker`: start, stop and restart daemons and show their status, with the exit codes that
//! init scripts expect.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::{CommandFactory, Parser, ValueEnum};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::config::Config;
use crate::daemon::{State, remove_stale, state_of};
use crate::exit::{Exit, Failure, answer, tell};

/// The programs that run as daemons.
const DAEMONS: [&str; 2] = ["hub-dispatcher", "hub-worker"];
/// Interval between two checks whether a daemon has stopped.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Delay before a daemon that has reported nothing is reported as waiting.
const REPORT_DELAY: Duration = Duration::from_secs(2);
/// Maximum time for a daemon that could not start to end, before it is killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  ctrl-hub-dispatcher -c etc/dispatcher.conf start
  ctrl-hub-worker -c etc/worker.conf --timeout 300 stop";

/// Start, stop or restart a Hub daemon, or show its status
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// Configuration file of the daemon
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Maximum time to wait until the daemon is ready (start) or has stopped (stop)
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Action to perform
    action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Start the daemon and wait until it is connected and listening
    Start,
    /// Stop the daemon and wait until it has drained
    Stop,
    /// Stop the daemon if it is running, then start it
    Restart,
    /// Show whether the daemon is running. Exit codes: 0 running, 1 died, 3 not running, 4 unknown
    Status,
}

/// The command line of both programs.
pub(crate) fn command() -> clap::Command {
    Args::command()
}

/// Controls the daemon `program`. Its executable is in the directory of this program, or else in `PATH`.
#[must_use]
pub fn main(program: &str) -> ExitCode {
    let args = Args::parse();
    let outcome = Control::new(program, &args).and_then(|control| match args.action {
        Action::Start => control.start(),
        Action::Stop => control.stop(),
        // The daemon is started even if the answer to the stop cannot be written.
        Action::Restart => match control.stop() {
            Err(failure) if failure.exit != Exit::Output => Err(failure),
            _ => control.start(),
        },
        Action::Status => control.status(),
    });
    outcome.unwrap_or_else(|failure| failure.report())
}

struct Control<'a> {
    program: &'a str,
    config: &'a Path,
    pid_file: PathBuf,
    timeout: Duration,
}

impl<'a> Control<'a> {
    fn new(program: &'a str, args: &'a Args) -> Result<Self, Failure> {
        let config = Config::read(&args.config)?;
        let pid_file = config.pid_file.ok_or_else(|| {
            let message = format!("{} does not set pid_file in [HUB], which a daemon needs", args.config.display());
            Failure::new(Exit::Usage, message)
        })?;
        Ok(Self { program, config: &args.config, pid_file, timeout: Duration::from_secs(args.timeout) })
    }

    fn state(&self) -> Result<State, Failure> {
        let state = state_of(&self.pid_file).map_err(|error| {
            Failure::new(Exit::Unreachable, format!("cannot read the pid file {}", self.pid_file.display()))
                .because(error)
        })?;
        match state {
            State::Running(pid) => self.check_program(pid).map(|()| state),
            State::Dead | State::Stopped => Ok(state),
        }
    }

    /// Refuses the configuration of the other daemon, so that `ctrl-hub-worker` does not stop a dispatcher.
    fn check_program(&self, pid: i32) -> Result<(), Failure> {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let Some(other) = DAEMONS.into_iter().find(|daemon| *daemon == name.trim() && *daemon != self.program) else {
            return Ok(());
        };
        let message = format!("{} is the configuration of a running {other} (pid {pid})", self.config.display());
        let advice = format!("use ctrl-{other}, or give the configuration file of {}", self.program);
        Err(Failure::new(Exit::Usage, message).advise(advice))
    }

    fn start(&self) -> Result<ExitCode, Failure> {
        match self.state()? {
            State::Running(pid) => {
                answer(format_args!("{} is already running (pid {pid})", self.program))?;
                return Ok(ExitCode::SUCCESS);
            }
            State::Dead => tell(format_args!("replacing the pid file of a {} that died", self.program)),
            State::Stopped => {}
        }
        let mut daemon = self.spawn()?;
        let pid = daemon.id();
        match self.wait_until_ready(&mut daemon) {
            Ok(()) => {
                answer(format_args!("{} started (pid {pid})", self.program))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(why) => {
                end(&mut daemon);
                Err(Failure::new(Exit::JobFailed, format!("{} did not start: {why}", self.program)))
            }
        }
    }

    fn spawn(&self) -> Result<Child, Failure> {
        let own = std::env::current_exe().ok();
        let beside = own.as_deref().and_then(Path::parent).map(|directory| directory.join(self.program));
        let program = beside.filter(|path| path.exists()).unwrap_or_else(|| self.program.into());
        Command::new(&program)
            .arg("--daemon")
            .arg("--config")
            .arg(self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Failure::new(Exit::JobFailed, format!("cannot run {}", program.display())).because(error))
    }

    fn wait_until_ready(&self, daemon: &mut Child) -> Result<(), String> {
        let (sender, lines) = mpsc::channel();
        if let Some(output) = daemon.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let deadline = Instant::now() + self.timeout;
        let mut reported = HashSet::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = if reported.is_empty() { left.min(REPORT_DELAY) } else { left };
            let line = match lines.recv_timeout(timeout) {
                Ok(line) => line.replace('\u{1f}', "\n"),
                Err(mpsc::RecvTimeoutError::Timeout) if timeout < left => {
                    "waiting not yet connected to the broker and serving".to_owned()
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    return Err(format!("it was not ready within {} s (--timeout)", self.timeout.as_secs()));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let status = daemon.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                    return Err(format!("it ended ({status}); see its log"));
                }
            };
            if line == "ready" {
                return Ok(());
            } else if let Some(why) = line.strip_prefix("error ") {
                return Err(why.to_owned());
            } else if let Some(cause) = line.strip_prefix("waiting ")
                && reported.insert(cause.to_owned())
            {
                tell(format_args!("waiting up to {} s for {}: {cause}", self.timeout.as_secs(), self.program));
            }
        }
    }

    fn stop(&self) -> Result<ExitCode, Failure> {
        let pid = match self.state()? {
            State::Running(pid) => Pid::from_raw(pid),
            State::Dead => {
                let _ = remove_stale(&self.pid_file);
                answer(format_args!("{} had died; removed its pid file", self.program))?;
                return Ok(ExitCode::SUCCESS);
            }
            State::Stopped => {
                answer(format_args!("{} is not running", self.program))?;
                return Ok(ExitCode::SUCCESS);
            }
        };
        kill(pid, Signal::SIGTERM)
            .map_err(|error| Failure::new(Exit::JobFailed, format!("cannot stop process {pid}")).because(error))?;
        let deadline = Instant::now() + self.timeout;
        while matches!(self.state()?, State::Running(_)) {
            if Instant::now() >= deadline {
                let message = format!(
                    "{} (pid {pid}) has not stopped within {} s (--timeout) and is still draining; a second stop ends it at once",
                    self.program,
                    self.timeout.as_secs()
                );
                return Err(Failure::new(Exit::JobFailed, message));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        answer(format_args!("{} stopped", self.program))?;
        Ok(ExitCode::SUCCESS)
    }

    fn status(&self) -> Result<ExitCode, Failure> {
        let (text, code) = match self.state() {
            Ok(State::Running(pid)) => (format!("is running (pid {pid})"), 0),
            Ok(State::Dead) => (format!("died and left its pid file {}", self.pid_file.display()), 1),
            Ok(State::Stopped) => ("is not running".to_owned(), 3),
            Err(failure) => (format!("has an unknown status: {failure}"), 4),
        };
        answer(format_args!("{} {text}", self.program))?;
        Ok(ExitCode::from(code))
    }
}

/// Ends a daemon that could not start.
fn end(daemon: &mut Child) {
    if let Ok(pid) = i32::try_from(daemon.id()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let deadline = Instant::now() + KILL_TIMEOUT;
    while let Ok(None) = daemon.try_wait() {
        if Instant::now() >= deadline {
            let _ = daemon.kill();
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}
