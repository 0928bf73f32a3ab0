//! Schedules: times, overlap, missed times, crashes.

mod support;

use std::time::Duration;

use hub_core::JobStatus;
use hub_core::machine::Remark;
use hub_core::schedule::{SkipReason, run_id};
use serde_json::{Value, json};
use support::schedules::{NAME, UID, add, asked, hub, live, run, seconds, skips, state, succeed, tasks};

#[test]
fn a_job_starts_at_each_time_under_an_id_that_follows_from_it() {
    let mut hub = hub(&json!({"labels": {"team": "data"}}));
    assert_eq!(run(&mut hub, 9), [0; 0]);
    hub.pass(Duration::from_secs(1));
    let start = asked(&mut hub).remove(0);
    assert_eq!((start.id, &*start.text), (run_id(UID, start.preparation.run.at), r#"{"definition":"etl"}"#));
    // Until its job is added, the schedule waits; and nothing is stored.
    assert_eq!(run(&mut hub, 30), [0; 0]);
    assert_eq!(seconds(state(&hub).next_at.unwrap()), 10);
    add(&mut hub, &start);
    let tasks = hub.handed_out();
    assert_eq!(tasks[0].args.to_value(), json!(["1970-01-01T00:16:50.000Z"]));
    let stored = hub.stored(start.id);
    let details = stored.state.details.as_deref().unwrap();
    assert_eq!(details.run.as_deref(), Some(&start.preparation.run));
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
    assert_eq!(times, [70, 80, 90, 100, 110, 120, 130]);
    assert_eq!(skips(&last), [20, 30, 40, 50, 60].map(|at| (SkipReason::Missed, at)));
    let (all, times) = down(json!({"overlap": "allow_all", "catch_up": "all"}));
    assert_eq!((times.len(), skips(&all)), (12, vec![]));
    let (window, times) = down(json!({"overlap": "allow_all", "catch_up": "all", "catch_up_window": "90s"}));
    assert_eq!((times[0], skips(&window).len()), (50, 3));
    let (none, times) = down(json!({"overlap": "allow_all", "catch_up": "none"}));
    assert_eq!((times[0], skips(&none).len()), (80, 6));
    // With the default overlap, one of them starts.
    let (skip, times) = down(json!({}));
    assert_eq!((times, state(&skip).skipped), (vec![70], 11));
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
    assert_eq!((times, state(&last).skipped), (vec![week - 70], week / 10 - 1));
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
    let again = asked(&mut hub).remove(0);
    assert_eq!((again.id, &again.preparation.run), (start.id, &start.preparation.run));
    add(&mut hub, &again);
    hub.actions();
    hub.crash();
    assert_eq!(run(&mut hub, 5), [0; 0]);
    assert_eq!(live(&hub), [start.id], "it is known as a job of the schedule");
    // The answer to the first request comes late, and is not expected any more.
    assert!(!hub.machine.expects_run(&start.preparation));
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
    assert!(reason.starts_with("2 jobs in a row failed or were refused: the job"), "{reason}");
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
        hub.machine.refuse_run(&start.preparation, SkipReason::Refused, Some("no definition".into()), hub.now);
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
    hub.machine.postpone_run(&start.preparation, hub.now);
    assert_eq!(asked(&mut hub), []);
    // However long it takes, it is not missed.
    let mut tries = 0;
    for _ in 0..100 {
        hub.pass(Duration::from_secs(1));
        let mut again = asked(&mut hub);
        // The waits grow to half a minute.
        if let Some(again) = again.pop() {
            assert_eq!((again.id, &again.preparation.run), (start.id, &start.preparation.run));
            hub.machine.postpone_run(&again.preparation, hub.now);
            tries += 1;
        }
    }
    assert_eq!(tries, 5 + 2);
    // The times behind it have waited, and were not missed.
    assert_eq!(run(&mut hub, 30), [10]);
    run(&mut hub, 0);
    assert!(skips(&hub).iter().all(|(reason, _)| *reason == SkipReason::Overlap), "{:?}", skips(&hub));
}
