//! The ids of jobs, tasks and issues, and the slots by which messages are routed.
//!
//! The id of a task is the id of its job with the last four bytes increased by the task's position plus one. So both
//! share their first twelve bytes, the *family*. A task id alone yields its job (one look-up of the family), its
//! position (a subtraction) and its slot. No index of tasks is needed, and a message can be routed to its partition by
//! the task id alone.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Number of slots that job ids are distributed over. It must never change, because partitions are ranges of slots.
pub const SLOTS: u32 = 64;

/// The UUID namespace of ids that are derived from texts: see [`JobId::of_text`]. It must never change, and is
/// documented for clients.
const NAMESPACE: Uuid = Uuid::from_u128(0x8d0c_8f3e_6f0b_4c55_9f6e_2f1d_7a4b_9c10);

/// The id of a job. Chosen by the client that submits the job, or else by the dispatcher.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

/// The id of a task. The documentation of this module explains how it follows from the id of the job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Uuid);

/// The twelve bytes that a job's id shares with the ids of its tasks.
#[derive(Clone, Debug, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family([u8; 12]);

impl JobId {
    /// Creates a job id from any UUID.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id for a text that a client has chosen: the UUID that the text is, or else a UUID of version 5 derived from
    /// the text. So repeated submissions under the same text are the same job. Returns `None` for an empty text.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let uuid = || Uuid::parse_str(text).unwrap_or_else(|_| Uuid::new_v5(&NAMESPACE, text.as_bytes()));
        (!text.is_empty()).then(|| Self(uuid()))
    }

    /// An id for the sub-job of a task in this attempt. There is one for each number, because an id is wanted that has the slot
    /// of the task.
    #[must_use]
    pub fn of_attempt(task: TaskId, attempt: u32, number: u32) -> Self {
        Self(Uuid::new_v5(&task.0, format!("{attempt}.{number}").as_bytes()))
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The id of the task at `index` (its position in the job, from 0).
    #[must_use]
    pub fn task(self, index: u32) -> TaskId {
        let (mut bytes, low) = split(self.0);
        bytes[12..].copy_from_slice(&low.wrapping_add(index).wrapping_add(1).to_be_bytes());
        TaskId(Uuid::from_bytes(bytes))
    }

    /// The bytes that this id shares with the ids of its tasks.
    #[must_use]
    pub fn family(self) -> Family {
        family(self.0)
    }

    /// The slot of this job, below [`SLOTS`].
    #[must_use]
    pub fn slot(self) -> u32 {
        self.family().slot()
    }
}

impl TaskId {
    /// Creates a task id from any UUID. Only the dispatcher knows whether such a task exists.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The bytes that this id shares with the id of its job.
    #[must_use]
    pub fn family(self) -> Family {
        family(self.0)
    }

    /// The slot of the task's job.
    #[must_use]
    pub fn slot(self) -> u32 {
        self.family().slot()
    }

    /// The position of this task in `job`, if the id can belong to that job.
    #[must_use]
    pub fn index_in(self, job: JobId) -> Option<u32> {
        let (_, own) = split(self.0);
        let (_, base) = split(job.0);
        let index = own.wrapping_sub(base).wrapping_sub(1);
        (self.family() == job.family() && index != u32::MAX).then_some(index)
    }
}

impl Family {
    /// The bytes, as in the ids.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// FNV-1a (32 bits) over the twelve bytes, modulo [`SLOTS`]. It is simple enough to be implemented in any language.
    #[must_use]
    pub fn slot(self) -> u32 {
        let hash =
            self.0.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        hash % SLOTS
    }

    /// The family of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }
}

// As one number: an id is hashed some twenty times for each task, and a slice of bytes takes ten times as long.

impl Hash for JobId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.0.as_u128());
    }
}

impl Hash for TaskId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.0.as_u128());
    }
}

impl Hash for Family {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut padded = [0; size_of::<u128>()];
        padded[..self.0.len()].copy_from_slice(&self.0);
        state.write_u128(u128::from_le_bytes(padded));
    }
}

fn split(uuid: Uuid) -> ([u8; 16], u32) {
    let bytes = *uuid.as_bytes();
    (bytes, u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]))
}

fn family(uuid: Uuid) -> Family {
    let mut shared = [0; 12];
    shared.copy_from_slice(&uuid.as_bytes()[..12]);
    Family(shared)
}

