//! Publishes tasks, and what else the dispatcher has to say.

use std::sync::Arc;
use std::time::Duration;

use hub_core::IssueId;
use hub_core::Steady;
use hub_core::action::Assignment;
use hub_transport::supervisor::Link;
use hub_transport::{ErrorKind, Message, Outcome, Text};

use crate::clock::steady;
use crate::wire::{self, Control, ControlMessage, Names, TaskMessage};

/// An issue of a task as it goes out.
#[derive(Clone, Debug)]
pub(super) struct OutgoingIssue {
    pub(super) id: IssueId,
    message: Message,
}

/// How a publish ended.
#[derive(Clone, Debug)]
pub(super) enum FinalOutcome {
    /// The broker has it.
    Confirmed,
    /// The broker will not take it.
    Rejected(String),
    /// The broker does not take it at present.
    Refused,
    /// No queue takes it.
    Unroutable,
    /// The session died first: the broker may have it or not.
    Unknown(Box<OutgoingIssue>),
}

/// How several publishes ended.
pub(super) type Outcomes = Vec<(IssueId, FinalOutcome)>;

/// How many messages wait in a pool's queue and among the results.
#[derive(Debug)]
pub(super) struct Depth {
    /// The pool.
    pub(super) pool: Arc<str>,
    /// How many.
    pub(super) ready: u64,
    /// When the broker was asked.
    pub(super) asked: Steady,
}

impl OutgoingIssue {
    /// How large its message is.
    pub(super) fn bytes(&self) -> usize {
        self.message.body.len()
    }

    /// `exchange`: [`Names::tasks`]. `mandatory`: whether the broker reports that no queue takes it.
    pub(super) fn new(exchange: &Text, assignment: Assignment, mandatory: bool) -> Self {
        let id = assignment.issue;
        Self { id, message: Message { mandatory, ..task_message(exchange.clone(), assignment) } }
    }
}

/// Publishes `issues` in their order, and reports when the outcome of each is known.
pub(super) fn issues(link: &Link, issues: Vec<OutgoingIssue>, report: impl FnOnce(Outcomes) + Send + 'static) {
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
        report(outcomes);
    });
}

/// Asks the broker how many messages wait in a pool's queue and in the queue of results, and reports it.
pub(super) fn probe(link: &Link, names: &Names, pool: Arc<str>, report: impl FnOnce(Depth) + Send + 'static) {
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
        report(Depth { pool, ready, asked });
    });
}

/// Tells every worker to stop these issues. Workers that miss it only do work whose results are discarded.
pub(super) fn stops(link: &Link, names: &Names, mut stops: Vec<(IssueId, Duration)>) {
    stops.sort_by_key(|(_, grace)| *grace);
    for alike in stops.chunk_by(|(_, one), (_, next)| one == next) {
        let tasks = alike.iter().map(|(issue, _)| *issue).collect();
        control(link, names, Control::stop(tasks, alike[0].1));
    }
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
