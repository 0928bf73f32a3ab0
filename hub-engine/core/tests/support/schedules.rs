//! A machine with a schedule.

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment};
use hub_core::job::Limits;
use hub_core::machine::ScheduleChange;
use hub_core::schedule::{KeptSchedule, Schedule, ScheduleState, ScheduledStart, SkipReason};
use hub_core::{JobId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Hub, first_issue, parse};

pub const UID: Uuid = Uuid::from_u128(77);
/// The name of the schedule.
pub const NAME: &str = "s";
pub const JOB: &str = r#"{"name": "j", "tasks": [{"name": "a", "args": ["_.job.scheduled_at"]}]}"#;

/// A schedule every ten seconds from the first time of the tests on, with these further keys.
pub fn text(more: &Value) -> String {
    let mut text = json!({"name": NAME, "every": "10s", "job": "etl"});
    text.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    text.to_string()
}

pub fn kept(hub: &Hub, text: &str) -> Arc<KeptSchedule> {
    let now = hub.now.wall;
    let schedule = Arc::new(Schedule::parse(text, &Limits::default(), now).unwrap_or_else(|error| panic!("{error}")));
    Arc::new(KeptSchedule { uid: UID, created_at: now, changed_at: now, by: None, schedule })
}

/// A hub with a schedule.
pub fn hub(more: &Value) -> Hub {
    let mut hub = Hub::new();
    hub.worker("w1", &["a"]);
    let kept = kept(&hub, &text(more));
    assert_eq!(hub.machine.set_schedule(kept, hub.now), ScheduleChange::Created);
    hub.actions();
    hub
}

pub fn state(hub: &Hub) -> &ScheduleState {
    &hub.schedules[NAME].state
}

/// The reasons and the seconds of the skipped times, after the start of the tests.
pub fn skips(hub: &Hub) -> Vec<(SkipReason, u64)> {
    state(hub).skips.iter().map(|skip| (skip.reason, seconds(skip.at))).collect()
}

/// Seconds since the start of the tests.
pub fn seconds(time: Timestamp) -> u64 {
    (time.as_millis() - 1_000_000) / 1000
}

/// The jobs that are to be started now.
pub fn asked(hub: &mut Hub) -> Vec<ScheduledStart> {
    let started = |action| match action {
        Action::Start(start) => Some(*start),
        _ => None,
    };
    hub.actions().into_iter().filter_map(started).collect()
}

/// Lets time pass, and adds the jobs that are to be started. Returns their times.
pub fn run(hub: &mut Hub, seconds_later: u64) -> Vec<u64> {
    hub.pass(Duration::from_secs(seconds_later));
    let mut times = Vec::new();
    loop {
        let starts = asked(hub);
        if starts.is_empty() {
            return times;
        }
        for start in starts {
            times.push(seconds(start.preparation.run.at));
            add(hub, &start);
        }
        hub.pass(Duration::ZERO);
    }
}

pub fn add(hub: &mut Hub, start: &ScheduledStart) {
    let added = hub.machine.submit_run(
        (start.preparation.run.clone(), start.labels.clone()),
        start.id,
        parse(JOB),
        None,
        hub.now,
    );
    added.unwrap();
}

/// The issues of the tasks of all jobs that run.
pub fn tasks(hub: &Hub) -> Vec<Assignment> {
    live(hub).into_iter().map(|id| first_issue(hub, id, 0)).collect()
}

/// Ends the task of each job that runs.
pub fn succeed(hub: &mut Hub) {
    for task in tasks(hub) {
        hub.succeed(&task, "null");
    }
    hub.actions();
}

pub fn live(hub: &Hub) -> Vec<JobId> {
    hub.machine.schedule(NAME, 1000).unwrap().jobs
}
