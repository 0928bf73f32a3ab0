//! Brings what a worker has to say to the dispatcher, and does not give up before the broker has it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hub_core::IssueId;
use hub_core::machine;
use hub_core::state::ErrorKind;
use hub_transport::supervisor::Link;
use hub_transport::{Bytes, Message, Outcome};

use crate::wire::{self, FromWorker, Names, Results, ReturnReason, Returned, Started, TaskEnded};

/// Delay before a report goes out again that the broker did not take.
const REFUSAL_DELAY: Duration = Duration::from_secs(1);

/// Publishes reports of one worker.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    link: Link,
    names: Names,
    worker: Arc<str>,
}

/// Why the broker does not have a report.
enum Undelivered {
    /// It will never take it.
    Refused(String),
    /// The worker ends.
    Closed,
}

impl Reporter {
    pub(super) const fn new(link: Link, names: Names, worker: Arc<str>) -> Self {
        Self { link, names, worker }
    }

    /// Reports results with one message; returns when the broker has them.
    pub(super) async fn ended(&self, results: Vec<TaskEnded>) {
        let report = self.results(results);
        if let [first, _, ..] = &*report.results {
            let Err(Undelivered::Refused(_)) = self.deliver(first.issue(), "results", report.encode()).await else {
                return;
            };
            // Nobody knows which of them it is that the broker does not take.
        }
        join_all(report.results.into_iter().map(|ended| self.ended_alone(ended))).await;
    }

    async fn ended_alone(&self, ended: TaskEnded) {
        let (id, span) = (ended.issue(), ended.span());
        let report = self.results(vec![ended]);
        let Err(Undelivered::Refused(reason)) = self.deliver(id, "result", report.encode()).await else { return };
        // What the broker will never take must not vanish: the task fails, and says why.
        let msg = format!("the broker refused the result: {reason}");
        let outcome = machine::Outcome::failed(ErrorKind::ResultTooLarge, msg);
        let report = self.results(vec![TaskEnded::new(id, outcome, None, span)]);
        if let Err(Undelivered::Refused(reason)) = self.deliver(id, "failed", report.encode()).await {
            tracing::error!(task = %id.task, reason, "the broker refused even the report of a failure");
        }
    }

    /// Reports issues that run long; returns when the broker has it.
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

    /// Gives an issue back without having run it; returns when the broker has it.
    pub(super) async fn returned(&self, id: IssueId, reason: ReturnReason) {
        let worker = Arc::clone(&self.worker);
        let report = FromWorker::Returned(Returned { v: wire::VERSION, issue: id, worker, reason });
        if let Err(Undelivered::Refused(reason)) = self.deliver(id, "returned", wire::encode(&report)).await {
            tracing::warn!(task = %id.task, reason, "the broker refused to take a task back");
        }
    }

    /// Publishes a message that is given up where the broker would have put it; returns when the broker has it.
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

    /// Publishes until the broker has confirmed. An outcome that a lost session took with it is no
    /// answer: the same message goes out again under the same id, and the dispatcher ignores a second one.
    async fn publish(&self, message: Message) -> Result<(), Undelivered> {
        loop {
            match self.link.publish(message.clone()).await {
                Outcome::Confirmed => return Ok(()),
                Outcome::Rejected(reason) => return Err(Undelivered::Refused(reason)),
                Outcome::Unroutable => return Err(Undelivered::Refused("no queue takes it".to_owned())),
                Outcome::Unknown(_) if self.link.is_closed() => return Err(Undelivered::Closed),
                // A full queue, for one: the same goes out until there is room.
                Outcome::Refused => tokio::time::sleep(REFUSAL_DELAY).await,
                Outcome::Unknown(_) => {}
            }
        }
    }
}
