//! Schedules that are changed, paused and removed; jobs of schedules in special cases.

mod support;

use std::sync::Arc;
use std::time::Duration;

use hub_core::JobStatus;
use hub_core::job::Limits;
use hub_core::machine::{Remark, RetriedJob, Retry, ScheduleChange};
use hub_core::schedule::{KeptSchedule, Schedule, SkipReason};
use serde_json::json;
use support::parse;
use support::schedules::{NAME, add, asked, hub, kept, live, run, seconds, skips, state, succeed, tasks, text};

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
    assert!(!hub.machine.expects_run(&start.preparation));
    hub.machine.postpone_run(&start.preparation, hub.now);
    hub.machine.refuse_run(&start.preparation, SkipReason::Refused, None, hub.now);
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
    succeed(&mut hub);
    hub.pass(Duration::from_secs(10));
    let start = asked(&mut hub).remove(0);
    hub.machine.serve_schedules(false, hub.now);
    assert!(!hub.machine.expects_run(&start.preparation), "what was being prepared is dropped");
    assert_eq!(run(&mut hub, 10), [0; 0]);
    hub.machine.serve_schedules(true, hub.now);
    assert_eq!(run(&mut hub, 0), [30]);
}

#[test]
fn a_pause_withdraws_what_was_being_prepared() {
    for postpones in [false, true] {
        let mut hub = hub(&json!({}));
        hub.pass(Duration::from_secs(10));
        let start = asked(&mut hub).remove(0);
        if postpones {
            hub.machine.postpone_run(&start.preparation, hub.now);
        }
        hub.machine.pause_schedule(NAME, Remark::default(), hub.now);
        assert!(!hub.machine.expects_run(&start.preparation));
        assert!(hub.machine.resume_schedule(NAME, hub.now));
        assert_eq!(run(&mut hub, 40), [20]);
        assert_eq!(skips(&hub)[0], (SkipReason::Withdrawn, 10));
    }
}

#[test]
fn a_change_while_a_job_is_prepared_prepares_the_new_job() {
    let mut hub = hub(&json!({}));
    hub.pass(Duration::from_secs(10));
    let old = asked(&mut hub).remove(0);
    let created = hub.schedules[NAME].kept.created_at;
    let changed = Schedule::parse(&text(&json!({"job": "etl@2"})), &Limits::default(), created).unwrap();
    let changed = KeptSchedule { schedule: Arc::new(changed), ..(*hub.schedules[NAME].kept).clone() };
    hub.machine.set_schedule(Arc::new(changed), hub.now);
    assert!(!hub.machine.expects_run(&old.preparation));
    hub.pass(Duration::ZERO);
    let new = asked(&mut hub).remove(0);
    assert_eq!((new.id, &*new.text), (old.id, r#"{"definition":"etl@2"}"#));
    add(&mut hub, &new);
    hub.actions();
    assert_eq!((state(&hub).started, state(&hub).skipped), (1, 0));
}

#[test]
fn a_job_that_ends_at_once_counts_as_started_once() {
    // A condition that cannot be computed fails the job when it is added.
    let ends = r#"{"name": "j", "inputs": {}, "tasks": [{"name": "a", "when": {"eq": ["_.input.x", 1]}}]}"#;
    for overlap in ["skip", "buffer_all"] {
        let mut hub = hub(&json!({"pause_on_failure": 1, "overlap": overlap}));
        hub.pass(Duration::from_secs(10));
        let start = asked(&mut hub).remove(0);
        let run = (start.preparation.run.clone(), None);
        let inputs = Some(support::json("{}"));
        hub.machine.submit_run(run, start.id, parse(ends), inputs, hub.now).unwrap();
        hub.actions();
        assert_eq!(hub.stored(start.id).state.status, JobStatus::Failed);
        assert!(state(&hub).paused.is_some());
        assert_eq!((seconds(state(&hub).next_at.unwrap()), state(&hub).started, state(&hub).skipped), (20, 1, 0));
    }
}

#[test]
fn jitter_that_is_longer_than_the_interval_skips_nothing() {
    let mut hub = hub(&json!({"every": "60s", "jitter": "1h", "overlap": "allow_all"}));
    let mut times = Vec::new();
    for _ in 0..20_u32 * 60 {
        times.extend(run(&mut hub, 1));
    }
    assert_eq!((skips(&hub), times.len() >= 19), (vec![], true), "{times:?}");
}

#[test]
fn a_retry_of_a_job_counts_for_overlap() {
    let mut hub = hub(&json!({}));
    assert_eq!(run(&mut hub, 10), [10]);
    let first = live(&hub)[0];
    let task = tasks(&hub).remove(0);
    hub.fail(&task, "no");
    hub.actions();
    let ended = hub.stored(first).clone();
    let retried = RetriedJob::new(ended, Retry::default(), 1 << 20, hub.now.wall).unwrap();
    hub.machine.submit_retry(support::id(9), retried, hub.now).unwrap();
    hub.actions();
    assert_eq!(live(&hub), [support::id(9)]);
    assert_eq!((run(&mut hub, 10), skips(&hub)), (vec![], vec![(SkipReason::Overlap, 20)]));
}

#[test]
fn a_clock_that_is_set_back_repeats_no_time() {
    let mut hub = hub(&json!({"overlap": "allow_all"}));
    assert_eq!(run(&mut hub, 30), [10, 20, 30]);
    hub.set_clock(hub.now.wall.before(Duration::from_secs(25)));
    for _ in 0..2 {
        assert_eq!(run(&mut hub, 10), [0; 0]);
    }
    assert_eq!(run(&mut hub, 60), [40, 50, 60, 70, 80]);
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
