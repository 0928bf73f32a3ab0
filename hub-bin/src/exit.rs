//! Exit codes and error messages of the programs.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use hub_core::text::ShownLines;
use hub_engine::operations::{RequestError, RequestErrorKind};

use crate::stdio;

/// Exit codes. They are documented in `docs/client.md`, and scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    JobFailed = 1,
    Usage = 2,
    NotFound = 3,
    Unreachable = 4,
    Refused = 5,
    /// The time limit `--wait-limit` was exceeded before the job ended.
    WaitLimit = 6,
    /// Output could not be written to standard output.
    Output = 7,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    advice: Vec<String>,
    /// No message is printed, because the reader closed the pipe.
    is_silent: bool,
}

/// Writes a line to standard error. Errors are ignored, since they could not be reported.
pub(crate) fn tell(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", ShownLines(line));
}

/// Writes a line to standard output.
///
/// # Errors
/// If the write fails.
pub(crate) fn answer(line: impl fmt::Display) -> Result<(), Failure> {
    stdio::write_line(ShownLines(line)).map_err(Failure::output)
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), source: None, advice: Vec::new(), is_silent: false }
    }

    /// The failure of a write to standard output.
    pub(crate) fn output(error: io::Error) -> Self {
        let is_silent = error.kind() == io::ErrorKind::BrokenPipe;
        let failure = Self::new(Exit::Output, "cannot write to standard output").because(error);
        Self { is_silent, ..failure }
    }

    /// Adds advice, or information that must not be lost, unless the failure contains it already.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        let advice = advice.into();
        if !self.to_string().contains(&advice) {
            self.advice.push(advice);
        }
        self.is_silent = false;
        self
    }

    /// Adds the id of the job, unless the message contains it.
    pub(crate) fn about(self, id: hub_core::JobId) -> Self {
        if self.to_string().contains(&id.to_string()) {
            return self;
        }
        self.advise(format!("the job's id is {id}"))
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The failure in one line, for a log.
    pub(crate) fn in_one_line(&self) -> String {
        self.to_string().replace("\n  ", "; ").replace('\n', "; ")
    }

    /// Prints the failure, with escapes, and returns its exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.is_silent {
            tell(format_args!("error: {}", ShownLines(self)));
        }
        self.exit.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut said = self.message.clone();
        let mut next = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = next {
            let text = error.to_string();
            // An error may repeat the text of the previous one.
            if !said.contains(&text) {
                write!(f, "\n  caused by: {text}")?;
                said = text;
            }
            next = error.source();
        }
        self.advice.iter().try_for_each(|advice| write!(f, "\n  {advice}"))
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let exit = match error.kind {
            RequestErrorKind::InvalidJob | RequestErrorKind::InvalidRequest | RequestErrorKind::TooLarge => Exit::Usage,
            RequestErrorKind::NotFound => Exit::NotFound,
            RequestErrorKind::Unreachable | RequestErrorKind::TimedOut | RequestErrorKind::Unavailable => {
                Exit::Unreachable
            }
            RequestErrorKind::Conflict
            | RequestErrorKind::NotEnded
            | RequestErrorKind::TooMany
            | RequestErrorKind::Unauthorized
            | RequestErrorKind::Internal => Exit::Refused,
        };
        Self::new(exit, error.message)
    }
}

impl From<hub_transport::Error> for Failure {
    fn from(error: hub_transport::Error) -> Self {
        let exit = match error.kind() {
            hub_transport::ErrorKind::Configuration => Exit::Usage,
            _ => Exit::Unreachable,
        };
        let message = error.to_string();
        match std::error::Error::source(&error) {
            Some(source) => Self::new(exit, message).because(source.to_string()),
            None => Self::new(exit, message),
        }
    }
}
