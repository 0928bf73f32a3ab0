//! Publishes tasks, and what else the dispatcher has to say.

use std::sync::Arc;

use hub_core::IssueId;
use hub_core::action::Assignment;
use hub_transport::supervisor::Link;
use hub_transport::{ErrorKind, Message, Outcome, Text};
use tokio::sync::mpsc;

use super::inputs::{FinalOutcome, Input};
use crate::clock::steady;
use crate::wire::{self, Control, ControlMessage, Names, TaskMessage};

/// An issue of a task as it goes out.
#[derive(Clone, Debug)]
pub(super) struct Issue {
    pub(super) id: IssueId,
    message: Message,
}

impl Issue {
    /// How large its message is.
    pub(super) fn bytes(&self) -> usize {
        self.message.body.len()
    }

    /// `exchange`: [`Names::tasks`].
    pub(super) fn new(exchange: &Text, assignment: Assignment) -> Self {
        Self { id: assignment.issue, message: task_message(exchange.clone(), assignment) }
    }
}

/// Publishes `issues` in their order and reports to the loop when the outcome of each is known, as a part of `batch`.
pub(super) fn issues(link: &Link, issues: Vec<Issue>, batch: u64, report: mpsc::UnboundedSender<Input>) {
    let bytes = issues.iter().map(Issue::bytes).sum();
    let receipts = link.publish_all(issues.iter().map(|issue| issue.message.clone()).collect());
    let link = link.clone();
    tokio::spawn(async move {
        let mut outcomes = Vec::with_capacity(issues.len());
        for (issue, outcome) in issues.into_iter().zip(receipts.await) {
            let id = issue.id;
            let outcome = match outcome {
                Outcome::Confirmed => FinalOutcome::Confirmed,
                Outcome::Rejected(reason) => FinalOutcome::Rejected(reason),
                Outcome::Refused => FinalOutcome::Refused,
                Outcome::Unroutable => FinalOutcome::Unroutable,
                // The dispatcher ends. What the store has as unconfirmed goes out again at the next start.
                Outcome::Unknown(_) if link.is_closed() => return,
                Outcome::Unknown(_) => FinalOutcome::Unknown(Box::new(issue)),
            };
            outcomes.push((id, outcome));
        }
        let _ = report.send(Input::Published { batch, bytes, outcomes });
    });
}

/// Asks the broker how many messages wait in a pool's queue and in the queue of results, and reports it.
pub(super) fn probe(link: &Link, names: &Names, pool: Arc<str>, report: mpsc::UnboundedSender<Input>) {
    let (link, queues) = (link.clone(), [names.pool_queue(&pool), names.results_queue()]);
    tokio::spawn(async move {
        let (asked, mut ready) = (steady(), 0);
        for queue in queues {
            match link.ready(&queue).await {
                Ok(messages) => ready += messages,
                // A queue that was deleted has lost everything.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return tracing::debug!(%error, queue, "could not look into a queue"),
            }
        }
        let _ = report.send(Input::Depth { pool, ready, asked });
    });
}

/// Tells every worker to stop these issues. Workers that miss it only do work that nobody wants.
pub(super) fn stops(link: &Link, names: &Names, tasks: Vec<IssueId>) {
    control(link, names, Control::Stop { tasks });
}

/// Asks every worker to say what it has.
pub(super) fn announce(link: &Link, names: &Names) {
    control(link, names, Control::Announce);
}

/// Sends an echo, which comes back as heartbeats come.
pub(super) fn echo(link: &Link, names: &Names, key: &str, number: u64) {
    let message = Message::new(names.events(), key, "{}").with_message_id(number.to_string());
    drop(link.publish(message.transient()));
}

fn control(link: &Link, names: &Names, control: Control) {
    let body = wire::encode(&ControlMessage { v: wire::VERSION, control });
    drop(link.publish(Message::new(names.control(), "", body).transient()));
}

fn task_message(exchange: Text, assignment: Assignment) -> Message {
    let task = TaskMessage::from(assignment);
    let mut message = Message::new(exchange, &*task.pool, wire::encode(&task)).with_message_id(task.message_id());
    message.content_type = Some(wire::JSON);
    message
}

/// The issue that a task message carries, for what found no queue or killed its workers.
pub(super) fn decode_stray(message: &Message) -> Option<IssueId> {
    TaskMessage::decode(&message.body).ok().map(|task| task.issue)
}
