//! `ctrl-hub-dispatcher` and `ctrl-hub-worker`: start, stop, restart and look after daemons, with the exit
//! codes that init scripts expect.

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
use crate::daemon::{Life, clear_away, look};
use crate::exit::{Exit, Failure, answer, tell};

/// The programs that run as daemons.
const DAEMONS: [&str; 2] = ["hub-dispatcher", "hub-worker"];
/// How often a stopping daemon is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Time after which a daemon that has said nothing yet is reported as not ready.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a daemon that could not start may take to end.
const ENDING: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  ctrl-hub-dispatcher -c etc/dispatcher.conf start
  ctrl-hub-worker -c etc/worker.conf --timeout 300 stop";

/// Starts and stops a daemon of Hub's.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// The daemon's configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Give up after so many seconds: on a broker that does not answer (start), on tasks that do not end (stop)
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// What to do
    action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Start the daemon; returns when it is connected and listening
    Start,
    /// Stop the daemon; returns when it has brought its work to an end
    Stop,
    /// Stop, if it runs, and start
    Restart,
    /// Tell whether it runs: 0 it does, 1 it died, 3 it does not, 4 cannot tell
    Status,
}

/// The arguments of both programs.
pub(crate) fn command() -> clap::Command {
    Args::command()
}

/// Controls the daemon `program`, which is looked for beside this program.
#[must_use]
pub fn main(program: &str) -> ExitCode {
    let args = Args::parse();
    let outcome = Control::new(program, &args).and_then(|control| match args.action {
        Action::Start => control.start(),
        Action::Stop => control.stop(),
        // That the answer cannot be written is no reason to leave the daemon stopped.
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
            let message = format!("{} names no pid_file in [HUB]: a daemon needs one", args.config.display());
            Failure::new(Exit::Usage, message)
        })?;
        Ok(Self { program, config: &args.config, pid_file, timeout: Duration::from_secs(args.timeout) })
    }

    fn look(&self) -> Result<Life, Failure> {
        let life = look(&self.pid_file).map_err(|error| {
            Failure::new(Exit::Unreachable, format!("cannot read the pid file {}", self.pid_file.display()))
                .because(error)
        })?;
        match life {
            Life::Running(pid) => self.check_program(pid).map(|()| life),
            Life::Dead | Life::Stopped => Ok(life),
        }
    }

    /// A worker's control program with the dispatcher's configuration must not stop the dispatcher.
    fn check_program(&self, pid: i32) -> Result<(), Failure> {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let Some(other) = DAEMONS.into_iter().find(|daemon| *daemon == name.trim() && *daemon != self.program) else {
            return Ok(());
        };
        let message = format!("{} belongs to a {other} that is running (pid {pid})", self.config.display());
        let advice = format!("use ctrl-{other}, or name the configuration file of {}", self.program);
        Err(Failure::new(Exit::Usage, message).advise(advice))
    }

    fn start(&self) -> Result<ExitCode, Failure> {
        match self.look()? {
            Life::Running(pid) => {
                answer(format_args!("{} is running already (pid {pid})", self.program))?;
                return Ok(ExitCode::SUCCESS);
            }
            Life::Dead => tell(format_args!("the pid file of a {} that died is taken over", self.program)),
            Life::Stopped => {}
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
        let (lines, said) = mpsc::channel();
        if let Some(output) = daemon.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if lines.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let deadline = Instant::now() + self.timeout;
        let mut told = HashSet::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if told.is_empty() { left.min(PATIENCE) } else { left };
            let line = match said.recv_timeout(patience) {
                Ok(line) => line.replace('\u{1f}', "\n"),
                Err(mpsc::RecvTimeoutError::Timeout) if patience < left => {
                    "waiting until it is connected to the broker and serves".to_owned()
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let waited = if told.is_empty() { "" } else { ": what it waited for did not come" };
                    return Err(format!("it was not ready within {} s (--timeout){waited}", self.timeout.as_secs()));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let status = daemon.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                    return Err(format!("it ended ({status}); its log may say more"));
                }
            };
            if line == "ready" {
                return Ok(());
            } else if let Some(why) = line.strip_prefix("error ") {
                return Err(why.to_owned());
            } else if let Some(cause) = line.strip_prefix("waiting ")
                && told.insert(cause.to_owned())
            {
                tell(format_args!("{} waits, at most {} s: {cause}", self.program, self.timeout.as_secs()));
            }
        }
    }

    fn stop(&self) -> Result<ExitCode, Failure> {
        let pid = match self.look()? {
            Life::Running(pid) => Pid::from_raw(pid),
            Life::Dead => {
                let _ = clear_away(&self.pid_file);
                answer(format_args!("{} had died; its pid file is removed", self.program))?;
                return Ok(ExitCode::SUCCESS);
            }
            Life::Stopped => {
                answer(format_args!("{} is not running", self.program))?;
                return Ok(ExitCode::SUCCESS);
            }
        };
        kill(pid, Signal::SIGTERM)
            .map_err(|error| Failure::new(Exit::JobFailed, format!("cannot stop process {pid}")).because(error))?;
        let deadline = Instant::now() + self.timeout;
        while matches!(self.look()?, Life::Running(_)) {
            if Instant::now() >= deadline {
                let message = format!(
                    "{} (pid {pid}) still brings its work to an end after {} s; a second stop ends it at once",
                    self.program,
                    self.timeout.as_secs()
                );
                return Err(Failure::new(Exit::JobFailed, message));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        answer(format_args!("{} stopped", self.program))?;
        Ok(ExitCode::SUCCESS)
    }

    fn status(&self) -> Result<ExitCode, Failure> {
        let (text, code) = match self.look() {
            Ok(Life::Running(pid)) => (format!("is running (pid {pid})"), 0),
            Ok(Life::Dead) => (format!("died and left {}", self.pid_file.display()), 1),
            Ok(Life::Stopped) => ("is not running".to_owned(), 3),
            Err(failure) => (format!("cannot be looked at: {failure}"), 4),
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
    let deadline = Instant::now() + ENDING;
    while let Ok(None) = daemon.try_wait() {
        if Instant::now() >= deadline {
            let _ = daemon.kill();
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
