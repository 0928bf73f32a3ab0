//! Runs Hub's real binaries.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::eventually;

/// The project's directory.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Set by the gate, which has just built the programs, to skip the build.
const BUILT: &str = "HUB_PROGRAMS_BUILT";

/// The directory of the binaries. They are built once, since cargo does not build the programs of other packages for a test.
fn binaries() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let own = std::env::current_exe().expect("a test has a path");
        let beside = own.parent().expect("it is in a directory");
        // A test is in target/PROFILE/deps, a program of this package in target/PROFILE.
        let directory = if beside.ends_with("deps") { beside.parent().unwrap_or(beside) } else { beside }.to_owned();
        if std::env::var_os(BUILT).is_none() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "--package", "hub-bin", "--package", "hub-daemons", "--bins"]);
            build.args(["--features", "hub-bin/amqprs,hub-bin/input-schema"]).current_dir(root());
            if let Some(profile) = ["release", "dist"].into_iter().find(|profile| directory.ends_with(profile)) {
                build.args(["--profile", profile]);
            }
            assert!(build.status().is_ok_and(|status| status.success()), "the programs cannot be built");
        }
        directory
    })
}

/// Runs Hub's programs in a separate directory with one broker.
pub struct Programs {
    directory: tempfile::TempDir,
    environment: Vec<(String, String)>,
    log_level: &'static str,
    memory_kib: Option<u64>,
}

