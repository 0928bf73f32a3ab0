//! Tampers with messages for a sabotage.

use std::sync::Arc;

use hub_transport::{Delivery, Message};
use serde_json::{Value, json};

use super::note::Note;
use super::process::Process;
use super::sabotage::Sabotage;
use super::world::World;

/// The messages that the broker receives instead of a published message.
pub(super) fn publish(world: &World, note: &Note, mut message: Message) -> Vec<Message> {
    match (world.sabotage, note) {
        (Some(Sabotage::PublishTwice), Note::Task(_)) if world.dice.falls(0.1) => vec![message.clone(), message],
        (Some(Sabotage::SkipLease), Note::Started(_)) => Vec::new(),
        (Some(Sabotage::LoseResult), Note::Results(_)) if world.dice.falls(0.05) => Vec::new(),
        (Some(Sabotage::SkipLease), Note::Heartbeat) => {
            message.body = changed(&message, |body| body["held"] = json!([])).into();
            vec![message]
        }
        _ => vec![message],
    }
}

/// The delivery that a process receives instead of this one.
pub(super) fn delivery(world: &World, process: &Arc<Process>, queue: &str, mut delivery: Delivery) -> Option<Delivery> {
    match world.sabotage {
        Some(Sabotage::LoseDeadLetter) if process.is_dispatcher && queue == "hub.dead" => return None,
        Some(Sabotage::AcceptStale) if process.is_dispatcher => {
            if let Note::Results(results) = Note::of(&delivery.message) {
                let latest = results.iter().map(|(issue, _)| world.latest_issue(issue.task));
                let current = |body: &mut Value| {
                    for (at, latest) in latest.enumerate().filter_map(|(at, latest)| Some((at, latest?))) {
                        body["results"][at]["issue"] = json!(latest.number);
                        body["results"][at]["incarnation"] = json!(latest.incarnation);
                    }
                };
                delivery.message.body = changed(&delivery.message, current).into();
            }
        }
        _ => {}
    }
    Some(delivery)
}

fn changed(message: &Message, change: impl FnOnce(&mut Value)) -> String {
    let mut body: Value = serde_json::from_slice(&message.body).unwrap_or_default();
    change(&mut body);
    body.to_string()
}
