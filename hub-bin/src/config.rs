//! The configuration file: the manual's sections `[HUB]` and `[LOGGING]`, with additional keys.
//!
//! Precedence: flags, environment variables (both handled by clap), the file, defaults.

use std::path::{Path, PathBuf};

use hub_core::{TaskKind, TaskKinds};

use crate::bounds::{self, Bounds};
use crate::exit::{Exit, Failure};
use crate::ini;

/// The value of `store` for a store in memory.
pub(crate) const MEMORY: &str = "memory";

/// The settings of a file: each section with its keys, and for each key the type of its value and the function that parses it.
///
/// If a setting is also a flag, its key is the id of the flag in clap, and `HUB_` followed by the key in upper case is its
/// environment variable. The tests in `documented.rs` compare this table with the flags and with docs/configuration.md.
macro_rules! settings {
    ($($section:ident { $($key:ident: $type:ty = $read:expr;)+ })+) => {
        /// The settings of a file. A setting that is not in the file is `None`.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Config {
            $($(pub(crate) $key: Option<$type>,)+)+
        }

        /// Each section with its keys.
        pub(crate) const SECTIONS: &[(&str, &[&str])] = &[$((stringify!($section), &[$(stringify!($key)),+])),+];

        impl Config {
            /// Parses and sets the value of a key. Relative paths are relative to `base`.
            fn set(&mut self, key: &str, value: &str, base: &Path) -> Result<(), String> {
                if value.is_empty() {
                    return Err("the value is missing: add a value, or remove the line".to_owned());
                }
                match key {
                    $($(stringify!($key) => self.$key = Some($read(value, base)?),)+)+
                    _ => return Err("unknown key".to_owned()),
                }
                Ok(())
            }
        }
    };
}

settings! {
    HUB {
        broker: String = text;
        transport: TransportKind = word;
        amqp_client: AmqpClient = word;
        prefix: String = text;
        pid_file: PathBuf = path;
        tasks_dir: PathBuf = path;
        pools: String = text;
        slots: u32 = number(bounds::SLOTS);
        python: PathBuf = program;
        allow: TaskKinds = kinds;
        secrets_dir: PathBuf = path;
        http: String = text;
        http_token_file: PathBuf = path;
        ca_file: PathBuf = path;
        client_cert_file: PathBuf = path;
        client_key_file: PathBuf = path;
        store: PathBuf = path_or_memory;
        retain_jobs: u64 = number(bounds::RETAIN_JOBS);
        max_job_bytes: u64 = number(bounds::MAX_JOB_BYTES);
        max_job_tasks: u64 = number(bounds::MAX_JOB_TASKS);
        max_job_depth: u64 = number(bounds::MAX_JOB_DEPTH);
        max_value_bytes: u64 = number(bounds::MAX_VALUE_BYTES);
        max_live_bytes: u64 = number(bounds::MAX_LIVE_BYTES);
        max_kept_results: u32 = number(bounds::MAX_KEPT_RESULTS);
        max_kept_bytes: u64 = number(bounds::MAX_KEPT_BYTES);
        max_result_bytes: u64 = number(bounds::MAX_RESULT_BYTES);
        max_log_bytes: u64 = number(bounds::MAX_LOG_BYTES);
        max_message_bytes: u64 = number(bounds::MAX_MESSAGE_BYTES);
        heartbeat: u16 = number(bounds::HEARTBEAT);
    }
    LOGGING {
        log_file: PathBuf = path;
        log_level: LogLevel = word;
        log_max_size: u64 = number(bounds::LOG_MAX_SIZE);
        log_retain: u64 = number(bounds::LOG_RETAIN);
    }
}

/// The message transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TransportKind {
    /// In one process, without a broker
    Memory,
    /// A broker that speaks AMQP 0-9-1, such as RabbitMQ
    Amqp,
}

/// The AMQP client library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AmqpClient {
    /// lapin
    Lapin,
    /// amqprs
    Amqprs,
}

/// The log level. The names are those of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogLevel {
    /// Details for developers
    Debug,
    /// Normal events
    Info,
    /// Events that may need attention
    #[value(alias = "warn")]
    Warning,
    /// Failures
    Error,
    /// Same as error
    Critical,
}

