//! Readers of values that several objects share.

use std::borrow::Cow;

use crate::Json;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::reader::Reader;
use crate::job::rules;
use crate::job::value::Value;

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

/// The object `meta`, stored with its key.
pub(super) fn meta(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<(String, Json)> {
    let object = reader.object(value, path, "\"meta\"")?;
    Some(("meta".to_owned(), Json::from_checked(object.text)))
}
