//! Target: arbitrary bytes as the body of a message. An accepted message is unchanged when it is written and read again.

use std::fmt::Debug;

use hub_core::Json;
use hub_engine::operations::RequestError;
use hub_engine::wire::{
    ControlMessage, FromWorker, Heartbeat, JobMessage, Names, Replies, Reply, ReplyFor, RequestMessage, ResultMessage,
    RunningIssue, TaskMessage, VERSION, WireError, encode,
};
use hub_transport::Message;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Parses the bytes as each kind of message. Returns whether one was accepted.
pub(super) fn check(bytes: &[u8]) -> bool {
    let is_newer = is_newer(bytes);
    let understood = [
        same_again(TaskMessage::decode, bytes).is_some_and(|task| check_task(&task)),
        same_again(ControlMessage::decode, bytes).is_some(),
        same_again(Heartbeat::decode, bytes).is_some(),
        check_result(bytes),
        check_request(bytes),
        check_reply(bytes),
        check_replies(bytes),
    ];
    check_jobs(bytes);
    let is_understood = understood.contains(&true);
    assert!(!is_newer || !is_understood, "a message of a newer format was understood");
    is_understood
}

/// Whether the body has a newer version. Of duplicate keys, all parsers use the last one.
fn is_newer(bytes: &[u8]) -> bool {
    let tree: Option<Value> = serde_json::from_slice(bytes).ok();
    tree.is_some_and(|tree| tree["v"].as_u64().is_some_and(|version| version > u64::from(VERSION)))
}

/// Parses a message, and checks that it is unchanged when it is written and read again.
fn same_again<T: Serialize + PartialEq + Debug>(decode: fn(&[u8]) -> Result<T, WireError>, bytes: &[u8]) -> Option<T> {
    let message = decode(bytes).map_err(|error| check_error(&error)).ok()?;
    let written = encode(&message);
    let again = decode(&written).unwrap_or_else(|error| panic!("{message:?} cannot be read again: {error}"));
    assert_eq!(message, again);
    assert_eq!(written, encode(&again));
    Some(message)
}

fn check_error(error: &WireError) {
    assert!(error.to_string().len() > 10, "{error:?}");
}

fn check_task(task: &TaskMessage) -> bool {
    assert!(task.message_id().starts_with(&task.issue.task.to_string()));
    true
}

/// The jobs of a message are submitted in order, each with its properties.
fn check_jobs(bytes: &[u8]) {
    let sent = |body: Vec<u8>| Message::new("hub", "jobs", body).with_header("jobs", "many");
    let jobs = match JobMessage::all_of(&sent(bytes.to_vec())) {
        Ok(jobs) => jobs,
        Err(error) => return check_error(&error),
    };
    let again = JobMessage::all_of(&JobMessage::message(jobs.clone(), &Names::new("hub"), None));
    assert_eq!(again.expect("jobs can be read again"), jobs);
}

/// The results queue has several kinds of messages, and each is written in its own form.
fn check_result(bytes: &[u8]) -> bool {
    let message = match ResultMessage::decode(bytes) {
        Ok(message) => message,
        Err(error) => {
            check_error(&error);
            return false;
        }
    };
    let write = |message: &ResultMessage| match message {
        ResultMessage::FromWorker(report) => encode(report),
        ResultMessage::Posted(update) => encode(update),
    };
    let written = write(&message);
    let again = ResultMessage::decode(&written);
    let again = again.unwrap_or_else(|error| panic!("{message:?} cannot be read again: {error}"));
    match (&message, &again) {
        (ResultMessage::FromWorker(before), ResultMessage::FromWorker(after)) => assert_eq!(before, after),
        (ResultMessage::Posted(before), ResultMessage::Posted(after)) => {
            assert_eq!(format!("{before:?}"), format!("{after:?}"));
        }
        _ => panic!("{message:?} became {again:?}"),
    }
    assert_eq!(written, write(&again));
    if let ResultMessage::FromWorker(FromWorker::Started(started)) = &message {
        started.tasks.iter().for_each(|held| assert_eq!(RunningIssue::from((held.issue, held.ran())), *held));
    }
    true
}

fn check_request(bytes: &[u8]) -> bool {
    let request = match RequestMessage::decode(bytes) {
        Ok(message) => message.request,
        Err(error) => {
            check_error(&error);
            return false;
        }
    };
    let shown = format!("{request:?}");
    let written = encode(&RequestMessage { v: VERSION, request });
    let again = RequestMessage::decode(&written);
    let again = again.unwrap_or_else(|error| panic!("{shown} cannot be read again: {error}")).request;
    assert_eq!(shown, format!("{again:?}"));
    assert_eq!(written, encode(&RequestMessage { v: VERSION, request: again }));
    true
}

/// A reply contains the unchanged value or refusal.
fn check_reply(bytes: &[u8]) -> bool {
    let outcome: Result<Json, RequestError> = match Reply::decode(bytes) {
        Ok(outcome) => outcome,
        Err(error) => {
            check_error(&error);
            return false;
        }
    };
    let written = encode(&Reply::new(outcome.clone()));
    assert_eq!(Reply::decode::<Json>(&written).expect("an answer can be read again"), outcome);
    true
}

/// The content of replies is not checked here.
fn check_replies(bytes: &[u8]) -> bool {
    let replies = match Replies::decode(bytes) {
        Ok(replies) => replies,
        Err(error) => {
            check_error(&error);
            return false;
        }
    };
    let written = encode(&replies);
    let again = Replies::decode(&written).expect("answers can be read again");
    let told = |ReplyFor { to, reply }: &ReplyFor<&RawValue>| (to.clone(), reply.get().to_owned());
    assert_eq!(
        again.replies.iter().map(told).collect::<Vec<_>>(),
        replies.replies.iter().map(told).collect::<Vec<_>>()
    );
    true
}
