//! Terminals of a reader: they execute the commands of a page in a separate directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Page, Step, agrees};
use crate::{Programs, eventually};

/// Runs a command with a terminal and waits for its end.
const WITH_TERMINAL: &str = "import pty, sys\nsys.exit(0 if pty.spawn(sys.argv[1:]) == 0 else 1)";
/// The address of the HTTP API in pages. In tests, the dispatcher uses a free port.
const HTTP: &str = "127.0.0.1:8420";
/// Read-only commands. They are repeated until they print what the page shows.
const LOOKING: [&str; 6] =
    ["hub-client status", "hub-client list", "hub-client workers", "hub-client health", "cat ", "tail "];

/// The terminals that execute a page.
pub struct Terminal {
    programs: Programs,
    /// The state between blocks: the current directory and the variables.
    state: tempfile::TempDir,
    /// The broker's address, for pages that say `localhost`.
    broker: Option<String>,
    /// The address of the HTTP API of the dispatcher that was started last.
    http: Option<String>,
    started: Vec<Child>,
    /// Number of commands so far, for the names of files.
    count: usize,
}

impl Terminal {
    /// Terminals in the directory of `programs`. Pages that say `localhost` reach the broker at this address.
    ///
    /// # Panics
    /// If no directory can be made.
    #[must_use]
    pub fn new(programs: Programs, broker: Option<String>) -> Self {
        // Tables in pages have this width, and two slots are sufficient.
        let variables = [("HUB_HTTP", "127.0.0.1:0"), ("HUB_SLOTS", "2"), ("COLUMNS", "110"), ("NO_COLOR", "1")];
        let programs = variables.into_iter().fold(programs, |programs, (name, value)| programs.with(name, value));
        let state = tempfile::tempdir().expect("a directory can be made");
        std::fs::write(state.path().join("cwd"), programs.directory().as_os_str().as_encoded_bytes()).expect("a file");
        std::fs::write(state.path().join("env"), "").expect("a file");
        Self { programs, state, broker, http: None, started: Vec::new(), count: 0 }
    }

    /// Executes a page.
    ///
    /// # Panics
    /// If a command fails, or prints something else than the page shows.
    pub fn follow(&mut self, page: &Page) {
        for step in &page.steps {
            match step {
                Step::Write { path, text } => self.write(path, text),
                Step::Run { line, commands, shown } => self.run(&page.path, *line, commands, shown.as_deref()),
                Step::Start { line, command, shown } => self.start(&page.path, *line, command, shown.as_deref()),
                Step::Interrupt => self.interrupt(),
            }
        }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.directory().join(path);
        std::fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory can be made");
        std::fs::write(path, self.here(text)).expect("a file can be written");
    }

    /// The current directory.
    fn directory(&self) -> PathBuf {
        let text = std::fs::read_to_string(self.state.path().join("cwd")).expect("a file");
        PathBuf::from(text.trim_end())
    }

    /// Replaces the addresses in a text by those of this run.
    fn here(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Some(http) = &self.http {
            text = text.replace(HTTP, http).replace("localhost:8420", http);
        }
        match &self.broker {
            Some(broker) => text.replace("localhost", broker),
            None => text,
        }
    }

    fn run(&mut self, page: &str, line: usize, commands: &str, shown: Option<&str>) {
        let is_looking = commands.lines().all(|line| LOOKING.iter().any(|start| line.starts_with(start)));
        let mut attempt = || {
            let (succeeded, printed) = self.execute(commands);
            let shown = shown.map(|shown| self.here(shown));
            let is_as_shown = shown.as_ref().is_none_or(|shown| agrees(shown, &printed));
            if succeeded && is_as_shown {
                return Ok(());
            }
            let shown = shown.unwrap_or_default();
            let ended = if succeeded { "succeeded" } else { "failed" };
            Err(format!("{page}:{line}:\n{commands}{ended} and printed\n{printed}\nThe page shows\n{shown}"))
        };
        if is_looking {
            return eventually("the page's command prints what the page shows", || attempt().map_err(Text));
        }
        if let Err(difference) = attempt() {
            panic!("{difference}");
        }
    }

