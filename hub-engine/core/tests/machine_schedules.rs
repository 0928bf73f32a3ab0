//! Schedules: times, overlap, missed times, pauses, crashes.

mod support;

use std::sync::Arc;
use std::time::Duration;

use hub_core::action::{Action, Assignment};
use hub_core::job::Limits;
use hub_core::machine::{Remark, ScheduleChange, Submitted};
use hub_core::schedule::{KeptSchedule, Schedule, ScheduleState, ScheduledStart, SkipReason, run_id};
use hub_core::{JobId, JobStatus, Timestamp};
use serde_json::{Value, json};
use support::{Hub, first_issue, parse};
use uuid::Uuid;

const UID: Uuid = Uuid::from_u128(77);
/// The name of the schedule.
const NAME: &str = "s";
const JOB: &str = r#"{"name": "j", "tasks": [{"name": "a", "args": ["_.job.scheduled_at"]}]}"#;

/// A schedule every ten seconds from the first time of the tests on, with these further keys.
fn text(more: &Value) -> String {
    let mut text = json!({"name": NAME, "every": "10s", "job": "etl"});
    text.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    text.to_string()
}

fn kept(hub: &Hub, text: &str) -> Arc<KeptSchedule> {
    let now = hub.now.wall;
    let schedule = Arc::new(Schedule::parse(text, &Limits::default(), now).unwrap_or_else(|error| panic!("{error}")));
    Arc::new(KeptSchedule { uid: UID, created_at: now, changed_at: now, by: None, schedule })
}

/// A hub with a schedule.
fn hub(more: &Value) -> Hub {
    let mut hub = Hub::new();
    hub.worker("w1", &["a"]);
    let kept = kept(&hub, &text(more));
    assert_eq!(hub.machine.set_schedule(kept, hub.now), ScheduleChange::Created);
    hub.actions();
    hub
}

fn state(hub: &Hub) -> &ScheduleState {
    &hub.schedules[NAME].state
}

/// The reasons and the seconds of the skipped times, after the start of the tests.
fn skips(hub: &Hub) -> Vec<(SkipReason, u64)> {
    state(hub).skips.iter().map(|skip| (skip.reason, seconds(skip.at))).collect()
}

/// Seconds since the start of the tests.
fn seconds(time: Timestamp) -> u64 {
    (time.as_millis() - 1_000_000) / 1000
}

/// The jobs that are to be started now.
fn asked(hub: &mut Hub) -> Vec<ScheduledStart> {
    let started = |action| match action {
        Action::Start(start) => Some(*start),
        _ => None,
    };
    hub.actions().into_iter().filter_map(started).collect()
}

/// Lets time pass, and adds the jobs that are to be started. Returns their times.
fn run(hub: &mut Hub, seconds_later: u64) -> Vec<u64> {
    hub.pass(Duration::from_secs(seconds_later));
    let mut times = Vec::new();
    loop {
        let starts = asked(hub);
        if starts.is_empty() {
            return times;
        }
        for start in starts {
            times.push(seconds(start.run.at));
            add(hub, &start);
        }
        hub.pass(Duration::ZERO);
    }
}

fn add(hub: &mut Hub, start: &ScheduledStart) {
    let added = hub.machine.submit_run((start.run.clone(), start.labels.clone()), start.id, parse(JOB), None, hub.now);
    assert_eq!(added.unwrap(), Submitted::New);
}

/// The issues of the tasks of all jobs that run.
fn tasks(hub: &Hub) -> Vec<Assignment> {
    live(hub).into_iter().map(|id| first_issue(hub, id, 0)).collect()
}

/// Ends the task of each job that runs.
fn succeed(hub: &mut Hub) {
    for task in tasks(hub) {
        hub.succeed(&task, "null");
    }
    hub.actions();
}

fn live(hub: &Hub) -> Vec<JobId> {
    hub.machine.schedule(NAME).unwrap().jobs
}

