//! The parts of the records of tasks that the view needs.

use hub_core::TaskStatus;
use serde::Deserialize;

/// The keys that [`TaskSeen`] has.
pub(super) const KEYS: &str = "name,status,handler,attempt,retry_at,held_until,delayed_until,waiting_reason,items,worker,\
    started_at,ended_at,kept_from,overridden,recovered";
/// The keys that [`Detail`] has.
pub(super) const DETAIL_KEYS: &str = "name,status,msg,error";

/// A task as it was seen. Unknown keys and statuses are accepted, since the dispatcher may be newer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct TaskSeen {
    pub(super) name: String,
    pub(super) status: String,
    /// The list of handlers to which it belongs.
    pub(super) handler: Option<String>,
    /// The number of its attempt: of the next one, while it waits for that.
    pub(super) attempt: Option<u32>,
    pub(super) retry_at: Option<String>,
    pub(super) held_until: Option<String>,
    pub(super) delayed_until: Option<String>,
    pub(super) waiting_reason: Option<String>,
    pub(super) items: Option<ItemsSeen>,
    pub(super) worker: Option<String>,
    pub(super) started_at: Option<String>,
    pub(super) ended_at: Option<String>,
    pub(super) kept_from: Option<String>,
    pub(super) overridden: bool,
    pub(super) recovered: bool,
}

/// The counts of the items of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ItemsSeen {
    pub(super) total: u32,
    pub(super) success: u32,
    pub(super) failed: u32,
    pub(super) skipped: u32,
    pub(super) cancelled: u32,
}

/// Why an attempt or a task failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Detail {
    pub(super) msg: Option<String>,
    pub(super) error: Option<ErrorSeen>,
}

/// The error of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ErrorSeen {
    pub(super) kind: Option<String>,
    pub(super) which: Option<String>,
}

/// A page of tasks or items.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) tasks: Vec<T>,
    #[serde(default)]
    pub(super) next: Option<u32>,
}

/// Which tasks of a job have `for_each`.
#[derive(Debug, Deserialize)]
struct Text {
    tasks: Vec<TaskText>,
}

#[derive(Debug, Deserialize)]
struct TaskText {
    name: String,
    #[serde(default)]
    for_each: Option<serde::de::IgnoredAny>,
}

impl TaskSeen {
    /// `None` if this client does not know the status.
    pub(super) fn known_status(&self) -> Option<TaskStatus> {
        self.status.parse().ok()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.known_status().is_some_and(TaskStatus::is_terminal)
    }

    pub(super) fn runs(&self) -> bool {
        self.known_status() == Some(TaskStatus::Running)
    }

    /// Whether it runs and waits for something from outside: a result, a time, a signal or an approval.
    pub(super) fn waits_for_outside(&self) -> bool {
        self.runs() && self.items.is_none() && self.waiting_reason.is_some()
    }

    /// Whether it waits for its next attempt.
    pub(super) const fn waits_for_attempt(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Whether it failed for the last time and waits for an operator.
    pub(super) fn is_held(&self) -> bool {
        self.held_until.is_some() && !self.has_ended()
    }
}

impl ItemsSeen {
    pub(super) const fn ended(&self) -> u32 {
        self.success + self.failed + self.skipped + self.cancelled
    }
}

/// The names of the tasks with `for_each` in the text of a job. `None` if it cannot be read.
pub(super) fn tasks_with_items(text: &str) -> Option<Vec<String>> {
    let text: Text = serde_json::from_str(text).ok()?;
    Some(text.tasks.into_iter().filter(|task| task.for_each.is_some()).map(|task| task.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_statuses_are_accepted() {
        let task: TaskSeen = serde_json::from_str(r#"{"name": "a", "status": "DREAMING", "new": [1]}"#).unwrap();
        assert_eq!((task.known_status(), task.has_ended(), task.runs()), (None, false, false));
    }

    #[test]
    fn tasks_with_items_are_found_in_the_text_of_a_job() {
        let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "for_each": [1]}], "finally": []}"#;
        assert_eq!(tasks_with_items(text), Some(vec!["b".to_owned()]));
        assert_eq!(tasks_with_items("[]"), None);
    }
}
