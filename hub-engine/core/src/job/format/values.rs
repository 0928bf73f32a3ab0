//! Readers of values that several objects share.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::Json;
use crate::job::delay::Delay;
use crate::job::moment::Moment;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::reader::Reader;
use crate::job::rules;
use crate::job::value::{Kind, Value};

/// A name of any kind. Messages begin with `what`.
pub(super) fn name<'a>(reader: &mut Reader, value: Value<'a>, path: Path<'_>, what: &str) -> Option<Cow<'a, str>> {
    let name = reader.string(value, path, what)?;
    reader.check_rule(rules::name(what, &name), ProblemCode::BadName, path, value.at).map(|()| name)
}

/// A priority.
pub(super) fn priority(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<i32> {
    let digits = reader.whole_number(value, path, "\"priority\"")?;
    reader.check_rule(rules::priority(digits), ProblemCode::OutOfRange, path, value.at)
}

/// Whether a value can be one word of a command, the value of a variable or that of a header: a string without NUL, or a
/// number. Messages begin with `what`.
pub(in crate::job) fn is_word(reader: &mut Reader, value: Value<'_>, path: Path<'_>, what: &str) -> bool {
    let (code, message, suggestion) = match value.kind() {
        Kind::String if value.decoded().contains('\0') => {
            (ProblemCode::OutOfRange, format!("{what} must not contain NUL"), None)
        }
        Kind::String | Kind::Number => return true,
        kind => {
            let message = format!("{what} must be a string or a number, not {}", kind.name());
            let suggestion = matches!(kind, Kind::Boolean | Kind::Null).then_some("write it in quotation marks");
            (ProblemCode::WrongType, message, suggestion)
        }
    };
    reader.report.add(code, path, value.at, message, suggestion.map(str::to_owned));
    false
}

/// The object `meta`, stored with its key.
pub(super) fn meta(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<(String, Json)> {
    let object = reader.object(value, path, "\"meta\"")?;
    Some(("meta".to_owned(), Json::from_checked(object.text)))
}

/// A duration that is not zero.
pub(super) fn duration(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<Duration> {
    let duration = duration_or_zero(reader, value, path)?;
    let rule = if duration.is_zero() { Err("a duration is at least 1 ms".to_owned()) } else { Ok(duration) };
    reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at)
}

/// A duration.
pub(in crate::job) fn duration_or_zero(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<Duration> {
    if value.kind() != Kind::Number {
        reader.string(value, path, "a duration")?;
    }
    reader.check_rule(Delay::read(&Json::from_checked(value.text)), ProblemCode::OutOfRange, path, value.at)
}

/// A duration that is not zero, or a time.
pub(in crate::job) fn moment(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<Moment> {
    if value.kind() != Kind::Number {
        reader.string(value, path, "a time or a duration")?;
    }
    let rule = Moment::read(&Json::from_checked(value.text)).and_then(|moment| match moment {
        Moment::After(Duration::ZERO) => Err("a duration is at least 1 ms".to_owned()),
        moment => Ok(moment),
    });
    reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at)
}

/// A number, whole or not.
pub(super) fn number(reader: &mut Reader, value: Value<'_>, path: Path<'_>, range: RangeInclusive<f64>) -> Option<f64> {
    let number = reader.number(value, path, "it")?;
    let number = Some(number).filter(|number| range.contains(number));
    let rule =
        number.ok_or_else(|| format!("it must be from {} to {}, not {}", range.start(), range.end(), value.text));
    reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at)
}

/// Kinds and types of errors.
pub(super) fn error_names(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Vec<Arc<str>> {
    let Some(list) = reader.list(value, path, "a list of errors") else { return Vec::new() };
    let mut errors = Vec::new();
    for (index, value) in list.elements().enumerate() {
        let path = path.index(index);
        let Some(error) = reader.string(value, path, "the name of an error") else { continue };
        if reader
            .check_rule(rules::name("the name of an error", &error), ProblemCode::BadName, path, value.at)
            .is_some()
        {
            errors.push(reader.interner.text(&error));
        }
    }
    errors
}
