//! Selects the parts of a status record.

use serde::{Deserialize, Serialize};

/// The keys of jobs and tasks in records. The user's own keys (`x-…`) can be selected, too.
const FIELDS: [&str; 76] = [
    "answer",
    "args",
    "attempt",
    "attempts",
    "cache",
    "cached_from",
    "cancel",
    "child",
    "command",
    "cwd",
    "data",
    "deadline",
    "deadline_at",
    "defaults",
    "definition",
    "delay",
    "delayed_until",
    "depends",
    "detached",
    "ended_at",
    "env",
    "error",
    "first",
    "for_each",
    "handler",
    "handler_deadline",
    "held_until",
    "http",
    "id",
    "inputs",
    "issue",
    "items",
    "job",
    "kept_from",
    "key",
    "kwargs",
    "labels",
    "log",
    "meta",
    "msg",
    "name",
    "not_cached",
    "origin",
    "output",
    "overridden",
    "parent",
    "parent_id",
    "pauses",
    "phase",
    "pool",
    "priority",
    "priority_change",
    "progress",
    "recover",
    "recovered",
    "repairs",
    "retry",
    "retry_at",
    "schedule",
    "shell",
    "signals",
    "start_at",
    "started_at",
    "starts_at",
    "status",
    "submitted_at",
    "task_name",
    "tasks",
    "timeout",
    "trigger_rule",
    "verdict",
    "wait",
    "waiting_reason",
    "waits_until",
    "when",
    "worker",
];
/// Keys whose values come from users and tasks and can be large.
const VALUES: [&str; 17] = [
    "answer", "args", "attempts", "command", "data", "env", "error", "http", "inputs", "job", "kwargs", "log", "meta",
    "output", "progress", "shell", "signals",
];

/// Selects parts of a record. The default is the complete record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Only these keys, both of the job and of its tasks. Tasks are shown only if `tasks` is included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Omits values of users and tasks: arguments, results, output, errors, logs, `meta` and `x-…`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_data: bool,
    /// Omits tasks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_tasks: bool,
}

/// Maximum number of keys of a view. Each key of each task is compared with them.
const MAXIMUM_FIELDS: usize = 100;

/// Why a view is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownField {
    /// No record has this key.
    #[error("unknown field {0:?}; known fields: {known}", known = FIELDS.join(", "))]
    Unknown(String),
    /// The list of keys is empty.
    #[error("the list of fields is empty; known fields: {known}", known = FIELDS.join(", "))]
    Nothing,
    /// There are too many keys.
    #[error("at most {MAXIMUM_FIELDS} fields are allowed, not {0}")]
    TooMany(usize),
}

impl View {
    /// The complete record.
    #[must_use]
    pub fn whole() -> Self {
        Self::default()
    }

    /// The record without the values of users and tasks.
    #[must_use]
    pub fn without_data() -> Self {
        Self { no_data: true, ..Self::default() }
    }

    /// Like this view, without tasks.
    #[must_use]
    pub fn without_tasks(self) -> Self {
        Self { no_tasks: true, ..self }
    }

    /// Like this view, with the keys of a comma-separated list.
    #[must_use]
    pub fn with_fields(self, list: &str) -> Self {
        let fields = list.split(',').map(str::trim).filter(|field| !field.is_empty()).map(str::to_owned).collect();
        Self { fields: Some(fields), ..self }
    }

    /// Checks the selected keys.
    ///
    /// # Errors
    /// If a field is unknown, because a misspelt field would be silently missing, or if there is no field or more than
    /// 100.
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

    /// Whether this is the complete record.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.fields.is_none() && !self.no_data && !self.no_tasks
    }

    /// Whether tasks are shown.
    #[must_use]
    pub fn shows_tasks(&self) -> bool {
        self.shows("tasks")
    }

    /// Whether values of users and tasks may be shown. If so, the record may be large.
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
