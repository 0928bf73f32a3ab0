//! Which parts of a status record are shown.

use serde::{Deserialize, Serialize};

/// Keys of a job and of its tasks, as a record has them. Those of users (`x-…`) can be asked for too.
const FIELDS: [&str; 28] = [
    "args",
    "attempt",
    "attempts",
    "data",
    "depends",
    "ended_at",
    "error",
    "held_until",
    "id",
    "issue",
    "key",
    "kwargs",
    "log",
    "meta",
    "msg",
    "name",
    "output",
    "parent_id",
    "pool",
    "priority",
    "retry_at",
    "started_at",
    "status",
    "submitted_at",
    "task_name",
    "tasks",
    "waiting_reason",
    "worker",
];
/// Keys whose values come from users and tasks, and are as large as those make them.
const VALUES: [&str; 8] = ["args", "attempts", "data", "error", "kwargs", "log", "meta", "output"];

/// Which parts of a record are wanted: all of it, unless something is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Only these keys, of the job and of its tasks alike. Tasks are shown only if `tasks` is among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Without values of users and tasks: arguments, results, output, errors, logs, `meta` and `x-…`.
    #[serde(skip_serializing_if = "is_false")]
    pub no_data: bool,
    /// Without tasks.
    #[serde(skip_serializing_if = "is_false")]
    pub no_tasks: bool,
}

/// Maximum number of keys that a view names. Each key of each task is looked for among them.
const MAXIMUM_FIELDS: usize = 100;

/// Why a view is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownField {
    /// No record has this key.
    #[error("unknown field {0:?}: known are {known}", known = FIELDS.join(", "))]
    Unknown(String),
    /// It names no key at all.
    #[error("no field is named: known are {known}", known = FIELDS.join(", "))]
    Nothing,
    /// It names more keys than a view may.
    #[error("at most {MAXIMUM_FIELDS} fields, not {0}")]
    TooMany(usize),
}

impl View {
    /// Everything.
    #[must_use]
    pub fn whole() -> Self {
        Self::default()
    }

    /// Everything but values of users and tasks.
    #[must_use]
    pub fn without_data() -> Self {
        Self { no_data: true, ..Self::default() }
    }

    /// The same without tasks.
    #[must_use]
    pub fn without_tasks(self) -> Self {
        Self { no_tasks: true, ..self }
    }

    /// Reads a list of keys with commas between them.
    #[must_use]
    pub fn with_fields(self, list: &str) -> Self {
        let fields = list.split(',').map(str::trim).filter(|field| !field.is_empty()).map(str::to_owned).collect();
        Self { fields: Some(fields), ..self }
    }

    /// # Errors
    /// Where a field is named that no record has (a list with a misspelt one would show less than is expected), or where
    /// no field or more than 100 are named.
    pub fn check(&self) -> Result<(), UnknownField> {
        let Some(fields) = self.fields.as_deref() else { return Ok(()) };
        if fields.is_empty() {
            return Err(UnknownField::Nothing);
        }
        if fields.len() > MAXIMUM_FIELDS {
            return Err(UnknownField::TooMany(fields.len()));
        }
        let unknown = fields.iter().find(|field| !FIELDS.contains(&field.as_str()) && !field.starts_with("x-"));
        unknown.map_or(Ok(()), |field| Err(UnknownField::Unknown(field.clone())))
    }

    /// Whether everything is wanted.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.fields.is_none() && !self.no_data && !self.no_tasks
    }

    /// Whether tasks are shown.
    #[must_use]
    pub fn shows_tasks(&self) -> bool {
        self.shows("tasks")
    }

    /// Whether any value of users and tasks may be shown: then the record may be large.
    #[must_use]
    pub fn shows_data(&self) -> bool {
        let is_value = |field: &String| VALUES.contains(&field.as_str()) || field.starts_with("x-");
        !self.no_data && self.fields.as_ref().is_none_or(|fields| fields.iter().any(is_value))
    }

    /// Whether this key is shown.
    pub(super) fn shows(&self, key: &str) -> bool {
        if self.is_whole() {
            return true;
        }
        let is_wanted = self.fields.as_ref().is_none_or(|fields| fields.iter().any(|field| field == key));
        let is_value = || VALUES.contains(&key) || key.starts_with("x-");
        is_wanted && !(self.no_data && is_value()) && !(self.no_tasks && key == "tasks")
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(value: &bool) -> bool {
    !*value
}
