//! The parts of a message that the simulation inspects.

use std::fmt;

use hub_core::{IssueId, JobId, TaskId};
use hub_engine::wire::JobMessage;
use hub_transport::Message;
use serde::Deserialize;
use serde_json::Value;

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Submitted jobs. Only the valid ones are listed.
    Submission(Vec<JobId>),
    /// An issue for the workers.
    Task(IssueId),
    /// A worker reports leases.
    Started(Vec<IssueId>),
    /// Results of issues, with the runs in their values.
    Results(Vec<(IssueId, Option<u64>)>),
    /// A worker returns an issue.
    Returned(IssueId),
    /// An external result.
    Posted(TaskId),
    /// A heartbeat of a worker.
    Heartbeat,
    /// Another message.
    Other,
}

impl Note {
    /// Reads a message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        if message.routing_key.starts_with("jobs") {
            return JobMessage::all_of(message).map_or(Self::Other, |jobs| Self::of_jobs(&jobs));
        }
        let body: Value = serde_json::from_slice(&message.body).unwrap_or_default();
        Self::of_body(&body).unwrap_or(Self::Other)
    }

    fn of_jobs(jobs: &[JobMessage]) -> Self {
        let is_job = |text: &[u8]| serde_json::from_slice::<Value>(text).is_ok_and(|job| job.get("tasks").is_some());
        Self::Submission(jobs.iter().filter(|job| is_job(&job.text)).filter_map(|job| job.id).collect())
    }

    fn of_body(body: &Value) -> Option<Self> {
        match body.get("type").and_then(Value::as_str) {
            Some("results") => Some(Self::Results(body["results"].as_array()?.iter().filter_map(result).collect())),
            Some("returned") => Some(Self::Returned(issue(body)?)),
            Some("started") => Some(Self::Started(body["tasks"].as_array()?.iter().filter_map(issue).collect())),
            Some(_) => None,
            None if body.get("parent_id").is_some() => Some(Self::Task(issue(body)?)),
            None if body.get("held").is_some() => Some(Self::Heartbeat),
            None => Some(Self::Posted(body.get("id")?.as_str()?.parse().ok()?)),
        }
    }
}

/// The run that made a value.
#[must_use]
pub fn run_of(data: &Value) -> Option<u64> {
    data.get("run")?.as_u64()
}

fn result(body: &Value) -> Option<(IssueId, Option<u64>)> {
    Some((issue(body)?, body.get("data").and_then(run_of)))
}

fn issue(body: &Value) -> Option<IssueId> {
    IssueId::deserialize(body).ok()
}

/// A short text for a task: the number of its job and its position.
#[must_use]
pub fn short(task: TaskId) -> String {
    let (job, low) = (task.uuid().as_u128() >> 64, task.uuid().as_u128() & 0xffff_ffff);
    format!("J{job}.{}", low.wrapping_sub(1))
}

/// A short text for an issue.
#[must_use]
pub fn short_issue(issue: &IssueId) -> String {
    format!("{}#{}.{}", short(issue.task), issue.number, issue.incarnation)
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submission(jobs) => {
                write!(f, "submission of")?;
                jobs.iter().try_for_each(|id| write!(f, " J{}", id.uuid().as_u128() >> 64))
            }
            Self::Task(issue) => write!(f, "task {}", short_issue(issue)),
            Self::Started(issues) => {
                write!(f, "started")?;
                issues.iter().try_for_each(|issue| write!(f, " {}", short_issue(issue)))
            }
            Self::Results(results) => {
                write!(f, "results")?;
                results.iter().try_for_each(|(issue, run)| match run {
                    Some(run) => write!(f, " {} of run {run}", short_issue(issue)),
                    None => write!(f, " {} without a value", short_issue(issue)),
                })
            }
            Self::Returned(issue) => write!(f, "returned {}", short_issue(issue)),
            Self::Posted(task) => write!(f, "posted {}", short(*task)),
            Self::Heartbeat => f.write_str("heartbeat"),
            Self::Other => f.write_str("something else"),
        }
    }
}
