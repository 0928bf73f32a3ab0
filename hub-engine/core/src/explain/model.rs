//! The explanation of a job.

use std::sync::Arc;

use serde::Serialize;

use super::counts::StatusCounts;
use super::gate::{Gate, GateReport};
use super::reason::Reason;
use crate::job::{Job, Timeout};
use crate::{JobId, JobStatus, TaskStatus, Timestamp};

/// What a job waits for, and how its tasks do; of a job that has ended, why it ended as it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The job.
    pub id: JobId,
    /// Its name.
    pub name: Arc<str>,
    /// Its status.
    pub status: JobStatus,
    /// One or several sentences on the job as a whole.
    pub text: String,
    /// What holds the job as a whole, or how it ended.
    pub reasons: Vec<Reason>,
    /// Commands that let it go on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// The number of its tasks by status, without items.
    pub counts: StatusCounts,
    /// The task that was asked about. Otherwise the tasks that have not ended, or, of a job that has ended, those that did not
    /// succeed; tasks with the same reason are together.
    pub tasks: Vec<TaskGroup>,
    /// The number of such tasks that are not listed.
    pub more: u32,
}

/// Tasks with the same explanation. Times, text and commands are those of the first task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskGroup {
    /// The number of tasks.
    pub count: u32,
    /// The names of the first ones.
    pub names: Vec<Arc<str>>,
    /// Their explanation.
    #[serde(flatten)]
    pub explanation: TaskExplanation,
}

/// What a task waits for; of a task that has ended, why it ended as it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskExplanation {
    /// Its status.
    pub status: TaskStatus,
    /// A sentence for people.
    pub text: String,
    /// The gate that holds it. `None` if it runs or has ended.
    pub gate: Option<Gate>,
    /// Since when it has been there, if that is known.
    #[serde(with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The reason.
    pub reason: Reason,
    /// All gates in their order. Empty if it has ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateReport>,
    /// Its time limits that have not passed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// Commands that let it go on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

/// A time limit of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Its key in the job.
    pub timeout: Timeout,
    /// Its length in milliseconds.
    pub ms: u64,
    /// When it passes, if it has begun and does not stand still.
    #[serde(with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A job has no task with this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job {id} has no task named {name:?}{}", .nearest.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
pub struct UnknownTask {
    /// The job.
    pub id: JobId,
    /// The name.
    pub name: String,
    /// A similar name that a task has.
    pub nearest: Option<String>,
}

impl UnknownTask {
    /// The error for a name that no task of the job has.
    #[must_use]
    pub fn new(id: JobId, name: &str, job: &Job) -> Self {
        Self { id, name: name.to_owned(), nearest: job.nearest_name(name).map(str::to_owned) }
    }
}

impl TaskGroup {
    /// Maximum number of groups of an explanation.
    pub const MAXIMUM_GROUPS: usize = 100;
    /// Maximum number of names of a group.
    const MAXIMUM_NAMES: usize = 20;

    /// Puts tasks with alike explanations together. Returns the groups and the number of tasks that did not fit.
    pub fn grouped(tasks: impl IntoIterator<Item = (Arc<str>, TaskExplanation)>) -> (Vec<Self>, u32) {
        let (mut groups, mut more) = (Vec::<Self>::new(), 0);
        for (name, explanation) in tasks {
            match groups.iter().position(|group| group.explanation.is_alike(&explanation)) {
                Some(at) => groups[at].add(name, explanation.since),
                None if groups.len() < Self::MAXIMUM_GROUPS => {
                    groups.push(Self { count: 1, names: vec![name], explanation });
                }
                None => more += 1,
            }
        }
        (groups, more)
    }

    fn add(&mut self, name: Arc<str>, since: Option<Timestamp>) {
        self.count += 1;
        if self.names.len() < Self::MAXIMUM_NAMES {
            self.names.push(name);
        }
        let earliest = &mut self.explanation.since;
        *earliest = earliest.zip(since).map(|(one, other)| one.min(other)).or(*earliest);
    }
}

impl TaskExplanation {
    fn is_alike(&self, other: &Self) -> bool {
        self.status == other.status && self.gate == other.gate && self.reason.is_alike(&other.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(pool: &str) -> TaskExplanation {
        let reason = Reason::NoWorker { pool: pool.into() };
        let text = reason.to_string();
        TaskExplanation {
            status: TaskStatus::Pending,
            text,
            gate: Some(Gate::Pool),
            since: None,
            reason,
            gates: Vec::new(),
            limits: Vec::new(),
            commands: Vec::new(),
        }
    }

    #[test]
    fn the_number_of_groups_and_names_is_limited() {
        let tasks = (0..150).flat_map(|pool| (0..30).map(move |task| (pool, task)));
        let tasks = tasks.map(|(pool, task)| (format!("{pool}-{task}").into(), waiting(&format!("p{pool}"))));
        let (groups, more) = TaskGroup::grouped(tasks);
        assert_eq!((groups.len(), more), (100, 50 * 30));
        assert!(groups.iter().all(|group| group.count == 30 && group.names.len() == 20));
    }
}
