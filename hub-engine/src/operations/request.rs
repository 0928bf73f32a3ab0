//! Requests.

use std::time::Duration;

use hub_core::JobId;
use hub_core::definition::Reference;
use hub_core::record::View;
use serde::{Serialize, Serializer};

use super::cancel::JobCancel;
use super::definitions::{AliasChange, DefinitionDraft};
use super::jobs::{JobFilter, TaskQuery};
use super::name_page::NamePage;
use super::pause::PauseRequest;
use super::posted::ResultUpdate;
use super::priority::PriorityRequest;
use super::repair::TaskRepair;
use super::retry::JobRetry;
use super::schedules::ScheduleRequest;
use super::waits::{JobSignal, TaskApproval};

/// A request. Its JSON is used in the queue of requests. A submission is not a request: it has a queue of its own, which accepts it
/// before there is a dispatcher ([`super::Hub::submit_with`]).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// The status record of a job. With `wait`, it is answered when the job has ended or that time has passed.
    Job {
        /// The job.
        id: JobId,
        /// Maximum time to wait for its end.
        #[serde(rename = "wait_ms", serialize_with = "millis", skip_serializing_if = "Option::is_none")]
        wait: Option<Duration>,
        /// The parts of the record.
        #[serde(flatten)]
        view: View,
    },
    /// The summary of a job. `wait` as for [`Request::Job`].
    Summary {
        /// The job.
        id: JobId,
        /// Maximum time to wait for its end.
        #[serde(rename = "wait_ms", serialize_with = "millis", skip_serializing_if = "Option::is_none")]
        wait: Option<Duration>,
    },
    /// A page of task records.
    Tasks {
        /// The job.
        id: JobId,
        /// The page, and the parts of each record.
        #[serde(flatten)]
        query: TaskQuery,
    },
    /// A page of the listing.
    Jobs {
        /// The filter.
        filter: JobFilter,
    },
    /// Explain what a job and its tasks wait for.
    Explain {
        /// The job.
        id: JobId,
        /// Only the task or the item with this name.
        #[serde(skip_serializing_if = "Option::is_none")]
        task: Option<String>,
    },
    /// The submitted text of a job.
    Document {
        /// The job.
        id: JobId,
        /// Only the text from this byte on: the `next` of the part before.
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<u32>,
    },
    /// Cancel a job.
    Cancel {
        /// The job, and how.
        #[serde(flatten)]
        cancel: JobCancel,
    },
    /// Pause a job or a pool.
    Pause {
        /// The job or the pool.
        #[serde(flatten)]
        of: PauseRequest,
    },
    /// Resume a job or a pool.
    Resume {
        /// The job or the pool.
        #[serde(flatten)]
        of: PauseRequest,
    },
    /// Change the priority of a job.
    Priority {
        /// The job and the priority.
        #[serde(flatten)]
        of: PriorityRequest,
    },
    /// Remove a job that has ended.
    Remove {
        /// The job.
        id: JobId,
    },
    /// End a task with a result from outside.
    Result {
        /// The result.
        result: ResultUpdate,
    },
    /// Start the next attempt of a task that waits, skip it or fail it.
    Repair {
        /// The repair.
        repair: TaskRepair,
    },
    /// Retry a job that has ended, as a new job.
    Retry {
        /// The retry.
        retry: JobRetry,
    },
    /// Send a signal to a job.
    Signal {
        /// The signal.
        signal: JobSignal,
    },
    /// Answer the question of a task.
    Approve {
        /// The answer.
        approval: TaskApproval,
    },
    /// Make a version of a definition.
    Define {
        /// The version.
        definition: DefinitionDraft,
    },
    /// Let an alias of a definition stand for another version.
    Alias {
        /// The change.
        #[serde(rename = "alias")]
        change: AliasChange,
    },
    /// A page of the definitions.
    Definitions {
        /// The page.
        #[serde(rename = "page")]
        filter: NamePage,
    },
    /// One version of a definition.
    Definition {
        /// The version.
        reference: Reference,
    },
    /// About schedules.
    Schedule {
        /// What is asked for.
        schedule: ScheduleRequest,
    },
    /// The live workers.
    Workers,
    /// The health of the dispatcher.
    Health,
}

