//! Answers.

use hub_core::state::JobSummary;
use hub_core::{JobId, Json, TaskId};
use serde::{Deserialize, Serialize};

use super::cancel::Cancelled;
use super::definitions::{AliasChange, Defined, DefinitionPage, DefinitionRecord};
use super::document::{Document, DocumentPart};
use super::error::{RequestError, RequestErrorKind};
use super::health::{HealthReport, WorkerInfo};
use super::jobs::{JobPage, Submitted};
use super::pause::Pausable;
use super::priority::JobPriority;
use super::record::Record;
use super::request::Request;
use super::schedules::ScheduleAnswer;
use super::waits::SignalReceipt;

/// The answer to the [`Request`] of the same name.
#[derive(Debug)]
pub enum Answer {
    /// The status record of a job.
    Job(Box<Record>),
    /// The summary of a job.
    Summary(JobSummary),
    /// A page of task records: `{"tasks": […], "next": N}`, without `next` on the last page.
    Tasks(Json),
    /// A page of the listing.
    Jobs(JobPage),
    /// What a job and its tasks wait for: [`hub_core::explain::Explanation`].
    Explained(Json),
    /// The submitted text of a job.
    Document(Document),
    /// The job is being cancelled or has been cancelled.
    Cancelled(Cancelled),
    /// The job or the pool is paused.
    Paused(Pausable),
    /// The job or the pool is not paused.
    Resumed(Pausable),
    /// The job has this priority.
    Prioritized(JobPriority),
    /// The job was removed.
    Removed(JobId),
    /// The task has ended with the result.
    Posted(TaskId),
    /// The task was repaired.
    Repaired(TaskId),
    /// The new job, which is a retry.
    Retried(Submitted),
    /// What happened to the signal.
    Signalled(SignalReceipt),
    /// The task was answered.
    Approved(TaskId),
    /// The version of a definition with the text.
    Defined(Defined),
    /// The alias stands for this version.
    Aliased(AliasChange),
    /// A page of the definitions.
    Definitions(DefinitionPage),
    /// One version of a definition.
    Definition(Box<DefinitionRecord>),
    /// About schedules.
    Schedule(ScheduleAnswer),
    /// The live workers.
    Workers(Vec<WorkerInfo>),
    /// The health of the dispatcher.
    Health(HealthReport),
}

/// The JSON of an answer with only an id.
#[derive(Serialize, Deserialize)]
struct Id<T> {
    id: T,
}

impl Answer {
    /// The answer as JSON. A record is returned as an error: the sender decides whether to send it at once or in parts.
    ///
    /// # Errors
    /// The record.
    pub fn into_json(self) -> Result<Json, Box<Record>> {
        Ok(match self {
            Self::Job(record) => return Err(record),
            Self::Summary(summary) => json(&summary),
            Self::Tasks(json) | Self::Explained(json) => json,
            Self::Jobs(page) => json(&page),
            Self::Document(document) => json(&document.as_part()),
            Self::Cancelled(cancelled) => json(&cancelled),
            Self::Paused(of) | Self::Resumed(of) => json(&of),
            Self::Prioritized(priority) => json(&priority),
            Self::Removed(id) => json(&Id { id }),
            Self::Posted(id) | Self::Repaired(id) | Self::Approved(id) => json(&Id { id }),
            Self::Retried(submitted) => json(&submitted),
            Self::Signalled(receipt) => json(&receipt),
            Self::Defined(defined) => json(&defined),
            Self::Aliased(change) => json(&change),
            Self::Definitions(page) => json(&page),
            Self::Definition(record) => json(&record),
            Self::Schedule(answer) => Json::from_checked(answer.to_json().expect("an answer can be written as JSON")),
            Self::Workers(workers) => json(&workers),
            Self::Health(report) => json(&report),
        })
    }

