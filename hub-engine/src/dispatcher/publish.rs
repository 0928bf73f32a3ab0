//! Publishes tasks and does not give up on them.

use std::sync::Arc;

use hub_core::action::Assignment;
use hub_core::{Attempt, TaskId};
use hub_transport::supervisor::Link;
use hub_transport::{ErrorKind, Message, Outcome, Receipt};
use tokio::sync::mpsc;

use super::inputs::{FinalOutcome, Input};
use crate::clock::now;
use crate::wire::{self, Control, ControlMessage, HeldAttempt, Names, TaskMessage};

/// Publishes `assignments` in their order and reports to the loop when all of them have ended, as a part of `batch`.
pub(super) fn assignments(
    link: &Link,
    names: &Names,
    assignments: Vec<Assignment>,
    batch: u64,
    report: mpsc::UnboundedSender<Input>,
) {
    let mut issued = Vec::with_capacity(assignments.len());
    let mut messages = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        let (task, attempt) = (assignment.task, assignment.attempt);
        let message = task_message(names, assignment);
        issued.push((task, attempt, message.clone()));
        messages.push(message);
    }
    let receipts = link.publish_all(messages);
    let link = link.clone();
    tokio::spawn(async move {
        let mut outcomes = Vec::with_capacity(issued.len());
        for ((task, attempt, message), receipt) in issued.into_iter().zip(receipts) {
            let Some(outcome) = settle(&link, receipt, message).await else { return };
            outcomes.push((task, attempt, outcome));
        }
        let _ = report.send(Input::Published(batch, outcomes));
    });
}

/// Asks the broker how many messages wait in a pool's queue and in the queue of results, and reports it.
pub(super) fn probe(link: &Link, names: &Names, pool: Arc<str>, report: mpsc::UnboundedSender<Input>) {
    let (link, queues) = (link.clone(), [names.pool_queue(&pool), names.results_queue()]);
    tokio::spawn(async move {
        let (asked, mut ready) = (now(), 0);
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
pub(super) fn stops(link: &Link, names: &Names, tasks: Vec<HeldAttempt>) {
    control(link, names, Control::Stop { tasks });
}

/// Asks every worker to say what it has.
pub(super) fn announce(link: &Link, names: &Names) {
    control(link, names, Control::Announce);
}

/// Says something that comes back as heartbeats come.
pub(super) fn echo(link: &Link, names: &Names, key: &str) {
    drop(link.publish(Message::new(names.events(), key, "{}").transient()));
}

fn control(link: &Link, names: &Names, control: Control) {
    let body = wire::encode(&ControlMessage { v: wire::VERSION, control });
    drop(link.publish(Message::new(names.control(), "", body).transient()));
}

fn task_message(names: &Names, assignment: Assignment) -> Message {
    let task = TaskMessage::from(assignment);
    let mut message = Message::new(names.tasks(), &*task.pool, wire::encode(&task)).with_message_id(task.message_id());
    message.content_type = Some(wire::JSON.to_owned());
    message
}

/// Waits for the outcome of one message. Where a session died with it, publishes it again under the same
/// message id: a worker that gets it twice runs it once, a dispatcher that gets two results takes one.
/// `None` when the link is closed for good.
async fn settle(link: &Link, mut receipt: Receipt, message: Message) -> Option<FinalOutcome> {
    loop {
        match receipt.await {
            Outcome::Confirmed => return Some(FinalOutcome::Confirmed),
            Outcome::Rejected(reason) => return Some(FinalOutcome::Rejected(reason)),
            Outcome::Unroutable => return Some(FinalOutcome::Unroutable),
            Outcome::Unknown(_) if link.is_closed() => return None,
            Outcome::Unknown(_) => receipt = link.publish(message.clone()),
        }
    }
}

/// The ids of a task message, for what found no queue or killed its workers.
pub(super) fn decode_stray(message: &Message) -> Option<(TaskId, Attempt)> {
    TaskMessage::decode(&message.body).ok().map(|task| (task.id, task.attempt))
}
