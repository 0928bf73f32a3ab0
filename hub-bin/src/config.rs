//! The configuration file: the manual's `[HUB]` and `[LOGGING]`, and Hub's own keys beside them.
//!
//! Flags win over the environment (clap sees to that), both win over the file, the file over the defaults.

use std::path::{Path, PathBuf};

use crate::bounds;
use crate::exit::{Exit, Failure};
use crate::ini;
use crate::store::MEMORY;

/// Everything that a file can say. Absent where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) broker: Option<String>,
    pub(crate) transport: Option<TransportKind>,
    pub(crate) amqp_client: Option<AmqpClient>,
    pub(crate) prefix: Option<String>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) tasks_dir: Option<PathBuf>,
    pub(crate) pools: Option<String>,
    pub(crate) slots: Option<u32>,
    pub(crate) python: Option<PathBuf>,
    pub(crate) http: Option<String>,
    pub(crate) http_token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) client_cert_file: Option<PathBuf>,
    pub(crate) client_key_file: Option<PathBuf>,
    pub(crate) store: Option<PathBuf>,
    pub(crate) retain_jobs: Option<u64>,
    pub(crate) max_job_bytes: Option<u64>,
    pub(crate) max_job_tasks: Option<u64>,
    pub(crate) max_job_depth: Option<u64>,
    pub(crate) max_value_bytes: Option<u64>,
    pub(crate) max_live_bytes: Option<u64>,
    pub(crate) max_result_bytes: Option<u64>,
    pub(crate) max_log_bytes: Option<u64>,
    pub(crate) max_message_bytes: Option<u64>,
    pub(crate) heartbeat: Option<u16>,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) log_max_size: Option<u64>,
    pub(crate) log_retain: Option<u64>,
}

/// What carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TransportKind {
    /// This process alone: no broker
    Memory,
    /// A broker that speaks AMQP 0-9-1, such as RabbitMQ
    Amqp,
}

/// Which client library speaks AMQP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AmqpClient {
    /// lapin
    Lapin,
    /// amqprs
    Amqprs,
}

/// How much is logged. The original's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogLevel {
    /// Everything of interest to developers
    Debug,
    /// What happens
    Info,
    /// What may need attention
    #[value(alias = "warn")]
    Warning,
    /// What failed
    Error,
    /// The same as error
    Critical,
}

const HUB_KEYS: [&str; 25] = [
    "broker",
    "transport",
    "amqp_client",
    "prefix",
    "pid_file",
    "tasks_dir",
    "pools",
    "slots",
    "python",
    "http",
    "http_token_file",
    "ca_file",
    "client_cert_file",
    "client_key_file",
    "store",
    "retain_jobs",
    "max_job_bytes",
    "max_job_tasks",
    "max_job_depth",
    "max_value_bytes",
    "max_live_bytes",
    "max_result_bytes",
    "max_log_bytes",
    "max_message_bytes",
    "heartbeat",
];
const LOGGING_KEYS: [&str; 4] = ["log_file", "log_level", "log_max_size", "log_retain"];

