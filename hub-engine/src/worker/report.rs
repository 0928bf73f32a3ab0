//! Brings what a worker has to say to the dispatcher, and does not give up before the broker has it.

use std::sync::Arc;

use hub_core::state::{ErrorKind, TaskError};
use hub_core::{Attempt, TaskId};
use hub_transport::supervisor::Link;
use hub_transport::{Message, Outcome};

use crate::wire::{self, FromWorker, Names, ResultStatus, Results, ReturnReason, Returned, Started, TaskEnded};

/// Publishes reports of one worker.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    link: Link,
    names: Names,
    worker: Arc<str>,
}

impl Reporter {
    pub(super) const fn new(link: Link, names: Names, worker: Arc<str>) -> Self {
        Self { link, names, worker }
    }

    /// Reports results with one message; returns when the broker has them.
    pub(super) async fn ended(&self, results: Vec<TaskEnded>) {
        let Err((reason, refused)) = self.deliver_results(results).await else { return };
        if refused.len() == 1 {
            return self.fail(refused, &reason).await;
        }
        // Nobody knows which of them it is that the broker does not take.
        for ended in refused {
            if let Err((reason, refused)) = self.deliver_results(vec![ended]).await {
                self.fail(refused, &reason).await;
            }
        }
    }

    /// What the broker will never take must not vanish: the task fails, and says why.
    async fn fail(&self, refused: Vec<TaskEnded>, reason: &str) {
        let failed = refused.into_iter().map(|ended| TaskEnded {
            status: ResultStatus::Failed,
            data: None,
            msg: Some(format!("the broker refused the result: {reason}").into()),
            error: Some(TaskError { kind: ErrorKind::ResultTooLarge, type_name: None, traceback: None }),
            log: None,
            ..ended
        });
        if let Err((reason, refused)) = self.deliver_results(failed.collect()).await {
            let tasks: Vec<_> = refused.iter().map(|ended| ended.id.to_string()).collect();
            tracing::error!(tasks = tasks.join(","), reason, "the broker refused even the report of a failure");
        }
    }

    /// Reports issues that run long; returns when the broker has it.
    pub(super) async fn started(&self, tasks: Vec<(TaskId, Attempt)>) {
        // One message for each slot would go astray with several partitions: tasks are grouped by slot.
        let mut by_slot = std::collections::BTreeMap::<u32, Vec<(TaskId, Attempt)>>::new();
        for (task, attempt) in tasks {
            by_slot.entry(task.slot()).or_default().push((task, attempt));
        }
        for tasks in by_slot.into_values() {
            let (first, attempt) = tasks[0];
            let message = FromWorker::Started(Started {
                v: wire::VERSION,
                worker: Arc::clone(&self.worker),
                tasks: tasks.into_iter().map(Into::into).collect(),
            });
            if let Err(reason) = self.deliver(first, attempt, &message).await {
                tracing::warn!(task = %first, reason, "the broker refused a report of started tasks");
            }
        }
    }

    /// Gives an issue back without having run it; returns when the broker has it.
    pub(super) async fn returned(&self, task: TaskId, attempt: Attempt, reason: ReturnReason) {
        let message = FromWorker::Returned(Returned {
            v: wire::VERSION,
            id: task,
            attempt: attempt.attempt,
            incarnation: attempt.incarnation,
            worker: Arc::clone(&self.worker),
            reason,
        });
        if let Err(reason) = self.deliver(task, attempt, &message).await {
            tracing::warn!(%task, reason, "the broker refused to take a task back");
        }
    }

    /// Returns what the broker will never take, and why.
    async fn deliver_results(&self, results: Vec<TaskEnded>) -> Result<(), (String, Vec<TaskEnded>)> {
        let Some(first) = results.first() else { return Ok(()) };
        let (task, attempt) = first.key();
        let report = FromWorker::Results(Results { v: wire::VERSION, worker: Arc::clone(&self.worker), results });
        match (self.deliver(task, attempt, &report).await, report) {
            (Err(reason), FromWorker::Results(Results { results, .. })) => Err((reason, results)),
            _ => Ok(()),
        }
    }

    /// Publishes until the broker has confirmed. An outcome that a lost session took with it is no
    /// answer: the same message goes out again under the same id, and the dispatcher ignores a second one.
    async fn deliver(&self, task: TaskId, attempt: Attempt, report: &FromWorker) -> Result<(), String> {
        let (kind, body) = match report {
            FromWorker::Started(_) => ("started", wire::encode(report)),
            FromWorker::Results(_) => ("result", wire::encode(report)),
            FromWorker::Returned(_) => ("returned", wire::encode(report)),
        };
        let mut message = Message::new(self.names.hub(), self.names.result_key(task), body)
            .with_message_id(format!("{task}.{}.{}.{kind}", attempt.incarnation, attempt.attempt));
        message.content_type = Some(wire::JSON);
        loop {
            match self.link.publish(message.clone()).await {
                Outcome::Confirmed => return Ok(()),
                Outcome::Rejected(reason) => return Err(reason),
                Outcome::Unroutable => return Err("no queue takes it".to_owned()),
                Outcome::Unknown(error) => {
                    if self.link.is_closed() {
                        return Err(format!("the link is closed: {error}"));
                    }
                }
            }
        }
    }
}
