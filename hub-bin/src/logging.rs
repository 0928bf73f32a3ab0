//! The destination and the format of log lines: `INFO  Starting worker, waiting for tasks...`
//!
//! Each event is one line. Control characters in names, keys and messages are escaped here, so that they have no effect on a
//! terminal.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use hub_core::text::{Escaping, Shown};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, LogLevel};
use crate::exit::{Exit, Failure};
use crate::parts::{Parts, Rotation};

/// The targets of Hub's own events: all crates whose names begin with this prefix.
const HUB: [&str; 1] = ["hub_"];
/// Default size at which a log file is rotated, in bytes.
const MAX_LOG_SIZE: u64 = 5 * 1024 * 1024;
/// Default number of rotated log files that are kept.
const RETAINED_LOGS: u64 = 5;

static HAS_FILE: AtomicBool = AtomicBool::new(false);

/// Options of logging.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Write log lines to this file instead of standard error
    #[arg(long, env = "HUB_LOG_FILE", value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Minimum level of the events to log [default: info]
    #[arg(long, env = "HUB_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<LogLevel>,
}

impl LogArgs {
    pub(crate) fn start(self, config: &Config, parts: &Parts) -> Result<(), Failure> {
        let file = self.log_file.or_else(|| config.log_file.clone());
        let rotation = Rotation {
            max_size: config.log_max_size.unwrap_or(MAX_LOG_SIZE),
            retain: config.log_retain.unwrap_or(RETAINED_LOGS),
        };
        let file = file.map(|path| {
            (parts.open_log)(&path, rotation).map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot write the log file {}", path.display())).because(error)
            })
        });
        start(self.log_level.or(config.log_level).unwrap_or(LogLevel::Info), file.transpose()?);
        Ok(())
    }
}

/// Whether log lines go to a file.
pub(crate) fn has_file() -> bool {
    HAS_FILE.load(Ordering::Relaxed)
}

/// Starts logging for the lifetime of the process, to `file` or to standard error.
pub(crate) fn start(level: LogLevel, file: Option<Box<dyn io::Write + Send>>) {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Critical => LevelFilter::ERROR,
    };
    // Hub's own events have the requested level. Of libraries, only errors are logged. Events of the AMQP clients are never
    // logged, because Hub reports their errors.
    let filter = Targets::new()
        .with_default(LevelFilter::ERROR)
        .with_targets(["lapin", "amqprs"].map(|client| (client, LevelFilter::OFF)))
        .with_targets(HUB.map(|part| (part, level)));
    let lines = tracing_subscriber::fmt::layer();
    let registry = tracing_subscriber::registry().with(filter);
    match file {
        None => {
            // Colours only on a terminal.
            let ansi = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let lines = lines.with_ansi(ansi).event_format(Lines { time: false }).with_writer(io::stderr);
            registry.with(lines).init();
        }
        Some(file) => {
            HAS_FILE.store(true, Ordering::Relaxed);
            let lines = lines.with_ansi(false).event_format(Lines { time: true }).with_writer(Mutex::new(file));
            registry.with(lines).init();
        }
    }
}

struct Lines {
    time: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.time {
            write!(line, "{} ", hub_engine::clock::wall())?;
        }
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        write!(line, "{level:<5} ")?;
        let ansi = line.has_ansi_escapes();
        let mut fields = Fields { line: line.by_ref(), ansi, begun: false, outcome: Ok(()) };
        event.record(&mut fields);
        fields.outcome?;
        writeln!(line)
    }
}

/// Writes the fields of an event: the message, which tracing passes first, then `name=value`.
struct Fields<'a> {
    line: Writer<'a>,
    /// Whether field names are highlighted.
    ansi: bool,
    begun: bool,
    outcome: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) -> fmt::Result {
        if std::mem::replace(&mut self.begun, true) {
            self.line.write_char(' ')?;
        }
        match field.name() {
            "message" => {}
            name if self.ansi => write!(self.line, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?,
            name => write!(self.line, "{name}=")?,
        }
        Escaping::one_line(self.line.by_ref()).write_fmt(value)
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.outcome.is_ok() {
            self.outcome = self.write(field, value);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.add(field, format_args!("{value}"));
        } else {
            self.add(field, format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field, format_args!("{value}"));
        let (mut causes, mut next) = (Vec::new(), value.source());
        while let Some(cause) = next {
            causes.push(Shown(cause).to_string());
            next = cause.source();
        }
        if !causes.is_empty() && self.outcome.is_ok() {
            self.outcome = write!(self.line, " {field}.sources=[{}]", causes.join(", "));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are written while `log` runs.
    fn logged(ansi: bool, log: impl FnOnce()) -> String {
        let (sink, lines) = (Sink::default(), Lines { time: false });
        let writer = sink.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(ansi).event_format(lines).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap()
    }

    const HOSTILE: &str = "a\u{1b}[2J\nERROR forged \u{202e}b\u{9b}31m\r";

    #[test]
    fn an_event_is_one_line_despite_control_characters() {
        let source = io::Error::other(HOSTILE);
        let error = Failure::new(Exit::Usage, HOSTILE).because(source);
        let written = logged(false, || {
            tracing::warn!(
                key = %HOSTILE,
                text = HOSTILE,
                debug = ?Some(HOSTILE),
                error = &io::Error::other(error.to_string()) as &dyn Error,
                "a name: {HOSTILE}"
            );
        });
        assert!(written.starts_with("WARNING a name: a\\u{1b}[2J\\nERROR forged"), "{written:?}");
        assert_eq!(written.matches('\n').count(), 1, "{written:?}");
        assert!(written.trim_end_matches('\n').chars().all(|one| !hub_core::text::is_active(one)), "{written:?}");
    }

    #[test]
    fn on_a_terminal_only_field_names_are_highlighted() {
        let written = logged(true, || tracing::info!(key = %HOSTILE, "said"));
        assert!(written.starts_with("INFO  said \u{1b}[3mkey\u{1b}[0m\u{1b}[2m=\u{1b}[0ma\\u{1b}[2J"), "{written:?}");
    }

    #[test]
    fn causes_follow_their_error() {
        let written = logged(false, || {
            let error = hub_transport::Error::new(
                hub_transport::ErrorKind::Closed,
                hub_transport::Operation::Publish,
                "no way",
            )
            .with_source(io::Error::other("the cause"));
            tracing::error!(error = &error as &dyn Error, code = 7, on = true, "failed");
        });
        assert!(written.starts_with("ERROR failed error="), "{written}");
        assert!(written.contains("error.sources=[the cause]"), "{written}");
        assert!(written.ends_with(" code=7 on=true\n"), "{written}");
    }
}