    /// Runs commands in a terminal. Returns whether they succeeded, and what they printed.
    fn execute(&mut self, commands: &str) -> (bool, String) {
        let (state, output) = (self.state.path().to_string_lossy().into_owned(), self.next_output());
        let script = format!(
            "set -ae; cd \"$(cat {state}/cwd)\"; . {state}/env\n{}\nexport -p > {state}/env; pwd > {state}/cwd\n",
            self.here(commands)
        );
        let mut command = self.programs.in_shell("python3");
        command.args(["-c", WITH_TERMINAL, "sh", "-c", &script]).stdin(Stdio::null());
        let mut child = with_output(&mut command, &output).spawn().expect("Python starts");
        let status = eventually(&format!("the commands end:\n{commands}"), || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}, printed so far:\n{}", read(&output))),
        });
        (status.success(), on_screen(&read(&output)))
    }

    fn start(&mut self, page: &str, line: usize, command: &str, shown: Option<&str>) {
        let output = self.next_output();
        let mut shell = self.programs.in_shell("sh");
        shell.current_dir(self.directory()).arg("-c").arg(format!("exec {}", self.here(command))).stdin(Stdio::null());
        self.started.push(with_output(&mut shell, &output).spawn().expect("a shell starts"));
        let lines: Vec<String> = self.here(shown.unwrap_or_default()).lines().map(str::to_owned).collect();
        eventually(&format!("{page}:{line}: {command} prints what the page shows"), || {
            let printed = read(&output);
            let mut left = printed.lines();
            let has_all = lines.iter().all(|line| left.any(|printed| agrees(line, printed)));
            if has_all { Ok(()) } else { Err(Text(printed)) }
        });
        let printed = read(&output);
        let address = printed.split("HTTP API at http://").nth(1).and_then(|rest| rest.split('/').next());
        self.http = address.map(str::to_owned).or(self.http.take());
    }

    /// Interrupts the started programs and waits for their end.
    fn interrupt(&mut self) {
        for mut child in self.started.drain(..) {
            let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            assert!(sent.is_ok_and(|status| status.success()), "a program has ended before it was interrupted");
            eventually("the program ends", || match child.try_wait() {
                Ok(Some(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            });
        }
        self.http = None;
    }

    fn next_output(&mut self) -> PathBuf {
        self.count += 1;
        self.state.path().join(format!("output-{}", self.count))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        for child in &mut self.started {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Stop daemons that a failed page has left running.
        for (folder, name) in [("", "dispatcher"), ("", "worker"), ("etc", "dispatcher"), ("etc", "worker")] {
            let configuration = self.directory().join(folder).join(format!("{name}.conf"));
            if configuration.exists() {
                let configuration = configuration.to_string_lossy().into_owned();
                self.programs.run(&format!("ctrl-hub-{name}"), &["-c", &configuration, "stop"]);
            }
        }
    }
}

/// A text that `Debug` shows with its line breaks.
struct Text(String);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Redirects both outputs of a command to a file.
fn with_output<'a>(command: &'a mut Command, path: &Path) -> &'a mut Command {
    let file = File::create(path).expect("a file can be written");
    let same = file.try_clone().expect("a file has two handles");
    command.stdout(file).stderr(same)
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// The text that remains on the screen, where a progress bar is overwritten.
fn on_screen(printed: &str) -> String {
    let mut screen = String::new();
    for line in printed.split_terminator('\n') {
        let line = line.trim_end_matches('\r');
        let mut rest = line.rsplit('\r').next().unwrap_or_default();
        while let Some((before, after)) = rest.split_once("\u{1b}[") {
            screen.push_str(before);
            rest = after.trim_start_matches(|one: char| one.is_ascii_digit() || one == ';');
            rest = rest.get(1..).unwrap_or_default();
        }
        screen.push_str(rest);
        screen.push('\n');
    }
    screen
}