impl Config {
    /// Reads a file. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// If the file cannot be read or is invalid. The message lists all problems with their lines.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(path).map_err(|error| {
            Failure::new(Exit::Usage, format!("cannot read the configuration file {}", path.display())).because(error)
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line =
                error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            let message =
                format!("the configuration file {} is not UTF-8 text: invalid byte in line {line}", path.display());
            Failure::new(Exit::Usage, message).advise(hub_core::job::encoding_advice(error.as_bytes()))
        })?;
        let base = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, base).map_err(|problems| {
            let lines: Vec<String> =
                problems.iter().map(|(line, why)| format!("\n  {}:{line}: {why}", path.display())).collect();
            Failure::new(Exit::Usage, format!("the configuration file is invalid:{}", lines.concat()))
        })
    }

    fn parse(text: &str, base: &Path) -> Result<Self, Vec<(usize, String)>> {
        let (entries, bad) = ini::read(text);
        let mut config = Self::default();
        let mut problems: Vec<(usize, String)> = bad.into_iter().map(|bad| (bad.line, bad.why)).collect();
        let mut unknown_sections = Vec::new();
        for entry in &entries {
            let section = SECTIONS.iter().find(|(section, _)| entry.section.eq_ignore_ascii_case(section));
            let Some((_, known)) = section else {
                if !unknown_sections.contains(&&entry.section) {
                    unknown_sections.push(&entry.section);
                    let sections: Vec<String> = SECTIONS.iter().map(|(section, _)| format!("[{section}]")).collect();
                    let why =
                        format!("unknown section [{}]: known sections are {}", entry.section, sections.join(" and "));
                    problems.push((entry.line, why));
                }
                continue;
            };
            if !known.contains(&entry.key.as_str()) {
                let near = hub_core::job::nearest(&entry.key, known.iter().copied());
                let hint = near.map_or_else(
                    || format!("known keys are {}", known.join(", ")),
                    |near| format!("did you mean {near}?"),
                );
                problems.push((entry.line, format!("unknown key {} in [{}]: {hint}", entry.key, entry.section)));
            } else if let Err(why) = config.set(&entry.key, &entry.value, base) {
                problems.push((entry.line, format!("{} = {}: {why}", entry.key, entry.value)));
            }
        }
        problems.sort();
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}

fn text(value: &str, _base: &Path) -> Result<String, String> {
    Ok(value.to_owned())
}

fn path(value: &str, base: &Path) -> Result<PathBuf, String> {
    Ok(base.join(value))
}

/// A program. A name without a slash is looked up in PATH.
fn program(value: &str, base: &Path) -> Result<PathBuf, String> {
    if value.contains('/') { path(value, base) } else { Ok(value.into()) }
}

fn path_or_memory(value: &str, base: &Path) -> Result<PathBuf, String> {
    if value == MEMORY { Ok(value.into()) } else { path(value, base) }
}

/// Kinds of tasks, separated by commas.
fn kinds(value: &str, _base: &Path) -> Result<TaskKinds, String> {
    value.split(',').map(|word| kind(word.trim())).collect()
}

/// A kind of tasks, by its word.
pub(crate) fn kind(word: &str) -> Result<TaskKind, String> {
    TaskKind::from_word(word)
        .ok_or_else(|| format!("{word:?} must be one of {}", TaskKind::ALL.map(TaskKind::as_str).join(", ")))
}

fn number<T: TryFrom<u64>>(bounds: Bounds) -> impl Fn(&str, &Path) -> Result<T, String> {
    move |value, _base| bounds.read(value)
}

fn word<T: clap::ValueEnum>(value: &str, _base: &Path) -> Result<T, String> {
    T::from_str(value, true).map_err(|_| {
        let known: Vec<String> =
            T::value_variants().iter().filter_map(|one| Some(one.to_possible_value()?.get_name().to_owned())).collect();
        format!("must be one of {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_their_bounds_are_refused() {
        for text in [
            "slots=-1",
            "slots=10001",
            "slots=1e3",
            "retain_jobs=-5",
            "max_job_bytes=-1",
            "max_job_depth=121",
            "max_value_bytes=134217729",
            "heartbeat=65536",
            "log_retain=-1",
            "allow=modules,everything",
            "allow=,",
        ] {
            let problems =
                Config::parse(&format!("[HUB]\n{}", text.replace("log_", "\n[LOGGING]\nlog_")), Path::new("."));
            assert!(problems.is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_directory_of_the_file() {
        let config = Config::parse("[HUB]\ntasks_dir=tasks\npid_file=/run/x\n", Path::new("/etc/hub")).unwrap();
        assert_eq!(config.tasks_dir.unwrap(), Path::new("/etc/hub/tasks"));
        assert_eq!(config.pid_file.unwrap(), Path::new("/run/x"));
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = "[HUB]\nbrokr=x\nslots=0\n[LOGING]\na=1\n[LOGGING]\nlog_level=loud\nlog_max_size=big\n";
        let problems = Config::parse(text, Path::new(".")).unwrap_err();
        let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 5, 7, 8]);
        assert!(problems[0].1.contains("did you mean broker?"), "{problems:?}");
        assert!(problems[3].1.contains("debug, info, warning"), "{problems:?}");
    }
}
