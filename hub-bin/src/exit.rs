//! How the programs end: exit codes, and errors for people.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use hub_core::text::ShownLines;
use hub_engine::operations::{RequestError, RequestErrorKind};

/// Exit codes. Documented in `docs/client.md`; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    JobFailed = 1,
    Usage = 2,
    NotFound = 3,
    Unreachable = 4,
    Refused = 5,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure, with the exit code that it makes.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), source: None }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Tells the user, and ends with the code. What it quotes may come from anywhere.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("error: {}", ShownLines(self));
        self.exit.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut next = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = next {
            write!(f, "\n  caused by: {error}")?;
            next = error.source();
        }
        Ok(())
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
            RequestErrorKind::Conflict | RequestErrorKind::Unauthorized | RequestErrorKind::Internal => Exit::Refused,
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
