//! `_<task>.<attribute>[.<key or index>…]`: a reference to a part of another task's result.

use std::fmt;

use super::Limits;

/// The attribute of a task that a reference reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// What the task returned.
    Data,
    /// The id of the task. Known from submission on, so it makes no dependency.
    Id,
    /// The name of the task. Known from submission on, so it makes no dependency.
    Name,
    /// The final status of the task.
    Status,
    /// The error of the task; `null` if it did not fail.
    Error,
    /// The item that the task runs for: `_.item`.
    Item,
    /// The number of the item, from 0: `_.index`.
    Index,
    /// The error of the task itself, which has failed: `_.failure`.
    Failure,
    /// How the job of a handler ended: `_.failure`.
    JobFailure,
    /// The id of the job: `_.job.id`.
    JobId,
    /// The name of the job: `_.job.name`.
    JobName,
    /// The time of the schedule that started the job: `_.job.scheduled_at`; `null` if none did.
    JobScheduledAt,
    /// The inputs of a sub-job: `_.input`.
    Input,
    /// What the first upstream task returned: `_.first.data`.
    FirstData,
    /// The id of the first upstream task: `_.first.id`.
    FirstId,
    /// The name of the first upstream task: `_.first.name`.
    FirstName,
    /// The final status of the first upstream task: `_.first.status`.
    FirstStatus,
    /// The error of the first upstream task: `_.first.error`.
    FirstError,
}

/// A reference to a task of the same job, or to what Hub knows of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The task's position in the job. For `_.item`, `_.index`, `_.first` and the `_.failure` of a task, the task
    /// that has the reference; for `_.job`, `_.input` and the `_.failure` of a job, 0.
    pub task: u32,
    /// The attribute of the task.
    pub attribute: Attribute,
    /// The keys and indices into the value, as written.
    pub path: Box<[Box<str>]>,
    /// The node of the path in the tree of this value ([`super::places`]).
    pub(super) place: u32,
}

/// Maximum number of steps of a path. No value is nested deeper.
pub(super) const MAX_STEPS: usize = Limits::MAX_DEPTH;

/// A parsed reference whose task is not resolved yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ParsedReference<'a> {
    pub(super) task: &'a str,
    pub(super) attribute: Attribute,
    pub(super) path: Vec<&'a str>,
}

/// Why a string with a leading underscore is not a valid reference.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed<'a> {
    NoAttribute,
    UnknownAttribute(&'a str),
    EmptyStep,
    TooManySteps(usize),
    NothingInside(Attribute),
}

impl Attribute {
    /// The attributes of other tasks.
    pub(super) const ALL: [Self; 5] = [Self::Data, Self::Id, Self::Name, Self::Status, Self::Error];
    /// What stands behind `_.`.
    pub(super) const OF_HUB: [Self; 12] = [
        Self::Item,
        Self::Index,
        Self::Failure,
        Self::JobId,
        Self::JobName,
        Self::JobScheduledAt,
        Self::Input,
        Self::FirstData,
        Self::FirstId,
        Self::FirstName,
        Self::FirstStatus,
        Self::FirstError,
    ];

