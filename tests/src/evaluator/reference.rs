//! Strings in a job: plain texts, escaped texts, and references.

use serde_json::Value;

/// The meaning of a string in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// A text, without the escaping underscore.
    Literal(&'a str),
    /// A value of a task.
    Reference(Reference<'a>),
    /// A part of the error of the task that the text belongs to, or of how the job of a handler ended: the path into it.
    Failure(Vec<&'a str>),
    /// A part of the inputs of the job: the path into them.
    Input(Vec<&'a str>),
    /// A value of the upstream task that has decided the trigger rule. Its name is empty.
    First(Reference<'a>),
}

/// `_TASK.ATTRIBUTE[.STEP…]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The name of the task.
    pub task: &'a str,
    /// The attribute of the task.
    pub attribute: Attribute,
    /// The keys and indices of the path into the value.
    pub path: Vec<&'a str>,
}

/// The attribute of a task in a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Its result.
    Data,
    /// Its status.
    Status,
    /// Its error.
    Error,
    /// Its id.
    Id,
    /// Its name.
    Name,
    /// `_.item`: the item that the task runs for.
    Item,
    /// `_.index`: the number of the item.
    Index,
}

impl<'a> Text<'a> {
    /// Parses a string of an accepted job.
    ///
    /// # Panics
    /// If the string is invalid in a job.
    #[must_use]
    pub fn read(text: &'a str) -> Self {
        match text.strip_prefix('_') {
            None => Self::Literal(text),
            Some(rest) if rest.starts_with('_') => Self::Literal(rest),
            // The worker replaces secrets, which the Hub does not know.
            Some(rest) if rest.starts_with(".secret.") => Self::Literal(text),
            Some(rest) if rest.starts_with(".failure") => Self::Failure(rest.split('.').skip(2).collect()),
            Some(rest) if rest == ".input" || rest.starts_with(".input.") => {
                Self::Input(rest.split('.').skip(2).collect())
            }
            Some(rest) if rest.starts_with(".first.") => {
                let of_first = Reference::read(&rest[".first".len()..]);
                Self::First(of_first.unwrap_or_else(|| panic!("{text:?} reads nothing of the first task")))
            }
            Some(rest) => {
                let reference = Reference::read(rest);
                Self::Reference(reference.unwrap_or_else(|| panic!("{text:?} is neither a reference nor a text")))
            }
        }
    }
}

impl<'a> Reference<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split('.');
        let (task, attribute) = (parts.next()?, parts.next()?);
        let attribute = match attribute {
            "item" if task.is_empty() => Attribute::Item,
            "index" if task.is_empty() => Attribute::Index,
            "data" => Attribute::Data,
            "status" => Attribute::Status,
            "error" => Attribute::Error,
            "id" => Attribute::Id,
            "name" => Attribute::Name,
            _ => return None,
        };
        Some(Self { task, attribute, path: parts.collect() })
    }
}

impl Attribute {
    /// Whether it is known only after the end of the task.
    #[must_use]
    pub const fn needs_end(self) -> bool {
        matches!(self, Self::Data | Self::Status | Self::Error)
    }
}

/// The value at the end of a path.
///
/// # Errors
/// The index of the step without a value.
pub fn walk<'v>(value: &'v Value, path: &[&str]) -> Result<&'v Value, usize> {
    path.iter().enumerate().try_fold(value, |here, (step, key)| {
        let found = match here {
            Value::Object(object) => object.get(*key),
            Value::Array(items) => index(key).and_then(|index| items.get(index)),
            _ => None,
        };
        found.ok_or(step)
    })
}

/// Parses an index: digits without a leading zero.
fn index(key: &str) -> Option<usize> {
    let is_index = key == "0" || (!key.starts_with('0') && key.bytes().all(|byte| byte.is_ascii_digit()));
    key.parse().ok().filter(|_| is_index)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_are_texts_or_references() {
        for (text, literal) in [("", ""), ("plain", "plain"), ("a_b", "a_b"), ("__x", "_x"), ("___", "__"), ("__", "_")]
        {
            assert_eq!(Text::read(text), Text::Literal(literal));
        }
        let reference = |task, attribute, path: &[&'static str]| {
            Text::Reference(Reference { task, attribute, path: path.to_vec() })
        };
        assert_eq!(Text::read("_a.data"), reference("a", Attribute::Data, &[]));
        assert_eq!(Text::read("_a_b.data.x.0"), reference("a_b", Attribute::Data, &["x", "0"]));
        assert_eq!(Text::read("_a b.status"), reference("a b", Attribute::Status, &[]));
        assert_eq!(Text::read("_.failure.bases.0"), Text::Failure(vec!["bases", "0"]));
        let first = Reference { task: "", attribute: Attribute::Data, path: vec!["day", "0"] };
        assert_eq!(Text::read("_.first.data.day.0"), Text::First(first));
        assert_eq!(Text::read("_.input"), Text::Input(vec![]));
        assert_eq!(Text::read("_.input.day.0"), Text::Input(vec!["day", "0"]));
        for text in ["_", "_a", "_.inputs", "_a.", "_a.Data", "_a.output"] {
            assert!(std::panic::catch_unwind(|| Text::read(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn paths_lead_through_objects_and_lists() {
        let value = json!({"list": [null, {"": 7, "0": "zero"}], "01": true, "text": "abc"});
        for (path, expected) in [
            (vec![], Ok(value.clone())),
            (vec!["list", "0"], Ok(json!(null))),
            (vec!["list", "1", ""], Ok(json!(7))),
            (vec!["list", "1", "0"], Ok(json!("zero"))),
            (vec!["01"], Ok(json!(true))),
            (vec!["list", "2"], Err(1)),
            (vec!["list", "01"], Err(1)),
            (vec!["list", "+1"], Err(1)),
            (vec!["list", ""], Err(1)),
            (vec!["text", "0"], Err(1)),
            (vec!["list", "0", "x", "y"], Err(2)),
            (vec!["missing"], Err(0)),
        ] {
            assert_eq!(walk(&value, &path).cloned(), expected, "{path:?}");
        }
    }
}
