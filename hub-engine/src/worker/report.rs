//! Publishes a worker's reports to the dispatcher, and repeats each until the broker has confirmed it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hub_core::IssueId;
use hub_core::machine;
use hub_core::state::ErrorKind;
use hub_transport::supervisor::Link;
use hub_transport::{Bytes, Message, Outcome};

use crate::wire::{self, FromWorker, Names, Results, ReturnReason, Returned, Started, TaskEnded};

/// Delay before a refused report is published again.
const REFUSAL_DELAY: Duration = Duration::from_secs(1);

/// Publishes reports of one worker.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    link: Link,
    names: Names,
    worker: Arc<str>,
}

/// Why a report was not delivered.
enum Undelivered {
    /// The broker refuses it permanently.
    Refused(String),
    /// The link is closed.
    Closed,
}

impl Reporter {
    pub(super) const fn new(link: Link, names: Names, worker: Arc<str>) -> Self {
        Self { link, names, worker }
    }

    /// Reports results in one message. Returns when the broker has confirmed it.
    pub(super) async fn ended(&self, results: Vec<TaskEnded>) {
        let report = self.results(results);
        if let [first, _, ..] = &*report.results {
            let Err(Undelivered::Refused(_)) = self.deliver(first.issue(), "results", report.encode()).await else {
                return;
            };
            // It is unknown which result the broker refuses, so each is reported in its own message.
        }
        join_all(report.results.into_iter().map(|ended| self.ended_alone(ended))).await;
    }

    async fn ended_alone(&self, ended: TaskEnded) {
        let (id, span) = (ended.issue(), ended.span());
        let report = self.results(vec![ended]);
        let Err(Undelivered::Refused(reason)) = self.deliver(id, "result", report.encode()).await else { return };
        // A refused result must not be lost silently: the task fails with the reason.
        let msg = format!("the broker refused the result: {reason}");
        let outcome = machine::Outcome::failed(ErrorKind::ResultTooLarge, msg);
        let report = self.results(vec![TaskEnded::new(id, outcome, None, span)]);
        if let Err(Undelivered::Refused(reason)) = self.deliver(id, "failed", report.encode()).await {
            tracing::error!(task = %id.task, reason, "the broker refused even the report of a failure");
        }
    }

    /// Reports long issues as started. Returns when the broker has confirmed the report.
    pub(super) async fn started(&self, tasks: Vec<(IssueId, Duration)>) {
        let Some((first, _)) = tasks.first().copied() else { return };
        let report = FromWorker::Started(Started {
            v: wire::VERSION,
            worker: Arc::clone(&self.worker),
            tasks: tasks.into_iter().map(Into::into).collect(),
        });
        if let Err(Undelivered::Refused(reason)) = self.deliver(first, "started", wire::encode(&report)).await {
            tracing::warn!(task = %first.task, reason, "the broker refused a report of started tasks");
        }
    }

    /// Returns an issue that was not run. Returns when the broker has confirmed the report.
    pub(super) async fn returned(&self, id: IssueId, reason: ReturnReason) {
        let worker = Arc::clone(&self.worker);
        let report = FromWorker::Returned(Returned { v: wire::VERSION, issue: id, worker, reason });
        if let Err(Undelivered::Refused(reason)) = self.deliver(id, "returned", wire::encode(&report)).await {
            tracing::warn!(task = %id.task, reason, "the broker refused the report of a returned task");
        }
    }

    /// Publishes a message to the exchange of dead letters. Returns when the broker has confirmed it.
    pub(super) async fn dead_letter(&self, message: Message) {
        let message = Message { exchange: self.names.dead().into(), mandatory: false, ..message };
        if let Err(Undelivered::Refused(reason)) = self.publish(message).await {
            tracing::error!(reason, "the broker refused a dead letter");
        }
    }

    fn results(&self, results: Vec<TaskEnded>) -> Results {
        Results { v: wire::VERSION, worker: Arc::clone(&self.worker), results }
    }

    async fn deliver(&self, issue: IssueId, kind: &str, body: Bytes) -> Result<(), Undelivered> {
        let mut message = Message::new(self.names.hub(), self.names.result_key(issue.task), body)
            .with_message_id(format!("{issue}.{kind}"));
        message.content_type = Some(wire::JSON);
        self.publish(message).await
    }

    /// Publishes until the broker has confirmed. If the outcome is unknown because the session was lost, the same
    /// message is published again under the same id. The dispatcher ignores duplicates.
    async fn publish(&self, message: Message) -> Result<(), Undelivered> {
        loop {
            match self.link.publish(message.clone()).await {
                Outcome::Confirmed => return Ok(()),
                Outcome::Rejected(reason) => return Err(Undelivered::Refused(reason)),
                Outcome::Unroutable => return Err(Undelivered::Refused("it was not routed to a queue".to_owned())),
                Outcome::Unknown(_) if self.link.is_closed() => return Err(Undelivered::Closed),
                // For example, a full queue: the message is published again until it is accepted.
                Outcome::Refused => tokio::time::sleep(REFUSAL_DELAY).await,
                Outcome::Unknown(_) => {}
            }
        }
    }
}
