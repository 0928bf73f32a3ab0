//! What can be asked.

use std::time::Duration;

use hub_core::JobId;
use hub_core::record::View;
use serde::{Serialize, Serializer};

use super::jobs::{JobFilter, TaskQuery};
use super::posted::ResultUpdate;

/// A request. Its JSON is that of the request queue. A submission is none: it has a queue of its own, which takes it before there is a
/// dispatcher ([`super::Hub::submit_with`]).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// The status record of a job. With `wait`, the answer comes when the job has ended or that time is over.
    Job {
        /// The job.
        id: JobId,
        /// How long to wait for its end.
        #[serde(rename = "wait_ms", serialize_with = "millis", skip_serializing_if = "Option::is_none")]
        wait: Option<Duration>,
        /// What to show of it.
        #[serde(flatten)]
        view: View,
    },
    /// A job's line in a listing, likewise.
    Summary {
        /// The job.
        id: JobId,
        /// How long to wait for its end.
        #[serde(rename = "wait_ms", serialize_with = "millis", skip_serializing_if = "Option::is_none")]
        wait: Option<Duration>,
    },
    /// The records of some of a job's tasks.
    Tasks {
        /// The job.
        id: JobId,
        /// Which of its tasks, and what to show of each.
        #[serde(flatten)]
        query: TaskQuery,
    },
    /// A page of the listing.
    Jobs {
        /// Which jobs.
        filter: JobFilter,
    },
    /// Stop a job.
    Cancel {
        /// The job.
        id: JobId,
    },
    /// Forget a job that has ended.
    Remove {
        /// The job.
        id: JobId,
    },
    /// End a task from outside.
    Result {
        /// How.
        result: ResultUpdate,
    },
    /// The live workers.
    Workers,
    /// How the dispatcher is.
    Health,
}

impl Request {
    /// Whether asking twice does the same as asking once, so that a request without an answer may be sent again.
    #[must_use]
    pub const fn may_repeat(&self) -> bool {
        match self {
            Self::Job { .. }
            | Self::Summary { .. }
            | Self::Tasks { .. }
            | Self::Jobs { .. }
            | Self::Workers
            | Self::Health => true,
            // The same result is accepted again.
            Self::Result { .. } => true,
            // The second answer would be a refusal, although the first request was carried out.
            Self::Cancel { .. } | Self::Remove { .. } => false,
        }
    }

    /// Whether it does more than look something up.
    #[must_use]
    pub const fn changes_something(&self) -> bool {
        match self {
            Self::Cancel { .. } | Self::Remove { .. } | Self::Result { .. } => true,
            Self::Job { .. }
            | Self::Summary { .. }
            | Self::Tasks { .. }
            | Self::Jobs { .. }
            | Self::Workers
            | Self::Health => false,
        }
    }

    /// How long the answer may be held back until a job's end.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::Job { wait, .. } | Self::Summary { wait, .. } => *wait,
            Self::Tasks { .. }
            | Self::Jobs { .. }
            | Self::Cancel { .. }
            | Self::Remove { .. }
            | Self::Result { .. }
            | Self::Workers
            | Self::Health => None,
        }
    }

    /// The same request with another wait, where it is one that can wait.
    #[must_use]
    pub fn with_wait(mut self, other: Option<Duration>) -> Self {
        match &mut self {
            Self::Job { wait, .. } | Self::Summary { wait, .. } => *wait = other,
            Self::Tasks { .. }
            | Self::Jobs { .. }
            | Self::Cancel { .. }
            | Self::Remove { .. }
            | Self::Result { .. }
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