#[test]
fn a_job_starts_at_each_time_under_an_id_that_follows_from_it() {
    let mut hub = hub(&json!({"labels": {"team": "data"}}));
    assert_eq!(run(&mut hub, 9), [0; 0]);
    hub.pass(Duration::from_secs(1));
    let start = asked(&mut hub).remove(0);
    assert_eq!((start.id, &*start.text), (run_id(UID, start.run.at), r#"{"definition":"etl"}"#));
    // Until its job is added, the schedule waits; and nothing is stored.
    assert_eq!(run(&mut hub, 30), [0; 0]);
    assert_eq!(seconds(state(&hub).next_at.unwrap()), 10);
    add(&mut hub, &start);
    let tasks = hub.handed_out();
    assert_eq!(tasks[0].args.to_value(), json!(["1970-01-01T00:16:50.000Z"]));
    let stored = hub.stored(start.id);
    let details = stored.state.details.as_deref().unwrap();
    assert_eq!(details.run.as_deref(), Some(&start.run));
    assert_eq!(stored.state.labels(&stored.job).len(), 1);
    assert_eq!((state(&hub).started, seconds(state(&hub).next_at.unwrap())), (1, 20));
    assert_eq!(state(&hub).last.as_ref().map(|last| last.job), Some(start.id));
    hub.succeed(&tasks[0], "1");
    assert_eq!(run(&mut hub, 0), [20, 30, 40][..1], "the next one, since it waits no more");
}

#[test]
fn overlap_decides_what_happens_while_a_job_runs() {
    // Skip: nothing starts meanwhile.
    let mut skip = hub(&json!({}));
    assert_eq!((run(&mut skip, 10), run(&mut skip, 10), run(&mut skip, 15)), (vec![10], vec![], vec![]));
    assert_eq!(skips(&skip), [(SkipReason::Overlap, 20), (SkipReason::Overlap, 30)]);
    succeed(&mut skip);
    assert_eq!(run(&mut skip, 5), [40]);
    // One waits, and starts when the other has ended.
    let mut one = hub(&json!({"overlap": "buffer_one"}));
    assert_eq!((run(&mut one, 10), run(&mut one, 10), run(&mut one, 15)), (vec![10], vec![], vec![]));
    assert_eq!((skips(&one), state(&one).buffered.len()), (vec![(SkipReason::Overlap, 30)], 1));
    succeed(&mut one);
    assert_eq!((run(&mut one, 0), state(&one).buffered.len()), (vec![20], 0));
    // All wait, in their order.
    let mut all = hub(&json!({"overlap": "buffer_all"}));
    assert_eq!((run(&mut all, 10), run(&mut all, 30)), (vec![10], vec![]));
    for expected in [20, 30, 40] {
        succeed(&mut all);
        assert_eq!(run(&mut all, 0), [expected]);
    }
    assert_eq!(skips(&all), []);
    // Side by side.
    let mut beside = hub(&json!({"overlap": "allow_all"}));
    assert_eq!((run(&mut beside, 10), run(&mut beside, 20)), (vec![10], vec![20, 30]));
    assert_eq!(live(&beside).len(), 3);
}

#[test]
fn the_other_job_is_cancelled_before_the_next_one_starts() {
    let mut hub = hub(&json!({"overlap": "cancel_other"}));
    assert_eq!(run(&mut hub, 10), [10]);
    let first = live(&hub)[0];
    let task = tasks(&hub).remove(0);
    assert_eq!((run(&mut hub, 10), run(&mut hub, 10)), (vec![], vec![]), "it has not ended");
    assert_eq!(hub.machine.job(first).unwrap().state.status, JobStatus::Cancelling);
    assert_eq!(skips(&hub), [(SkipReason::Superseded, 20)]);
    hub.fail(&task, "stopped");
    assert_eq!(run(&mut hub, 0), [30]);
    assert_eq!(hub.stored(first).state.status, JobStatus::Cancelled);
}

#[test]
fn the_buffer_is_bounded() {
    let mut hub = hub(&json!({"overlap": "buffer_all", "every": "1s"}));
    assert_eq!(run(&mut hub, 1), [1]);
    for _ in 0..30 {
        run(&mut hub, 40);
    }
    assert_eq!((state(&hub).buffered.len(), state(&hub).skipped, state(&hub).skips.len()), (1000, 200, 100));
    assert_eq!(skips(&hub).last(), Some(&(SkipReason::BufferFull, 1201)));
}

#[test]
fn missed_times_are_caught_up_as_told() {
    let down = |more: Value| {
        let mut hub = hub(&more);
        assert_eq!(run(&mut hub, 10), [10]);
        succeed(&mut hub);
        // A dispatcher that does not run for a while.
        hub.now = hub.now.after(Duration::from_secs(125));
        hub.crash();
        let times = run(&mut hub, 0);
        (hub, times)
    };
    // Of the missed ones, the last; those that are at most a minute late are not missed.
    let (last, times) = down(json!({"overlap": "allow_all"}));
    assert_eq!(times, [80, 90, 100, 110, 120, 130]);
    assert_eq!(skips(&last), [20, 30, 40, 50, 60, 70].map(|at| (SkipReason::Missed, at)));
    let (all, times) = down(json!({"overlap": "allow_all", "catch_up": "all"}));
    assert_eq!((times.len(), skips(&all)), (12, vec![]));
    let (window, times) = down(json!({"overlap": "allow_all", "catch_up": "all", "catch_up_window": "90s"}));
    assert_eq!((times[0], skips(&window).len()), (50, 3));
    let (none, times) = down(json!({"overlap": "allow_all", "catch_up": "none"}));
    assert_eq!((times[0], skips(&none).len()), (80, 6));
    // With the default overlap, one of them starts.
    let (skip, times) = down(json!({}));
    assert_eq!((times, state(&skip).skipped), (vec![80], 11));
}

#[test]
fn after_a_long_time_only_the_last_missed_time_counts() {
    let mut last = hub(&json!({"catch_up_window": "30d"}));
    last.now = last.now.after(Duration::from_secs(7 * 24 * 3600));
    last.crash();
    let mut times = run(&mut last, 0);
    for _ in 0..100 {
        times.extend(run(&mut last, 0));
    }
    let week = 7 * 24 * 3600;
    assert_eq!((times, state(&last).skipped), (vec![week - 60], week / 10 - 1));
    // At most a thousand are caught up.
    let mut all = hub(&json!({"catch_up": "all", "catch_up_window": "30d", "overlap": "allow_all"}));
    all.now = all.now.after(Duration::from_secs(20_000));
    all.crash();
    let mut times = run(&mut all, 0);
    for _ in 0..10 {
        times.extend(run(&mut all, 0));
    }
    assert_eq!((times.len(), state(&all).skipped), (1000 + 7, 1000 - 7));
}

#[test]
fn a_crash_between_decision_and_job_starts_the_same_job_again() {
    let mut hub = hub(&json!({}));
    hub.pass(Duration::from_secs(10));
    let start = asked(&mut hub).remove(0);
    hub.crash();
    hub.pass(Duration::ZERO);
    assert_eq!(asked(&mut hub), std::slice::from_ref(&start));
    add(&mut hub, &start);
    hub.actions();
    hub.crash();
    assert_eq!(run(&mut hub, 5), [0; 0]);
    assert_eq!(live(&hub), [start.id], "it is known as a job of the schedule");
    // The answer to the first request comes late, and is not expected any more.
    assert!(!hub.machine.expects_run(&start.run));
}

#[test]
fn a_buffered_time_survives_a_crash() {
    let mut hub = hub(&json!({"overlap": "buffer_all"}));
    assert_eq!((run(&mut hub, 10), run(&mut hub, 10)), (vec![10], vec![]));
    let tasks = tasks(&hub);
    hub.succeed(&tasks[0], "1");
    hub.actions();
    hub.crash();
    assert_eq!(run(&mut hub, 0), [20]);
}

#[test]
fn a_pause_lets_times_pass_and_a_resume_does_not_catch_up() {
    let mut hub = hub(&json!({"catch_up": "all"}));
    let remark = Remark { by: Some("ops".into()), reason: Some("no".into()) };
    assert!(hub.machine.pause_schedule(NAME, remark, hub.now));
    assert_eq!(run(&mut hub, 35), [0; 0]);
    hub.crash();
    assert_eq!(run(&mut hub, 10), [0; 0]);
    assert_eq!(state(&hub).paused.as_ref().unwrap().by.as_deref(), Some("ops"));
    assert!(hub.machine.resume_schedule(NAME, hub.now));
    assert_eq!((run(&mut hub, 0), run(&mut hub, 5)), (vec![], vec![50]));
    assert!(!hub.machine.pause_schedule("t", Remark::default(), hub.now));
}

#[test]
fn a_schedule_pauses_after_failures_in_a_row() {
    let mut hub = hub(&json!({"pause_on_failure": 2}));
    for (seconds, fails) in [(10, true), (10, false), (10, true), (10, true)] {
        assert_eq!(run(&mut hub, seconds).len(), 1);
        let task = tasks(&hub).remove(0);
        if fails {
            hub.fail(&task, "no");
        } else {
            hub.succeed(&task, "1");
        }
        hub.actions();
    }
    assert_eq!(run(&mut hub, 30), [0; 0]);
    let reason = state(&hub).paused.as_ref().unwrap().reason.clone().unwrap();
    assert!(reason.starts_with("2 in a row did not succeed: the job"), "{reason}");
    assert!(hub.machine.resume_schedule(NAME, hub.now));
    assert_eq!(run(&mut hub, 10).len(), 1);
    assert_eq!(state(&hub).failures, 0);
}

#[test]
fn a_refused_job_is_a_skipped_time() {
    let mut hub = hub(&json!({"pause_on_failure": 2}));
    for number in 1..=2 {
        hub.pass(Duration::from_secs(10));
        let start = asked(&mut hub).remove(0);
        hub.machine.refuse_run(&start.run, SkipReason::Refused, Some("no definition".into()), hub.now);
        hub.actions();
        assert_eq!((state(&hub).skipped, state(&hub).failures), (number, number as u32));
        assert_eq!(state(&hub).skips[0].msg.as_deref(), Some("no definition"));
    }
    assert!(state(&hub).paused.is_some());
    assert_eq!(seconds(state(&hub).next_at.unwrap()), 30);
}

#[test]
fn a_job_that_cannot_be_added_now_is_tried_again() {
    let mut hub = hub(&json!({}));
    hub.pass(Duration::from_secs(10));
    let start = asked(&mut hub).remove(0);
    hub.machine.postpone_run(&start.run, hub.now);
    assert_eq!(asked(&mut hub), []);
    // However long it takes, it is not missed.
    for _ in 0..100 {
        hub.pass(Duration::from_secs(1));
        let again = asked(&mut hub).remove(0);
        assert_eq!(again, start);
        hub.machine.postpone_run(&again.run, hub.now);
    }
    assert_eq!(run(&mut hub, 1), [10]);
}

#[test]
fn a_change_keeps_what_it_does_not_concern() {
    let mut hub = hub(&json!({}));
    assert_eq!((run(&mut hub, 10), run(&mut hub, 12)), (vec![10], vec![]));
    let same = kept(&hub, &text(&json!({})));
    assert_eq!(hub.machine.set_schedule(same, hub.now), ScheduleChange::Unchanged);
    // Other times begin from now; the job that runs still counts.
    let created = hub.schedules[NAME].kept.created_at;
    let changed = Schedule::parse(&text(&json!({"every": "7s"})), &Limits::default(), created).unwrap();
    let changed = KeptSchedule { schedule: Arc::new(changed), ..(*hub.schedules[NAME].kept).clone() };
    hub.pass(Duration::from_secs(1));
    assert_eq!(hub.machine.set_schedule(Arc::new(changed), hub.now), ScheduleChange::Changed);
    hub.actions();
    assert_eq!((seconds(state(&hub).next_at.unwrap()), state(&hub).started), (28, 1));
    assert_eq!(run(&mut hub, 5), [0; 0]);
    assert_eq!(skips(&hub).last(), Some(&(SkipReason::Overlap, 28)));
    // A schedule that is removed forgets; its jobs go on.
    let task = tasks(&hub).remove(0);
    assert!(hub.machine.remove_schedule(NAME, hub.now));
    assert!(!hub.machine.remove_schedule(NAME, hub.now));
    hub.succeed(&task, "1");
    assert_eq!((run(&mut hub, 60).len(), hub.schedules.len()), (0, 0));
}

#[test]
fn a_removed_schedule_drops_what_was_being_prepared() {
    let mut hub = hub(&json!({}));
    hub.pass(Duration::from_secs(10));
    let start = asked(&mut hub).remove(0);
    hub.machine.remove_schedule(NAME, hub.now);
    assert!(!hub.machine.expects_run(&start.run));
    hub.machine.postpone_run(&start.run, hub.now);
    hub.machine.refuse_run(&start.run, SkipReason::Refused, None, hub.now);
    assert_eq!(run(&mut hub, 100), [0; 0]);
}

#[test]
fn jitter_delays_jobs_and_not_their_times() {
    let mut hub = hub(&json!({"every": "1h", "jitter": "10m", "overlap": "allow_all"}));
    let (mut delays, mut at) = (std::collections::BTreeSet::new(), 0);
    for _ in 0..20 {
        let next = hub.next_due().unwrap().min(Duration::from_secs(60));
        let mut started = run(&mut hub, 0);
        while started.is_empty() {
            let step = hub.next_due().unwrap_or(next).min(Duration::from_secs(60));
            hub.pass(step);
            started = run(&mut hub, 0);
        }
        at += 3600;
        assert_eq!(started, [at]);
        delays.insert(seconds(hub.now.wall) - at);
    }
    assert!(delays.len() > 10 && delays.iter().all(|delay| *delay <= 600), "{delays:?}");
}

#[test]
fn a_dispatcher_that_stands_by_starts_nothing() {
    let mut hub = hub(&json!({}));
    hub.crash_without_link();
    assert_eq!(run(&mut hub, 10), [0; 0]);
    hub.machine.handle_link(true, hub.now);
    assert_eq!(run(&mut hub, 0), [10]);
    // While the broker is away, schedules go on.
    succeed(&mut hub);
    hub.machine.handle_link(false, hub.now);
    assert_eq!(run(&mut hub, 10), [20]);
    hub.machine.serve_schedules(false, hub.now);
    assert_eq!(run(&mut hub, 10), [0; 0]);
}

#[test]
fn a_clock_that_is_set_moves_times() {
    let mut hub = hub(&json!({"every": "1h"}));
    // Half an hour later, the clock is set forward by 40 minutes: within a minute, the job starts.
    hub.now = hub.now.after(Duration::from_secs(1800));
    hub.pass(Duration::ZERO);
    hub.set_clock(hub.now.wall.after(Duration::from_secs(2400)));
    let due = hub.next_due().unwrap();
    assert!(due <= Duration::from_secs(60), "{due:?}");
    hub.pass(due);
    assert_eq!(asked(&mut hub).len(), 1);
}
