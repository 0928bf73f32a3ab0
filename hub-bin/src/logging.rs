//! Where log lines go, and what they look like: `INFO  Starting worker, waiting for tasks...`
//!
//! An event is one line, and nothing in it acts on the terminal that shows it: names, keys and messages from outside are
//! escaped here, at the one place where lines are written.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use hub_core::text::{Escaping, Shown};
use logroller::{LogRollerBuilder, Rotation, RotationSize};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogLevel;
use crate::exit::{Exit, Failure};

/// A log file is put aside at this size where the configuration does not say, in bytes.
const MAX_SIZE: u64 = 5 * 1024 * 1024;
/// So many put aside are kept.
const RETAIN: u64 = 5;

static HAS_FILE: AtomicBool = AtomicBool::new(false);

/// Where log lines go.
pub(crate) struct Log<'a> {
    pub(crate) file: Option<&'a Path>,
    pub(crate) level: LogLevel,
    pub(crate) max_size: Option<u64>,
    pub(crate) retain: Option<u64>,
}

/// Whether log lines go to a file.
pub(crate) fn has_file() -> bool {
    HAS_FILE.load(Ordering::Relaxed)
}

/// Starts logging, for the life of the process.
pub(crate) fn start(log: &Log<'_>) -> Result<(), Failure> {
    let level = match log.level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warning => "warn",
        LogLevel::Error | LogLevel::Critical => "error",
    };
    // Hub's own words at the level asked for; its libraries only where something is wrong. The AMQP clients
    // not at all: what becomes of their errors is Hub's to say.
    let filter =
        EnvFilter::new(format!("error,lapin=off,amqprs=off,hub_bin={level},hub_engine={level},hub_transport={level}"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    match log.file {
        None => {
            // Whoever keeps what goes to standard error wants text.
            let ansi = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(ansi).event_format(Lines { time: false }).with_writer(io::stderr).init();
        }
        Some(path) => {
            HAS_FILE.store(true, Ordering::Relaxed);
            let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
                Failure::new(Exit::Usage, format!("cannot write the log file {}", path.display())).because(error)
            };
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::create_dir_all(directory).map_err(|error| failed(error.into()))?;
            let name = path.file_name().unwrap_or_default();
            let roller = LogRollerBuilder::new(directory, Path::new(name))
                .rotation(Rotation::SizeBased(RotationSize::Bytes(log.max_size.unwrap_or(MAX_SIZE))))
                .max_keep_files(log.retain.unwrap_or(RETAIN))
                .build()
                .map_err(|error| failed(error.to_string().into()))?;
            builder
                .with_ansi(false)
                .event_format(Lines { time: true })
                .with_writer(std::sync::Mutex::new(roller))
                .init();
        }
    }
    Ok(())
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

/// Writes an event's fields: the message first, as tracing hands it over, then `name=value`.
struct Fields<'a> {
    line: Writer<'a>,
    /// Whether names are set off from values on a terminal.
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

    /// What is written while `log` runs.
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
    fn an_event_is_one_line_whatever_is_in_it() {
        let source = io::Error::other(HOSTILE);
        let error = crate::exit::Failure::new(Exit::Usage, HOSTILE).because(source);
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
    fn on_a_terminal_only_names_of_fields_are_set_off() {
        let written = logged(true, || tracing::info!(key = %HOSTILE, "said"));
        assert!(written.starts_with("INFO  said \u{1b}[3mkey\u{1b}[0m\u{1b}[2m=\u{1b}[0ma\\u{1b}[2J"), "{written:?}");
    }

    #[test]
    fn causes_follow_their_error() {
        let told = logged(false, || {
            let error = hub_transport::Error::new(
                hub_transport::ErrorKind::Closed,
                hub_transport::Operation::Publish,
                "no way",
            )
            .with_source(io::Error::other("the cause"));
            tracing::error!(error = &error as &dyn Error, code = 7, on = true, "failed");
        });
        assert!(told.starts_with("ERROR failed error=") && told.contains("error.sources=[the cause]"), "{told}");
        assert!(told.ends_with(" code=7 on=true\n"), "{told}");
    }
}
