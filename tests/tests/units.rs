//! Tests of the service units in `etc/systemd`: their paths exist, and the programs accept their arguments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use hub_tests::{Programs, root};
use libtest_mimic::{Arguments, Failed, Trial};

/// The units with their programs.
const UNITS: [(&str, &str); 2] = [("hub-dispatcher.service", "hub-dispatcher"), ("hub-worker.service", "hub-worker")];
/// The paths of the installed files, as in `docs/operations.md`.
const PROGRAMS: &str = "/usr/local/bin/";
const CONFIGURATION: &str = "/etc/hub/";
/// The entries of a unit. Sections are ignored, since no key occurs in two of them.
struct Unit {
    name: &'static str,
    text: String,
}

impl Unit {
    fn read(name: &'static str) -> Self {
        let path = directory().join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name, text }
    }

    /// The values of a key, including those in comments.
    fn suggested(&self, key: &str) -> Vec<&str> {
        self.text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(key)?.strip_prefix('=')).collect()
    }

    /// The value of a key that occurs once.
    fn one(&self, key: &str) -> &str {
        let values: Vec<&str> =
            self.text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect();
        let [value] = values[..] else { panic!("{}: {key} is there {} times", self.name, values.len()) };
        value
    }

    /// The arguments of its program, with the configuration in this repository.
    fn arguments(&self, program: &str) -> Vec<String> {
        let mut words = self.one("ExecStart").split_whitespace();
        assert_eq!(words.next(), Some(&*format!("{PROGRAMS}{program}")), "{}", self.name);
        words.map(|word| installed(word).map_or_else(|| word.to_owned(), |path| path.display().to_string())).collect()
    }
}

fn directory() -> PathBuf {
    root().join("etc/systemd")
}

/// The file in this repository for an installed path.
fn installed(word: &str) -> Option<PathBuf> {
    word.strip_prefix(CONFIGURATION).map(|name| directory().join(name))
}

fn help(programs: &Programs, program: &str) -> String {
    String::from_utf8(programs.run(program, &["--help"]).stdout).expect("a help is text")
}

fn every_unit_is_known() {
    let known: BTreeSet<String> = UNITS.iter().map(|(unit, _)| (*unit).to_owned()).collect();
    let there: BTreeSet<String> = std::fs::read_dir(directory())
        .expect("there are units")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| Path::new(name).extension().is_none_or(|extension| extension != "conf"))
        .collect();
    assert_eq!(known, there);
}

fn what_they_name_exists() {
    let programs = Programs::alone();
    for (name, program) in UNITS {
        let (unit, help) = (Unit::read(name), help(&programs, program));
        let (mut flags, mut files) = (0, 0);
        for word in unit.one("ExecStart").split_whitespace().skip(1) {
            if word.starts_with("--") {
                assert!(help.split_whitespace().any(|known| known == word), "{name}: {program} has no {word}");
                flags += 1;
            } else if let Some(path) = installed(word) {
                assert!(path.exists(), "{name}: nothing to be installed as {word}");
                files += 1;
            }
        }
        assert!(flags > 0 && files > 0, "{name} starts {program} in a way that this test does not read");
        let set = unit.suggested("Environment").into_iter().filter_map(|entry| entry.split_once('='));
        for (variable, value) in set {
            assert!(help.contains(&format!("[env: {variable}")), "{name}: {program} does not read {variable}");
            if let Some(credential) = value.strip_prefix("%d/") {
                let loaded = unit.suggested("LoadCredential");
                let loaded = loaded.iter().filter_map(|entry| entry.split_once(':')).map(|(credential, _)| credential);
                assert!(loaded.into_iter().any(|known| known == credential), "{name}: nothing is loaded as {value}");
            }
        }
    }
}

fn no_secret_is_on_a_command_line() {
    for (name, _) in UNITS {
        let unit = Unit::read(name);
        for secret in ["--broker", "-b", "amqp", "token"] {
            assert!(!unit.one("ExecStart").contains(secret), "{name}: all users can read a command line");
        }
        assert!(unit.one("EnvironmentFile").starts_with('-'), "{name}: it starts without the file, too");
    }
}

fn only_the_program_is_told_to_end() {
    for (name, _) in UNITS {
        let unit = Unit::read(name);
        // The worker, not the service manager, stops the tasks.
        assert_eq!((unit.one("KillMode"), unit.one("KillSignal")), ("mixed", "SIGTERM"), "{name}");
        assert_eq!((unit.one("Type"), unit.one("TimeoutStartSec")), ("notify", "infinity"), "{name}");
    }
}

fn the_dispatcher_takes_its_configuration_and_keeps_jobs_in_its_directory() {
    let programs = Programs::alone().with("HUB_BROKER", "127.0.0.1:1").with("HUB_HTTP", "127.0.0.1:0");
    let arguments = Unit::read("hub-dispatcher.service").arguments("hub-dispatcher");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let dispatcher = programs.start("hub-dispatcher", &arguments);
    dispatcher.wait_for(&format!("jobs are kept in {}", programs.directory().join("hub.db").display()));
    dispatcher.wait_for("not connected to the broker");
    dispatcher.stop();
}

fn the_worker_takes_its_configuration() {
    let programs = Programs::alone().with("HUB_BROKER", "127.0.0.1:1").with("HUB_TASKS_DIR", ".");
    let arguments = Unit::read("hub-worker.service").arguments("hub-worker");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let worker = programs.start("hub-worker", &arguments);
    worker.wait_for("not connected to the broker");
    worker.stop();
}

/// Checks the units with systemd-analyze, with the paths of the built programs.
fn systemd_finds_nothing_wrong() -> Result<(), Failed> {
    let programs = Programs::alone();
    for (name, program) in UNITS {
        let built = programs.command(program).get_program().to_string_lossy().into_owned();
        let text = Unit::read(name).text.replace(&format!("{PROGRAMS}{program}"), &built);
        let path = programs.directory().join(name);
        std::fs::write(&path, text)?;
        let output = Command::new("systemd-analyze").arg("verify").arg(&path).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        // It also reports other units of this machine, and only warns about unknown keys.
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(name)).collect();
        if !ours.is_empty() {
            return Err(ours.join("\n").into());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let plain: [(&str, fn()); 6] = [
        ("every_unit_is_known", every_unit_is_known),
        ("what_they_name_exists", what_they_name_exists),
        ("no_secret_is_on_a_command_line", no_secret_is_on_a_command_line),
        ("only_the_program_is_told_to_end", only_the_program_is_told_to_end),
        (
            "the_dispatcher_takes_its_configuration_and_keeps_jobs_in_its_directory",
            the_dispatcher_takes_its_configuration_and_keeps_jobs_in_its_directory,
        ),
        ("the_worker_takes_its_configuration", the_worker_takes_its_configuration),
    ];
    let mut trials: Vec<Trial> = plain
        .into_iter()
        .map(|(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        })
        .collect();
    // The tests also run on a machine without systemd.
    let has_systemd = Command::new("systemd-analyze")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    trials
        .push(Trial::test("systemd_finds_nothing_wrong", systemd_finds_nothing_wrong).with_ignored_flag(!has_systemd));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
