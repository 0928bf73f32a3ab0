//! Any bytes as the body of any message: what is understood is written and understood the same again.

use std::fmt::Debug;

use hub_core::Json;
use hub_engine::operations::RequestError;
use hub_engine::wire::{
    ControlMessage, FromWorker, Heartbeat, HeldAttempt, JobMessage, Names, Replies, Reply, ReplyFor, RequestMessage,
    ResultMessage, RunningAttempt, TaskMessage, VERSION, WireError, encode,
};
use hub_transport::Message;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Reads the bytes as each of the messages. Whether they were one.
pub(super) fn check(bytes: &[u8]) -> bool {
    let is_newer = is_newer(bytes);
    let understood = [
        same_again(TaskMessage::decode, bytes).is_some_and(|task| check_task(&task)),
        same_again(ControlMessage::decode, bytes).is_some(),
        same_again(Heartbeat::decode, bytes).is_some_and(|heartbeat| check_held(&heartbeat)),
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

/// Whether the body says that it is of a newer format. Of a key that stands twice no reader takes the first.
fn is_newer(bytes: &[u8]) -> bool {
    let tree: Option<Value> = serde_json::from_slice(bytes).ok();
    tree.is_some_and(|tree| tree["v"].as_u64().is_some_and(|version| version > u64::from(VERSION)))
}

/// The message, if it is one, after it was written and read again.
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
    assert!(task.message_id().starts_with(&task.id.to_string()));
    true
}

fn check_held(heartbeat: &Heartbeat) -> bool {
    for held in heartbeat.held.iter().chain(&heartbeat.present) {
        assert_eq!(HeldAttempt::from(held.parts()), *held);
    }
    true
}

/// Jobs of one message are handed in as they came, each with what it came with.
fn check_jobs(bytes: &[u8]) {
    let sent = |body: Vec<u8>| Message::new("hub", "jobs", body).with_header("jobs", "many");
    let jobs = match JobMessage::all_of(&sent(bytes.to_vec())) {
        Ok(jobs) => jobs,
        Err(error) => return check_error(&error),
    };
    let again = JobMessage::all_of(&JobMessage::message(jobs.clone(), &Names::new("hub"), None));
    assert_eq!(again.expect("jobs can be read again"), jobs);
}

/// Of the results queue there is no one form: it is written as what it is.
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
        started.tasks.iter().for_each(|held| assert_eq!(RunningAttempt::from((held.parts(), held.ran())), *held));
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

/// Whoever is answered gets the value, or the refusal, as it was given.
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

/// The answers in it are others' business.
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
