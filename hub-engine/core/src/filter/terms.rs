//! What a filter consists of.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pattern::Pattern;
use crate::{JobStatus, Timestamp};

/// A filter of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter {
    text: String,
    terms: Vec<Term>,
}

/// One condition of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Whether the jobs match for which the condition does not hold: written as `-status:success`.
    pub is_negated: bool,
    /// The condition.
    pub condition: Condition,
}

/// What has to hold for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has one of these statuses.
    Status(Vec<JobStatus>),
    /// One of its texts matches one of these patterns.
    Text(TextField, Vec<Pattern>),
    /// Its label of this name matches one of these patterns.
    Label(String, Vec<Pattern>),
    /// One of its times is before or after another time. It does not hold for a job that does not have the time yet.
    Time(TimeField, Relation, When),
}

/// A text of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// The name of the job.
    Name,
    /// The key of its submission.
    Key,
    /// The name of its task that failed first.
    Task,
    /// The kind of the error of this task, or the type of its exception.
    Error,
    /// The version of the definition that it was started from: `etl@7`.
    Definition,
}

/// A time of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeField {
    /// When it was submitted.
    Submitted,
    /// When its first task was handed out.
    Started,
    /// When it ended.
    Ended,
}

/// How a time of a job has to relate to the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Before,
    /// `<=`
    UpTo,
    /// `>`
    After,
    /// `>=`
    From,
}

/// The time to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// This time.
    At(Timestamp),
    /// The time so long before the filter is applied: `-24h`.
    Ago(Duration),
}

impl Filter {
    pub(super) const fn new(text: String, terms: Vec<Term>) -> Self {
        Self { text, terms }
    }

    /// The terms. A job has to match all of them.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.text
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TextField {
    /// All texts.
    pub(super) const ALL: [Self; 5] = [Self::Name, Self::Key, Self::Task, Self::Error, Self::Definition];

    /// Its name in a filter.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Key => "key",
            Self::Task => "task",
            Self::Error => "error",
            Self::Definition => "definition",
        }
    }
}

impl TimeField {
    /// All times.
    pub(super) const ALL: [Self; 3] = [Self::Submitted, Self::Started, Self::Ended];

    /// Its name in a filter.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Started => "started",
            Self::Ended => "ended",
        }
    }
}

impl Relation {
    /// Whether `time` relates to `other` in this way.
    #[must_use]
    pub fn holds(self, time: Timestamp, other: Timestamp) -> bool {
        match self {
            Self::Before => time < other,
            Self::UpTo => time <= other,
            Self::After => time > other,
            Self::From => time >= other,
        }
    }

    /// The operator, which is the same in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "<",
            Self::UpTo => "<=",
            Self::After => ">",
            Self::From => ">=",
        }
    }
}

impl When {
    /// The time, for a filter that is applied at `now`.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(duration) => now.before(duration),
        }
    }
}
