//! Where log lines go, and what they look like: `INFO  Starting worker, waiting for tasks...`

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::Path;

use logroller::{LogRollerBuilder, Rotation, RotationSize};
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

/// Where log lines go.
pub(crate) struct Log<'a> {
    pub(crate) file: Option<&'a Path>,
    pub(crate) level: LogLevel,
    pub(crate) max_size: Option<u64>,
    pub(crate) retain: Option<u64>,
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
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
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
        context.format_fields(line.by_ref(), event)?;
        writeln!(line)
    }
}