    /// The name of the attribute in references.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Id => "id",
            Self::Name => "name",
            Self::Status => "status",
            Self::Error => "error",
            Self::Item => "item",
            Self::Index => "index",
            Self::Failure | Self::JobFailure => "failure",
            Self::JobId => "job.id",
            Self::JobName => "job.name",
            Self::JobScheduledAt => "job.scheduled_at",
            Self::Input => "input",
            Self::FirstData => "first.data",
            Self::FirstId => "first.id",
            Self::FirstName => "first.name",
            Self::FirstStatus => "first.status",
            Self::FirstError => "first.error",
        }
    }

    /// What it reads of the first upstream task. `None` if it reads something else.
    #[must_use]
    pub const fn of_first(self) -> Option<Self> {
        match self {
            Self::FirstData => Some(Self::Data),
            Self::FirstId => Some(Self::Id),
            Self::FirstName => Some(Self::Name),
            Self::FirstStatus => Some(Self::Status),
            Self::FirstError => Some(Self::Error),
            _ => None,
        }
    }

    /// Whether the attribute is known only after the task has ended.
    #[must_use]
    pub const fn needs_end(self) -> bool {
        matches!(self, Self::Data | Self::Status | Self::Error)
    }

    /// Whether a path can lead into it.
    pub(super) const fn has_inside(self) -> bool {
        match self.of_first() {
            Some(of_first) => of_first.has_inside(),
            None => {
                matches!(self, Self::Data | Self::Error | Self::Item | Self::Failure | Self::JobFailure | Self::Input)
            }
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Parses the text after the underscore. Task names have no dots, so the first dot ends the name.
pub(super) fn parse(text: &str) -> Result<ParsedReference<'_>, Malformed<'_>> {
    let mut parts = text.split('.');
    let task = parts.next().unwrap_or_default();
    let word = parts.next().ok_or(Malformed::NoAttribute)?;
    let attribute = Attribute::ALL
        .into_iter()
        .find(|attribute| attribute.as_str() == word)
        .ok_or(Malformed::UnknownAttribute(word))?;
    Ok(ParsedReference { task, attribute, path: check_path(parts.collect(), attribute)? })
}

/// Parses the text after `_.`: what Hub itself knows.
pub(super) fn parse_of_hub(text: &str) -> Result<ParsedReference<'_>, Malformed<'_>> {
    let rest_after = |attribute: &Attribute| {
        let rest = text.strip_prefix(attribute.as_str())?;
        if rest.is_empty() { Some(None) } else { rest.strip_prefix('.').map(Some) }
    };
    let found = Attribute::OF_HUB.into_iter().find_map(|attribute| Some((attribute, rest_after(&attribute)?)));
    let (attribute, rest) = found.ok_or(Malformed::UnknownAttribute(text))?;
    let path = rest.map(|rest| rest.split('.').collect()).unwrap_or_default();
    Ok(ParsedReference { task: "", attribute, path: check_path(path, attribute)? })
}

fn check_path<'a>(path: Vec<&'a str>, attribute: Attribute) -> Result<Vec<&'a str>, Malformed<'a>> {
    if path.len() > MAX_STEPS {
        return Err(Malformed::TooManySteps(path.len()));
    }
    if path.iter().any(|step| step.is_empty()) {
        return Err(Malformed::EmptyStep);
    }
    if !path.is_empty() && !attribute.has_inside() {
        return Err(Malformed::NothingInside(attribute));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_references() {
        let written = parse("host_1.data.ip.0").unwrap();
        assert_eq!((written.task, written.attribute, written.path), ("host_1", Attribute::Data, vec!["ip", "0"]));
        assert_eq!(parse("foo"), Err(Malformed::NoAttribute));
        assert_eq!(parse("foo.dta"), Err(Malformed::UnknownAttribute("dta")));
        assert_eq!(parse("foo.data."), Err(Malformed::EmptyStep));
        assert_eq!(parse("foo.id.x"), Err(Malformed::NothingInside(Attribute::Id)));
    }

    #[test]
    fn parses_what_hub_knows() {
        for (text, attribute, path) in [
            ("item", Attribute::Item, vec![]),
            ("item.a.0", Attribute::Item, vec!["a", "0"]),
            ("index", Attribute::Index, vec![]),
            ("failure.bases.0", Attribute::Failure, vec!["bases", "0"]),
            ("job.id", Attribute::JobId, vec![]),
            ("job.name", Attribute::JobName, vec![]),
            ("job.scheduled_at", Attribute::JobScheduledAt, vec![]),
            ("input", Attribute::Input, vec![]),
            ("input.day.0", Attribute::Input, vec!["day", "0"]),
            ("first.name", Attribute::FirstName, vec![]),
            ("first.data.day.0", Attribute::FirstData, vec!["day", "0"]),
        ] {
            let written = parse_of_hub(text).unwrap();
            assert_eq!((written.attribute, written.path), (attribute, path), "{text}");
        }
        for text in
            ["", "items", "job", "job.", "job.idx", "indexes", "failures", "inputs", "data", "first", "first.day"]
        {
            assert!(matches!(parse_of_hub(text), Err(Malformed::UnknownAttribute(_))), "{text}");
        }
        assert_eq!(parse_of_hub("index.0"), Err(Malformed::NothingInside(Attribute::Index)));
        assert_eq!(parse_of_hub("first.status.0"), Err(Malformed::NothingInside(Attribute::FirstStatus)));
        assert_eq!(parse_of_hub("item."), Err(Malformed::EmptyStep));
    }
}