/// One assignment of a task to the workers. Its message can be published more than once. Only the result of the current issue
/// counts.
///
/// In JSON it is `{"id": TASK, "issue": NUMBER, "incarnation": NUMBER}`; as a text, `TASK#NUMBER.INCARNATION`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IssueId {
    /// The task.
    #[serde(rename = "id")]
    pub task: TaskId,
    /// Counts the issues of one task, from 1.
    #[serde(rename = "issue")]
    pub number: u32,
    /// The number of the dispatcher's start, counted in its store.
    pub incarnation: u64,
}

/// An [`IssueId`] without its task, as stored with the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Issue {
    /// Counts the issues of one task, from 1.
    pub number: u32,
    /// The number of the dispatcher's start, counted in its store.
    pub incarnation: u64,
}

impl IssueId {
    /// The issue without its task.
    #[must_use]
    pub const fn issue(self) -> Issue {
        Issue { number: self.number, incarnation: self.incarnation }
    }
}

impl Issue {
    /// This issue of `task`.
    #[must_use]
    pub const fn of(self, task: TaskId) -> IssueId {
        IssueId { task, number: self.number, incarnation: self.incarnation }
    }
}

impl fmt::Display for IssueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}.{}", self.task, self.number, self.incarnation)
    }
}

impl fmt::Debug for IssueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "issue {self}")
    }
}

macro_rules! uuid_text {
    ($name:ident, $label:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($label, " {}"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_text!(JobId, "job");
uuid_text!(TaskId, "task");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_yields_its_job_and_position() {
        for base in [0_u128, u128::MAX, 0x693e_b630_e77d_11f1_b11f_02fc_0000_0001] {
            let job = JobId::new(Uuid::from_u128(base));
            for index in [0, 1, 99_999, u32::MAX - 1] {
                let task = job.task(index);
                assert_eq!(task.index_in(job), Some(index));
                assert_eq!(task.slot(), job.slot());
                assert_ne!(task.uuid(), job.uuid());
            }
        }
    }

    #[test]
    fn the_id_of_a_job_differs_from_the_ids_of_its_tasks() {
        let job = JobId::new(Uuid::from_u128(7));
        assert_eq!(TaskId::new(job.uuid()).index_in(job), None);
        assert_eq!(JobId::new(Uuid::from_u128(7 << 64)).task(0).index_in(job), None);
    }

    #[test]
    fn a_text_always_yields_the_same_job_id() {
        let id = |text: &str| JobId::of_text(text).map(|id| id.to_string());
        let uuid = "693eb630-e77d-11f1-b11f-02fc00000001";
        for spelling in [uuid.to_owned(), uuid.to_uppercase(), format!("{{{uuid}}}"), uuid.replace('-', "")] {
            assert_eq!(id(&spelling).as_deref(), Some(uuid));
        }
        // As computed by Python: `uuid.uuid5(uuid.UUID("8d0c8f3e-6f0b-4c55-9f6e-2f1d7a4b9c10"), text)`.
        assert_eq!(id("order-17").as_deref(), Some("86ccdf71-681f-5bf0-ab82-24d4d7b3d246"));
        assert_eq!(id("Ä \u{1f600}").as_deref(), Some("aa7e501a-e6ea-57d5-ac58-327bdf844c9c"));
        assert_ne!(id(" order-17"), id("order-17"));
        assert_eq!(id(""), None);
    }

    #[test]
    fn an_issue_has_a_text_form_and_a_json_form() {
        let task: TaskId = "693eb630-e77d-11f1-b11f-02fc00000002".parse().unwrap();
        let issue = Issue { number: 3, incarnation: 7 }.of(task);
        assert_eq!(issue.to_string(), "693eb630-e77d-11f1-b11f-02fc00000002#3.7");
        let json = r#"{"id":"693eb630-e77d-11f1-b11f-02fc00000002","issue":3,"incarnation":7}"#;
        assert_eq!(serde_json::to_string(&issue).unwrap(), json);
        assert_eq!(serde_json::from_str::<IssueId>(json).unwrap(), issue);
        assert_eq!(issue.issue().of(task), issue);
    }

    #[test]
    fn slots_are_as_documented() {
        let job: JobId = "693eb630-e77d-11f1-b11f-02fc00000001".parse().unwrap();
        assert_eq!(job.slot(), 40);
    }
}