impl Config {
    /// Reads a file. Relative paths in it are meant from its own directory.
    ///
    /// # Errors
    /// With everything that is wrong with it, each with its line.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(path).map_err(|error| {
            Failure::new(Exit::Usage, format!("cannot read the configuration file {}", path.display())).because(error)
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line =
                error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = format!("the configuration file {} is not UTF-8 text: see line {line}", path.display());
            Failure::new(Exit::Usage, message).advise(hub_core::job::encoding_advice(error.as_bytes()))
        })?;
        let base = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, base).map_err(|problems| {
            let lines: Vec<String> =
                problems.iter().map(|(line, why)| format!("\n  {}:{line}: {why}", path.display())).collect();
            Failure::new(Exit::Usage, format!("the configuration file cannot be used:{}", lines.concat()))
        })
    }

    fn parse(text: &str, base: &Path) -> Result<Self, Vec<(usize, String)>> {
        let (entries, bad) = ini::read(text);
        let mut config = Self::default();
        let mut problems: Vec<(usize, String)> = bad.into_iter().map(|bad| (bad.line, bad.why)).collect();
        let mut unknown_sections = Vec::new();
        for entry in &entries {
            let known: &[&str] = match entry.section.to_ascii_uppercase().as_str() {
                "HUB" => &HUB_KEYS,
                "LOGGING" => &LOGGING_KEYS,
                _ => {
                    if !unknown_sections.contains(&entry.section) {
                        unknown_sections.push(entry.section.clone());
                        let why = format!("unknown section [{}]: there are [HUB] and [LOGGING]", entry.section);
                        problems.push((entry.line, why));
                    }
                    continue;
                }
            };
            if !known.contains(&entry.key.as_str()) {
                let near = hub_core::job::nearest(&entry.key, known.iter().copied());
                let hint = near
                    .map_or_else(|| format!("known are {}", known.join(", ")), |near| format!("did you mean {near}?"));
                problems.push((entry.line, format!("unknown key {} in [{}]: {hint}", entry.key, entry.section)));
            } else if let Err(why) = config.set(&entry.key, &entry.value, base) {
                problems.push((entry.line, format!("{} = {}: {why}", entry.key, entry.value)));
            }
        }
        problems.sort();
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    fn set(&mut self, key: &str, value: &str, base: &Path) -> Result<(), String> {
        let path = || Ok::<_, String>(Some(base.join(value)));
        if value.is_empty() {
            return Err("the value is missing: write one, or remove the line".to_owned());
        }
        match key {
            "broker" => self.broker = Some(value.to_owned()),
            "transport" => self.transport = Some(word(value)?),
            "amqp_client" => self.amqp_client = Some(word(value)?),
            "prefix" => self.prefix = Some(value.to_owned()),
            "pid_file" => self.pid_file = path()?,
            "tasks_dir" => self.tasks_dir = path()?,
            "pools" => self.pools = Some(value.to_owned()),
            "slots" => self.slots = Some(bounds::SLOTS.read(value)?),
            // A bare name is looked for in PATH.
            "python" => self.python = if value.contains('/') { path()? } else { Some(value.into()) },
            "http" => self.http = Some(value.to_owned()),
            "http_token_file" => self.http_token_file = path()?,
            "ca_file" => self.ca_file = path()?,
            "client_cert_file" => self.client_cert_file = path()?,
            "client_key_file" => self.client_key_file = path()?,
            "store" => self.store = if value == MEMORY { Some(value.into()) } else { path()? },
            "retain_jobs" => self.retain_jobs = Some(bounds::RETAIN_JOBS.read(value)?),
            "max_job_bytes" => self.max_job_bytes = Some(bounds::MAX_JOB_BYTES.read(value)?),
            "max_job_tasks" => self.max_job_tasks = Some(bounds::MAX_JOB_TASKS.read(value)?),
            "max_job_depth" => self.max_job_depth = Some(bounds::MAX_JOB_DEPTH.read(value)?),
            "max_value_bytes" => self.max_value_bytes = Some(bounds::MAX_VALUE_BYTES.read(value)?),
            "max_live_bytes" => self.max_live_bytes = Some(bounds::MAX_LIVE_BYTES.read(value)?),
            "max_result_bytes" => self.max_result_bytes = Some(bounds::MAX_RESULT_BYTES.read(value)?),
            "max_log_bytes" => self.max_log_bytes = Some(bounds::MAX_LOG_BYTES.read(value)?),
            "max_message_bytes" => self.max_message_bytes = Some(bounds::MAX_MESSAGE_BYTES.read(value)?),
            "heartbeat" => self.heartbeat = Some(bounds::HEARTBEAT.read(value)?),
            "log_file" => self.log_file = path()?,
            "log_level" => self.log_level = Some(word(value)?),
            "log_max_size" => self.log_max_size = Some(bounds::LOG_MAX_SIZE.read(value)?),
            "log_retain" => self.log_retain = Some(bounds::LOG_RETAIN.read(value)?),
            _ => return Err("unknown key".to_owned()),
        }
        Ok(())
    }
}

fn word<T: clap::ValueEnum>(value: &str) -> Result<T, String> {
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
    fn numbers_below_and_beyond_their_limits_are_refused() {
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
        ] {
            let problems =
                Config::parse(&format!("[HUB]\n{}", text.replace("log_", "\n[LOGGING]\nlog_")), Path::new("."));
            assert!(problems.is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_meant_from_the_files_directory() {
        let config = Config::parse("[HUB]\ntasks_dir=tasks\npid_file=/run/x\n", Path::new("/etc/hub")).unwrap();
        assert_eq!(config.tasks_dir.unwrap(), Path::new("/etc/hub/tasks"));
        assert_eq!(config.pid_file.unwrap(), Path::new("/run/x"));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let text = "[HUB]\nbrokr=x\nslots=0\n[LOGING]\na=1\n[LOGGING]\nlog_level=loud\nlog_max_size=big\n";
        let problems = Config::parse(text, Path::new(".")).unwrap_err();
        let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 5, 7, 8]);
        assert!(problems[0].1.contains("did you mean broker?"), "{problems:?}");
        assert!(problems[3].1.contains("debug, info, warning"), "{problems:?}");
    }
}
