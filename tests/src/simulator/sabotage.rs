//! Breaks the protocol on purpose, around Hub's own code and never in it, to see that the invariants notice.

use std::sync::Arc;
use std::time::Duration;

use hub_core::{Now, Steady};
use hub_transport::{Delivery, Message};
use serde_json::{Value, json};

use super::note::Note;
use super::process::Process;
use super::world::World;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The store says that it has kept what it has not: deliveries are acknowledged and clients answered too early.
    AcknowledgeBeforeCommit,
    /// Some issues go out twice.
    PublishTwice,
    /// The store forgets which issues the broker has confirmed.
    ForgetConfirmed,
    /// A result of an earlier issue is taken for one of the current issue.
    AcceptStale,
    /// The dispatcher does not learn which tasks a worker holds.
    SkipLease,
    /// What the broker gives up is lost.
    LoseDeadLetter,
    /// The broker confirms a result that it has lost.
    LoseResult,
    /// Every start of the dispatcher counts as the first.
    OneIncarnation,
    /// Durations follow the wall clock.
    MeasureByWallClock,
}

impl Sabotage {
    /// Every way.
    pub const ALL: [Self; 9] = [
        Self::AcknowledgeBeforeCommit,
        Self::PublishTwice,
        Self::ForgetConfirmed,
        Self::AcceptStale,
        Self::SkipLease,
        Self::LoseDeadLetter,
        Self::LoseResult,
        Self::OneIncarnation,
        Self::MeasureByWallClock,
    ];
}

/// By how much a commit comes too late.
pub(super) const LATE: Duration = Duration::from_millis(40);

/// What a process reads from its clocks. `as_wall`: what a steady clock would show that follows the wall clock.
pub(super) fn clock(sabotage: Option<Sabotage>, now: Now, as_wall: Steady) -> Now {
    match sabotage {
        Some(Sabotage::MeasureByWallClock) => Now { steady: as_wall, ..now },
        _ => now,
    }
}

/// What the broker gets of a message.
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

/// What a process gets of a delivery.
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