impl Request {
    /// Whether the request is idempotent, so that it may be sent again if there was no answer.
    #[must_use]
    pub const fn may_repeat(&self) -> bool {
        match self {
            Self::Job { .. }
            | Self::Summary { .. }
            | Self::Tasks { .. }
            | Self::Jobs { .. }
            | Self::Explain { .. }
            | Self::Document { .. }
            | Self::Definitions { .. }
            | Self::Definition { .. }
            | Self::Workers
            | Self::Health => true,
            // The same text makes no further version. The same result, answer, pause or priority is accepted again.
            Self::Define { .. }
            | Self::Alias { .. }
            | Self::Result { .. }
            | Self::Approve { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Priority { .. } => true,
            // With an id, the new job is the same one.
            Self::Retry { retry } => retry.new_id.is_some(),
            Self::Schedule { schedule } => schedule.may_repeat(),
            // A second signal without a key would be another one.
            Self::Signal { signal } => signal.key.is_some(),
            // The second answer would be a refusal, although the first request was executed.
            Self::Cancel { .. } | Self::Remove { .. } | Self::Repair { .. } => false,
        }
    }

    /// Whether the request changes state.
    #[must_use]
    pub const fn changes_something(&self) -> bool {
        match self {
            Self::Cancel { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Priority { .. }
            | Self::Remove { .. }
            | Self::Result { .. }
            | Self::Repair { .. }
            | Self::Retry { .. }
            | Self::Signal { .. }
            | Self::Approve { .. }
            | Self::Define { .. }
            | Self::Alias { .. } => true,
            Self::Schedule { schedule } => schedule.changes_something(),
            Self::Job { .. }
            | Self::Summary { .. }
            | Self::Tasks { .. }
            | Self::Jobs { .. }
            | Self::Explain { .. }
            | Self::Document { .. }
            | Self::Definitions { .. }
            | Self::Definition { .. }
            | Self::Workers
            | Self::Health => false,
        }
    }

    /// Maximum time that the answer may be delayed until the end of a job.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::Job { wait, .. } | Self::Summary { wait, .. } => *wait,
            Self::Tasks { .. }
            | Self::Jobs { .. }
            | Self::Explain { .. }
            | Self::Document { .. }
            | Self::Cancel { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Priority { .. }
            | Self::Remove { .. }
            | Self::Result { .. }
            | Self::Repair { .. }
            | Self::Retry { .. }
            | Self::Signal { .. }
            | Self::Approve { .. }
            | Self::Define { .. }
            | Self::Alias { .. }
            | Self::Definitions { .. }
            | Self::Definition { .. }
            | Self::Schedule { .. }
            | Self::Workers
            | Self::Health => None,
        }
    }

    /// The same request with another wait, if it supports that.
    #[must_use]
    pub fn with_wait(mut self, other: Option<Duration>) -> Self {
        match &mut self {
            Self::Job { wait, .. } | Self::Summary { wait, .. } => *wait = other,
            Self::Tasks { .. }
            | Self::Jobs { .. }
            | Self::Explain { .. }
            | Self::Document { .. }
            | Self::Cancel { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Priority { .. }
            | Self::Remove { .. }
            | Self::Result { .. }
            | Self::Repair { .. }
            | Self::Retry { .. }
            | Self::Signal { .. }
            | Self::Approve { .. }
            | Self::Define { .. }
            | Self::Alias { .. }
            | Self::Definitions { .. }
            | Self::Definition { .. }
            | Self::Schedule { .. }
            | Self::Workers
            | Self::Health => {}
        }
        self
    }
}

#[allow(clippy::ref_option, reason = "serde passes a reference")]
fn millis<S: Serializer>(wait: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    millis.serialize(serializer)
}
