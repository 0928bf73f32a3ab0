//! What a task waits for that runs no module: a time, a signal, or the approval of a person.

use std::sync::Arc;
use std::time::Duration;

use super::moment::Moment;
use super::template::Template;
use crate::Json;

/// The wait of a task. `docs/jobs.md` describes the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What it waits for.
    pub awaited: Awaited,
    /// How long it waits for a signal or an approval. `None`: without a limit.
    pub timeout: Option<Duration>,
    /// How it ends after that time.
    pub on_timeout: OnTimeout,
}

/// What a task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A time.
    Until(Until),
    /// Signals with this name.
    Signal {
        /// The name.
        name: Arc<str>,
        /// Number of signals.
        count: u32,
    },
    /// The choice of a person.
    Approval(Approval),
}

/// Until when a task waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until this time, or for so long.
    Fixed(Moment),
    /// Until the time, or for as long, as the value of this template says.
    Of(Template),
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The question.
    pub message: Option<Template>,
    /// The possible answers.
    pub choices: Vec<Arc<str>>,
    /// The answers that fail the task.
    pub fail_on: Vec<Arc<str>>,
}

/// How a task ends that has waited for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// `FAILED`.
    Fail,
    /// `SKIPPED`.
    Skip,
    /// `SUCCESS` with this data.
    Data(Json),
}

impl Wait {
    /// The largest number of signals that one task waits for.
    pub const MAXIMUM_SIGNALS: u32 = 1000;

    /// The templates in it.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        match &self.awaited {
            Awaited::Until(Until::Of(template)) => Some(template),
            Awaited::Approval(approval) => approval.message.as_ref(),
            Awaited::Until(Until::Fixed(_)) | Awaited::Signal { .. } => None,
        }
        .into_iter()
    }
}

impl Approval {
    /// The possible answers of an approval that names none.
    pub const CHOICES: [&str; 2] = ["approve", "reject"];
    /// The answer that fails a task that does not say which does.
    pub const FAILING: &str = "reject";
    /// The largest number of possible answers.
    pub const MAXIMUM_CHOICES: usize = 20;
}
