//! The keys of a retry policy.

use std::time::Duration;

use super::key::{self, Object, Table};
use super::{object, shapes, values};
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::quoted::quoted;
use crate::job::reader::Reader;
use crate::job::retry::{Exhausted, RetryPolicy};
use crate::job::value::{Kind, Value};

type Key = key::Key<RetryObject>;

/// The largest backoff coefficient.
const MAXIMUM_BACKOFF: f64 = 1000.0;

/// The keys of a retry policy. A new one goes here, once.
pub(super) static RETRY: Table<RetryObject> = Table {
    title: "Retry",
    about: "Whether and when a task is tried again after a failure.",
    noun: "\"retry\"",
    place: "it belongs in \"retry\"",
    keys: &[
        Key::new(
            "maximum_attempts",
            "0.2.0",
            |reader, draft, value, path| draft.policy.maximum_attempts = attempts(reader, value, path),
            shapes::attempts,
            "Number of attempts, the first one included; default 3.",
        ),
        Key::new(
            "initial_interval",
            "0.2.0",
            |reader, draft, value, path| draft.initial = values::duration(reader, value, path),
            shapes::duration,
            "The wait after the first failure; default 1s.",
        ),
        Key::new(
            "backoff_coefficient",
            "0.2.0",
            |reader, draft, value, path| draft.policy.backoff_coefficient = backoff(reader, value, path),
            shapes::backoff,
            "What each interval is multiplied by to get the next one; default 2.",
        ),
        Key::new(
            "maximum_interval",
            "0.2.0",
            |reader, draft, value, path| draft.maximum = values::duration(reader, value, path).map(|it| (it, value.at)),
            shapes::duration,
            "The longest interval; default 100 times initial_interval, at most 24 hours.",
        ),
        Key::new(
            "jitter",
            "0.2.0",
            |reader, draft, value, path| draft.policy.jitter = jitter(reader, value, path),
            shapes::fraction,
            "The part of an interval by which chance may shorten it, from 0 to 1; default 0.2.",
        ),
        Key::new(
            "retry_on",
            "0.2.0",
            |reader, draft, value, path| draft.policy.retry_on = values::error_names(reader, value, path),
            shapes::error_names,
            "Kinds and types of errors: other errors are not tried again.",
        ),
        Key::new(
            "non_retryable",
            "0.2.0",
            |reader, draft, value, path| draft.policy.non_retryable = values::error_names(reader, value, path),
            shapes::error_names,
            "Kinds and types of errors that are not tried again, even if retry_on names them.",
        ),
        Key::new(
            "exhausted",
            "0.2.0",
            |reader, draft, value, path| draft.holds = exhausted(reader, value, path),
            shapes::exhausted,
            "What happens after the last attempt: the task fails (fail), or waits for an operator (hold); default fail.",
        ),
        Key::new(
            "hold_for",
            "0.2.0",
            |reader, draft, value, path| {
                draft.hold_for = values::duration(reader, value, path).map(|it| (it, value.at));
            },
            shapes::duration,
            "How long a task waits for an operator before it fails; default 7d.",
        ),
    ],
    planned: &[],
    reserved: &[],
    beside: None,
};

/// A retry policy as an object of the format.
pub(super) struct RetryObject;

/// A retry policy while its keys are read.
pub(super) struct Draft {
    policy: RetryPolicy,
    initial: Option<Duration>,
    maximum: Option<(Duration, usize)>,
    holds: bool,
    hold_for: Option<(Duration, usize)>,
}

impl Object for RetryObject {
    type Draft<'a> = Draft;
}

/// Reads a retry policy: an object, or the number of attempts.
pub(super) fn read(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<RetryPolicy> {
    if value.kind() == Kind::Number {
        return Some(RetryPolicy { maximum_attempts: attempts(reader, value, path), ..RetryPolicy::default() });
    }
    let value = reader.object_or("the number of attempts", value, path, "\"retry\"")?;
    let policy = RetryPolicy::default();
    let mut draft = Draft { policy, initial: None, maximum: None, holds: false, hold_for: None };
    object::read(reader, &RETRY, value, path, &mut draft);
    let Draft { policy, initial, maximum, holds, hold_for } = draft;
    let initial_interval = initial.unwrap_or(policy.initial_interval);
    if let Some((maximum, at)) = maximum.filter(|(maximum, _)| *maximum < initial_interval) {
        let message = format!("maximum_interval ({maximum:?}) is shorter than initial_interval ({initial_interval:?})");
        reader.report.add(ProblemCode::OutOfRange, path.key("maximum_interval"), at, message, None);
    }
    if let Some((_, at)) = hold_for.filter(|_| !holds) {
        let message = "hold_for has no effect without \"exhausted\": \"hold\"".to_owned();
        reader.report.add(ProblemCode::OutOfRange, path.key("hold_for"), at, message, None);
    }
    let held = hold_for.map_or(RetryPolicy::HOLD, |(hold_for, _)| hold_for);
    Some(RetryPolicy {
        initial_interval,
        maximum_interval: maximum.map_or_else(|| RetryPolicy::usual_maximum(initial_interval), |(maximum, _)| maximum),
        exhausted: if holds { Exhausted::Hold(held) } else { Exhausted::Fail },
        ..policy
    })
}

fn attempts(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> u32 {
    let Some(digits) = reader.whole_number(value, path, "the number of attempts") else { return RetryPolicy::ATTEMPTS };
    let attempts = digits.parse().ok().filter(|attempts| (1..=RetryPolicy::MAXIMUM_ATTEMPTS).contains(attempts));
    let rule = attempts.ok_or_else(|| {
        format!("the number of attempts is from 1, which means no retry, to {}", RetryPolicy::MAXIMUM_ATTEMPTS)
    });
    reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at).unwrap_or(RetryPolicy::ATTEMPTS)
}

fn backoff(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> f64 {
    values::number(reader, value, path, 1.0..=MAXIMUM_BACKOFF).unwrap_or(1.0)
}

fn jitter(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> f64 {
    values::number(reader, value, path, 0.0..=1.0).unwrap_or(0.0)
}

fn exhausted(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> bool {
    let Some(word) = reader.string(value, path, "\"exhausted\"") else { return false };
    let rule = match &*word {
        "fail" => Ok(false),
        "hold" => Ok(true),
        other => Err(format!("\"exhausted\" is \"fail\" or \"hold\", not {}", quoted(other))),
    };
    reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at).unwrap_or(false)
}