    /// Parses the answer to `request`.
    ///
    /// # Errors
    /// If the text is not such an answer.
    pub fn read(request: &Request, text: &str) -> serde_json::Result<Self> {
        let id = |text| serde_json::from_str(text).map(|Id { id }| id);
        let task = |text| serde_json::from_str(text).map(|Id { id }| id);
        Ok(match request {
            Request::Job { .. } => Self::Job(Box::new(serde_json::from_str::<Json>(text)?.into())),
            Request::Summary { .. } => Self::Summary(serde_json::from_str(text)?),
            Request::Tasks { .. } => Self::Tasks(serde_json::from_str(text)?),
            Request::Jobs { .. } => Self::Jobs(serde_json::from_str(text)?),
            Request::Explain { .. } => Self::Explained(serde_json::from_str(text)?),
            Request::Document { .. } => Self::Document(serde_json::from_str::<DocumentPart<'_>>(text)?.into()),
            Request::Cancel { .. } => Self::Cancelled(serde_json::from_str(text)?),
            Request::Pause { .. } => Self::Paused(serde_json::from_str(text)?),
            Request::Resume { .. } => Self::Resumed(serde_json::from_str(text)?),
            Request::Priority { .. } => Self::Prioritized(serde_json::from_str(text)?),
            Request::Remove { .. } => Self::Removed(id(text)?),
            Request::Result { .. } => Self::Posted(task(text)?),
            Request::Repair { .. } => Self::Repaired(task(text)?),
            Request::Retry { .. } => Self::Retried(serde_json::from_str(text)?),
            Request::Signal { .. } => Self::Signalled(serde_json::from_str(text)?),
            Request::Approve { .. } => Self::Approved(task(text)?),
            Request::Define { .. } => Self::Defined(serde_json::from_str(text)?),
            Request::Alias { .. } => Self::Aliased(serde_json::from_str(text)?),
            Request::Definitions { .. } => Self::Definitions(serde_json::from_str(text)?),
            Request::Definition { .. } => Self::Definition(Box::new(serde_json::from_str(text)?)),
            Request::Schedule { schedule } => Self::Schedule(ScheduleAnswer::read(schedule, text)?),
            Request::Workers => Self::Workers(serde_json::from_str(text)?),
            Request::Health => Self::Health(serde_json::from_str(text)?),
        })
    }

    /// The error for an answer that does not match the request.
    pub(crate) fn unexpected() -> RequestError {
        RequestError::new(RequestErrorKind::Internal, "the answer of the Hub does not match the request")
    }
}

fn json<T: Serialize>(value: &T) -> Json {
    // Answers have string keys and checked JSON inside: writing them cannot fail.
    Json::from_checked(serde_json::to_string(value).expect("an answer can be written as JSON"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use hub_core::JobStatus;
    use hub_core::details::RepairAction;

    use crate::operations::{
        JobCancel, JobFilter, JobRetry, JobSignal, PauseRequest, PriorityRequest, ResultUpdate, SignalOutcome,
        TaskApproval, TaskQuery, TaskRepair, UpdateStatus, View,
    };

    #[test]
    fn answers_without_records_survive_a_round_trip() {
        let id: JobId = "693eb630-e77d-11f1-b11f-02fc00000001".parse().unwrap();
        let task = id.task(0);
        let result = ResultUpdate { id: task, status: UpdateStatus::Success, data: None, msg: None, v: None };
        let pairs = [
            (Request::Tasks { id, query: TaskQuery::default() }, Answer::Tasks(Json::from_checked(r#"{"tasks": []}"#))),
            (Request::Jobs { filter: JobFilter::default() }, Answer::Jobs(JobPage::default())),
            (Request::Explain { id, task: None }, Answer::Explained(Json::from_checked(r#"{"text": "…"}"#))),
            (Request::Document { id, after: None }, Answer::Document(Arc::<str>::from("{ \"ä\": 1 }\n").into())),
            (
                Request::Cancel { cancel: JobCancel::new(id) },
                Answer::Cancelled(Cancelled { id, status: JobStatus::Cancelling }),
            ),
            (Request::Pause { of: PauseRequest::new(Pausable::Job(id)) }, Answer::Paused(Pausable::Job(id))),
            (
                Request::Resume { of: PauseRequest::new(Pausable::Pool("gpu".to_owned())) },
                Answer::Resumed(Pausable::Pool("gpu".to_owned())),
            ),
            (
                Request::Priority { of: PriorityRequest::new(id, 5) },
                Answer::Prioritized(JobPriority { id, priority: 5 }),
            ),
            (Request::Remove { id }, Answer::Removed(id)),
            (Request::Result { result }, Answer::Posted(task)),
            (Request::Repair { repair: TaskRepair::new(task, RepairAction::Retry) }, Answer::Repaired(task)),
            (Request::Retry { retry: JobRetry::new(id) }, Answer::Retried(Submitted::new(id))),
            (
                Request::Signal { signal: JobSignal::new(id, "s") },
                Answer::Signalled(SignalReceipt { id, outcome: SignalOutcome::Kept }),
            ),
            (Request::Approve { approval: TaskApproval::new(task, "approve") }, Answer::Approved(task)),
            (Request::Workers, Answer::Workers(Vec::new())),
        ];
        for (request, answer) in pairs {
            let shown = format!("{answer:?}");
            let json = answer.into_json().unwrap();
            let read = Answer::read(&request, json.get()).unwrap();
            assert_eq!(format!("{read:?}"), shown);
        }
        let record = Request::Job { id, wait: None, view: View::whole() };
        let record = Answer::read(&record, r#"{"id": 1}"#).unwrap().into_json().unwrap_err();
        assert!(record.is_small());
        Answer::read(&Request::Health, r#"{"id": 1}"#).unwrap_err();
    }
}
