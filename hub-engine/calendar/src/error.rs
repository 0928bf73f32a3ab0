//! What is wrong with the times of a schedule.

use std::fmt;

/// The part of a [`CalendarSpec`](crate::CalendarSpec) that has a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CalendarField {
    /// A cron expression, or the list of them.
    Cron,
    /// The interval.
    Every,
    /// The time from which intervals are counted.
    Anchor,
    /// The name of the time zone.
    Timezone,
}

impl CalendarField {
    /// The name of the field in a schedule.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Every => "every",
            Self::Anchor => "anchor",
            Self::Timezone => "timezone",
        }
    }
}

impl fmt::Display for CalendarField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem of a [`CalendarSpec`](crate::CalendarSpec).
///
/// It is displayed on one line, with places counted from 1: `cron 2, character 5: hour 24 is out of range: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CalendarError {
    /// Where the problem is.
    pub field: CalendarField,
    /// The index of the cron expression, from 0. It is 0 for the other fields.
    pub index: usize,
    /// The place in the text, in characters from 0. `None` if the whole value is the problem.
    pub position: Option<usize>,
    /// What is wrong, and what to write instead.
    pub message: String,
    /// A complete replacement for the text. It is always accepted by [`Calendar::new`](crate::Calendar::new).
    pub suggestion: Option<String>,
}

impl CalendarError {
    /// A problem of a value that is no text.
    pub(crate) fn of_value(field: CalendarField, message: impl Into<String>) -> Self {
        Self { field, index: 0, position: None, message: message.into(), suggestion: None }
    }
}

impl fmt::Display for CalendarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.field)?;
        if self.field == CalendarField::Cron {
            write!(f, " {}", self.index + 1)?;
        }
        if let Some(position) = self.position {
            write!(f, ", character {}", position + 1)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, " (did you mean {suggestion:?}?)"),
            None => Ok(()),
        }
    }
}
