//! Whether a job matches a filter, for stores that keep jobs in memory.

use super::pattern::Pattern;
use super::terms::{Condition, Term, TextField, TimeField};
use crate::Timestamp;
use crate::job::Job;
use crate::state::{ErrorKind, JobState};

impl Term {
    /// How much it costs to compare a job: the number of values.
    #[must_use]
    pub const fn cost(&self) -> usize {
        match &self.condition {
            Condition::Text(_, patterns) | Condition::Label(_, patterns) => patterns.len(),
            Condition::Status(_) | Condition::Time(..) => 1,
        }
    }

    /// Whether a job in this state matches at `now`.
    #[must_use]
    pub fn matches(&self, job: &Job, state: &JobState, now: Timestamp) -> bool {
        holds(&self.condition, job, state, now) != self.is_negated
    }
}

fn holds(condition: &Condition, job: &Job, state: &JobState, now: Timestamp) -> bool {
    match condition {
        Condition::Status(statuses) => statuses.contains(&state.status),
        Condition::Text(field, patterns) => {
            let failure = state.first_failure.as_deref();
            let texts = match field {
                TextField::Name => [Some(job.name()), None],
                TextField::Key => [job.key(), None],
                TextField::Definition => {
                    let pin = job.definition().map(ToString::to_string);
                    return pin.is_some_and(|pin| is_any(patterns, &pin));
                }
                TextField::Task => [failure.map(|failure| &*failure.task), None],
                TextField::Error => [
                    failure.and_then(|failure| failure.kind).map(ErrorKind::as_str),
                    failure.and_then(|failure| failure.type_name.as_deref()),
                ],
            };
            texts.into_iter().flatten().any(|text| is_any(patterns, text))
        }
        Condition::Label(name, patterns) => {
            state.labels(job).get(name.as_str()).is_some_and(|value| is_any(patterns, value))
        }
        Condition::Time(field, relation, when) => {
            let time = match field {
                TimeField::Submitted => Some(state.submitted_at),
                TimeField::Started => state.started_at,
                TimeField::Ended => state.ended_at,
            };
            time.is_some_and(|time| relation.holds(time, when.at(now)))
        }
    }
}

fn is_any(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}
