//! Brings what a worker has to say to the dispatcher, and does not give up before the broker has it.

use std::sync::Arc;

use hub_core::state::{ErrorKind, TaskError};
use hub_core::{Attempt, TaskId, Timestamp};
use hub_transport::supervisor::Link;
use hub_transport::{Message, Outcome};

use crate::runner::{self, TaskReport};
use crate::wire::{self, FromWorker, Names, ResultStatus, ReturnReason, Returned, Started, TaskEnded};

/// Publishes reports of one worker.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    link: Link,
    names: Names,
    worker: Arc<str>,
}

/// When an issue ran, by this machine's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) started_at: Timestamp,
    pub(super) ended_at: Timestamp,
}

impl Reporter {
    pub(super) const fn new(link: Link, names: Names, worker: Arc<str>) -> Self {
        Self { link, names, worker }
    }

    /// Reports how an issue ended; returns when the broker has it.
    pub(super) async fn ended(&self, task: TaskId, attempt: Attempt, report: TaskReport, span: Span) {
        let Some(message) = self.message_of(task, attempt, report, span) else { return };
        if let Err(reason) = self.deliver(task, attempt, &message).await {
            // What the broker will never take must not vanish: the task fails, and says why.
            let failed = self.result(task, attempt, span, ResultStatus::Failed, None);
            let failed = FromWorker::Result(TaskEnded {
                msg: Some(format!("the broker refused the result: {reason}").into()),
                error: Some(TaskError { kind: ErrorKind::ResultTooLarge, type_name: None, traceback: None }),
                ..failed
            });
            if let Err(reason) = self.deliver(task, attempt, &failed).await {
                tracing::error!(%task, reason, "the broker refused even the report of a failure");
            }
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

    fn message_of(&self, task: TaskId, attempt: Attempt, report: TaskReport, span: Span) -> Option<FromWorker> {
        let log = report.log.map(Into::into);
        let ended = |status, data| TaskEnded { log, ..self.result(task, attempt, span, status, data) };
        Some(FromWorker::Result(match report.outcome {
            runner::Outcome::Success { data } => ended(ResultStatus::Success, Some(data)),
            runner::Outcome::Launched { data } => ended(ResultStatus::Running, Some(data)),
            runner::Outcome::Failed { msg, error } => {
                TaskEnded { msg: Some(msg.into()), error: Some(error), ..ended(ResultStatus::Failed, None) }
            }
            runner::Outcome::Unknown => {
                return Some(FromWorker::Returned(Returned {
                    v: wire::VERSION,
                    id: task,
                    attempt: attempt.attempt,
                    incarnation: attempt.incarnation,
                    worker: Arc::clone(&self.worker),
                    reason: ReturnReason::UnknownModule,
                }));
            }
            // Stopped on the dispatcher's word: it knows. And of what has not begun there is nothing to say.
            runner::Outcome::Cancelled | runner::Outcome::NotBegun => return None,
        }))
    }

    fn result(
        &self,
        task: TaskId,
        attempt: Attempt,
        span: Span,
        status: ResultStatus,
        data: Option<hub_core::Json>,
    ) -> TaskEnded {
        TaskEnded {
            v: wire::VERSION,
            id: task,
            attempt: attempt.attempt,
            incarnation: attempt.incarnation,
            worker: Arc::clone(&self.worker),
            status,
            data,
            msg: None,
            error: None,
            log: None,
            started_at: span.started_at,
            ended_at: span.ended_at,
        }
    }

    /// Publishes until the broker has confirmed. An outcome that a lost session took with it is no
    /// answer: the same message goes out again under the same id, and the dispatcher ignores a second one.
    async fn deliver(&self, task: TaskId, attempt: Attempt, report: &FromWorker) -> Result<(), String> {
        let (kind, body) = match report {
            FromWorker::Started(_) => ("started", wire::encode(report)),
            FromWorker::Result(_) => ("result", wire::encode(report)),
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