/// A program in the background. It is killed when this is dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Programs {
    /// Programs that use this broker with this AMQP client and this prefix.
    #[must_use]
    pub fn new(broker: &str, client: &str, prefix: &str) -> Self {
        let programs = Self::alone();
        programs
            .with("HUB_BROKER", broker)
            .with("HUB_AMQP_CLIENT", client)
            .with("HUB_PREFIX", prefix)
            .with("HUB_HTTP", "none")
    }

    /// Programs without a broker.
    #[must_use]
    pub fn alone() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        // The default store and the temporary files of the programs are in this directory, so they are removed even if a program
        // is killed.
        let own = directory.path().to_string_lossy().into_owned();
        let environment = ["STATE_DIRECTORY", "TMPDIR"].map(|name| (name.to_owned(), own.clone()));
        Self { directory, environment: environment.into(), log_level: "debug", memory_kib: None }
    }

    /// A complete Hub in one process with these task modules (name and text), and programs that connect to it over HTTP.
    #[must_use]
    pub fn in_memory(modules: &[(&str, &str)], arguments: &[&str]) -> (Self, Daemon) {
        Self::alone().start_in_memory(modules, arguments)
    }

    /// Like [`Programs::in_memory`], with these settings of the programs.
    ///
    /// # Panics
    /// If the Hub does not start.
    #[must_use]
    pub fn start_in_memory(self, modules: &[(&str, &str)], arguments: &[&str]) -> (Self, Daemon) {
        let programs = self;
        programs.write_modules(modules);
        let mut all = vec!["--transport", "memory", "--http", "127.0.0.1:0"];
        for default in [["--tasks-dir", "tasks"], ["--slots", "2"]] {
            if !arguments.contains(&default[0]) {
                all.extend(default);
            }
        }
        all.extend(arguments);
        let hub = programs.start("hub-dispatcher", &all);
        hub.wait_for("listening for jobs and results");
        let log = hub.log();
        let address = log.split("HTTP API at ").nth(1).and_then(|rest| rest.split("/api/v1").next());
        let address = address.unwrap_or_else(|| panic!("no address in the log:\n{log}")).to_owned();
        (programs.with("HUB_BROKER", &address), hub)
    }

    /// Adds a variable to the programs' environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the log level to the default of the programs.
    #[must_use]
    pub fn quietly(mut self) -> Self {
        self.log_level = "info";
        self
    }

    /// Limits the address space of each program.
    #[must_use]
    pub fn within_memory(mut self, kib: u64) -> Self {
        self.memory_kib = Some(kib);
        self
    }

    /// A variable of the programs' environment.
    ///
    /// # Panics
    /// If it is not set.
    #[must_use]
    pub fn variable(&self, name: &str) -> &str {
        let found = self.environment.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("{name} is not set")).1
    }

    /// The prefix of their queues' names.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.variable("HUB_PREFIX")
    }

    /// Writes task modules into the directory `tasks`.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn write_modules(&self, modules: &[(&str, &str)]) {
        let directory = self.directory().join("tasks");
        std::fs::create_dir_all(&directory).expect("a directory can be made");
        for (name, text) in modules {
            std::fs::write(directory.join(name), text).expect("a module can be written");
        }
    }

    /// Their directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A command for one of the programs.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let path = binaries().join(program);
        let command = match self.memory_kib {
            None => Command::new(path),
            Some(kib) => {
                let mut limited = Command::new("sh");
                limited.arg("-c").arg(format!("ulimit -v {kib} && exec \"$0\" \"$@\"")).arg(path);
                limited
            }
        };
        self.prepared(command)
    }

    /// A command for a program of the system, which finds Hub's programs in its `PATH`.
    ///
    /// # Panics
    /// If `PATH` cannot be extended.
    #[must_use]
    pub fn in_shell(&self, program: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories = std::iter::once(binaries().to_owned()).chain(std::env::split_paths(&path));
        let mut command = self.prepared(Command::new(program));
        command.env("PATH", std::env::join_paths(directories).expect("the directory can be in PATH"));
        command
    }

    /// Sets the directory and the environment of a command.
    fn prepared(&self, mut command: Command) -> Command {
        // Remove the developer's own settings.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HUB_")) {
            command.env_remove(name);
        }
        command.current_dir(self.directory()).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a program to its end.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program).args(arguments).stdin(Stdio::null()).output().expect("the program runs")
    }

    /// Runs a program to its end with this standard input.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn run_reading(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let _ = child.stdin.take().expect("it has an input").write_all(input.as_bytes());
        child.wait_with_output().expect("the program ends")
    }

    /// Starts a program in the background, with a separate log file.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(&self, program: &str, arguments: &[&str]) -> Daemon {
        self.start_as(program, program, arguments)
    }

    /// Like [`Programs::start`], with another name of the log file.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start_as(&self, name: &str, program: &str, arguments: &[&str]) -> Daemon {
        let log = self.directory().join(format!("{name}.log"));
        let file = std::fs::File::options().create(true).append(true).open(&log).expect("a log can be written");
        let child = self
            .command(program)
            .args(arguments)
            .args(["--log-level", self.log_level])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("the program starts");
        Daemon { child, log, name: name.to_owned() }
    }

    /// Starts a dispatcher and a worker with the example tasks, and waits until both serve.
    pub fn start_both(&self) -> (Daemon, Daemon) {
        let dispatcher = self.start("hub-dispatcher", &[]);
        dispatcher.wait_for("listening for jobs and results");
        let tasks = root().join("etc/tasks");
        let allow = ["--allow", "modules,command,http"];
        let worker = self
            .start("hub-worker", &[&["--slots", "2", "--tasks-dir", &tasks.to_string_lossy()], &allow[..]].concat());
        worker.wait_for("waiting for tasks");
        (dispatcher, worker)
    }

    /// Submits a job and returns its id.
    ///
    /// # Panics
    /// If it is refused.
    pub fn submit(&self, job: &str) -> String {
        let output = self.run_reading("hub-client", &["submit", "-q", "--timeout", "60"], job);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The current record of a job.
    ///
    /// # Panics
    /// If there is no such job.
    #[must_use]
    pub fn record(&self, id: &str) -> Value {
        let output = self.run("hub-client", &["-S", id, "-q", "--timeout", "60"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("a record is JSON")
    }

    /// Waits for the end of a job and returns its record.
    pub fn ended(&self, id: &str) -> Value {
        eventually("the job ends", || {
            let record = self.record(id);
            let status = record["status"].as_str().unwrap_or_default().to_owned();
            if ["SUCCESS", "FAILED", "CANCELLED"].contains(&status.as_str()) { Ok(record) } else { Err(record) }
        })
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.directory.disable_cleanup(true);
            eprintln!("the logs of the failed test are kept in {}", self.directory().display());
        }
    }
}

impl Daemon {
    /// Waits until the log contains this text.
    pub fn wait_for(&self, words: &str) {
        eventually(&format!("{} says {words:?}", self.name), || {
            let log = self.log();
            if log.contains(words) { Ok(()) } else { Err(log) }
        });
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of its log.
    #[must_use]
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(50)..].join("\n")
    }

    /// Whether it is still running.
    ///
    /// # Panics
    /// If its status cannot be determined.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked for").is_none()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM and waits for its end.
    ///
    /// # Panics
    /// If it has ended before, since an unexpected end is a failure.
    pub fn stop(mut self) {
        assert!(self.is_alive(), "{} has died:\n{}", self.name, self.log());
        let asked = Command::new("kill").arg(self.pid().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "{} cannot be asked to end", self.name);
        eventually(&format!("{} ends", self.name), || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
