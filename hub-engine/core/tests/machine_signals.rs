//! Signals: those that come early, in time, late, twice or to several tasks, and what of them survives a crash.

mod support;

use std::time::Duration;

use hub_core::machine::{Settings, Signal, SignalError, Signalled};
use hub_core::received::{KEPT_SIGNALS, SIGNAL_BYTES};
use hub_core::state::ErrorKind;
use hub_core::{JobId, JobStatus, Json, TaskStatus};
use support::{Hub, json};

/// `b` follows `w`, which waits for the signal `s` behind `a`.
const BEHIND: &str = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "w", "depends": ["a"], "wait": {"signal": "s"}},
    {"name": "b", "args": ["_w.data"]}]}"#;

fn signal(name: &str, data: &str) -> Signal {
    Signal { name: name.into(), data: json(data), key: None, by: Some("ops".into()), broadcast: false }
}

fn send(hub: &mut Hub, job: JobId, signal: Signal) -> Result<Signalled, SignalError> {
    hub.machine.signal(job, signal, hub.now)
}

fn keyed(name: &str, data: &str, key: &str) -> Signal {
    Signal { key: Some(key.into()), ..signal(name, data) }
}

fn broadcast(name: &str, data: &str) -> Signal {
    Signal { broadcast: true, ..signal(name, data) }
}

/// A job of waits with these keys and names `w0`, `w1`, …
fn waits(keys: &[&str]) -> String {
    let tasks: Vec<String> =
        keys.iter().enumerate().map(|(at, keys)| format!(r#"{{"name": "w{at}", {keys}}}"#)).collect();
    format!(r#"{{"name": "j", "tasks": [{}]}}"#, tasks.join(", "))
}

fn data(hub: &Hub, job: JobId) -> Vec<Option<String>> {
    hub.stored(job).tasks.iter().map(|task| task.data.as_ref().map(|data| data.get().to_owned())).collect()
}

#[test]
fn a_signal_that_comes_early_is_kept_until_a_task_waits_for_it() {
    for crashes in [false, true] {
        let mut hub = Hub::new();
        let job = hub.submit(1, BEHIND);
        let mut a = hub.handed_out().remove(0);
        assert_eq!(send(&mut hub, job, signal("s", "[1.0]")), Ok(Signalled::Kept));
        hub.actions();
        let record: serde_json::Value = serde_json::from_str(hub.stored(job).record().get()).unwrap();
        assert_eq!((&record["signals"][0]["name"], &record["signals"][0]["by"]), (&"s".into(), &"ops".into()));
        if crashes {
            hub.crash();
            a = hub.handed_out().remove(0);
        }
        hub.succeed(&a, "1");
        let mut b = hub.handed_out().remove(0);
        assert_eq!(b.args.get(), "[[1.0]]");
        assert!(hub.stored(job).state.details.as_ref().unwrap().signals.is_empty(), "it is used up");
        if crashes {
            hub.crash();
            b = hub.handed_out().remove(0);
        }
        hub.succeed(&b, "1");
        hub.actions();
        assert_eq!(hub.stored(job).state.status, JobStatus::Success);
        assert_eq!(hub.machine.live(), (0, 0));
    }
}

#[test]
fn a_signal_is_received_by_the_task_that_waited_first_then_by_position() {
    let one = r#""wait": {"signal": "s"}"#;
    let late = r#""delay": "1s", "wait": {"signal": "s"}"#;
    for crashes in [false, true] {
        let mut hub = Hub::new();
        let job = hub.submit(1, &waits(&[late, one, one, late]));
        hub.actions();
        hub.pass(Duration::from_secs(1));
        hub.actions();
        for number in 1..=4 {
            if crashes {
                hub.crash();
            }
            assert_eq!(send(&mut hub, job, signal("s", &number.to_string())), Ok(Signalled::Delivered));
            hub.actions();
        }
        let expected = ["3", "1", "2", "4"].map(|data| Some(data.to_owned()));
        assert_eq!(data(&hub, job), expected);
        assert_eq!(hub.stored(job).state.status, JobStatus::Success);
    }
}

#[test]
fn a_task_can_wait_for_several_signals() {
    for crashes in [false, true] {
        let mut hub = Hub::new();
        let job = hub.submit(1, &waits(&[r#""wait": {"signal": "s", "count": 3, "timeout": "1h"}"#]));
        hub.actions();
        for number in 1..=2 {
            assert_eq!(send(&mut hub, job, signal("s", &number.to_string())), Ok(Signalled::Delivered));
            hub.actions();
            if crashes {
                hub.crash();
            }
        }
        let reason = &hub.machine.job(job).unwrap().waiting[0].1;
        assert!(reason.contains("for the signal \"s\", of which 2 of 3 have come"), "{reason}");
        let record: serde_json::Value = serde_json::from_str(hub.stored(job).record().get()).unwrap();
        assert_eq!(record["tasks"][0]["signals"][1]["data"], 2);
        send(&mut hub, job, signal("s", "3")).unwrap();
        hub.actions();
        assert_eq!(data(&hub, job), [Some("[1, 2, 3]".to_owned())]);
        let details = hub.stored(job).tasks[0].details.clone().unwrap();
        assert!(
            details.rare().signals.len() == 3 && details.rare().signals.iter().all(|signal| signal.data.is_none()),
            "{details:?}"
        );
    }
    let mut hub = Hub::new();
    let job = hub.submit(1, &waits(&[r#""wait": {"signal": "s", "count": 2, "timeout": "1h"}"#]));
    send(&mut hub, job, signal("s", "1")).unwrap();
    hub.pass(Duration::from_secs(3600));
    hub.actions();
    let task = &hub.stored(job).tasks[0];
    assert_eq!(task.error.as_ref().unwrap().kind, ErrorKind::WaitTimeout);
    assert_eq!(task.msg.as_deref(), Some("the signal \"s\" did not come within 3600s (1 of 2 came)"));
}

#[test]
fn a_key_makes_a_signal_idempotent_also_after_a_crash() {
    let mut hub = Hub::new();
    let two = r#""wait": {"signal": "s"}"#;
    let job = hub.submit(1, &waits(&[two, two, r#""wait": {"signal": "t"}"#]));
    assert_eq!(send(&mut hub, job, keyed("s", "1", "k")), Ok(Signalled::Delivered));
    assert_eq!(send(&mut hub, job, keyed("s", "2", "k")), Ok(Signalled::Repeated));
    hub.actions();
    hub.crash();
    assert_eq!(send(&mut hub, job, keyed("s", "3", "k")), Ok(Signalled::Repeated));
    assert_eq!(send(&mut hub, job, keyed("t", "4", "k")), Ok(Signalled::Delivered), "a key belongs to a name");
    assert_eq!(send(&mut hub, job, keyed("s", "5", "l")), Ok(Signalled::Delivered));
    hub.actions();
    assert_eq!(data(&hub, job), ["1", "5", "4"].map(|data| Some(data.to_owned())));
    assert!(hub.stored(job).state.details.as_ref().unwrap().knows("s", "l"), "it is kept after the end");
}

#[test]
fn a_broadcast_reaches_all_that_wait_now_and_is_not_kept() {
    let mut hub = Hub::new();
    let one = r#""wait": {"signal": "s"}"#;
    let job = hub
        .submit(1, &waits(&[one, r#""wait": {"signal": "s", "count": 2}"#, r#""delay": 5, "wait": {"signal": "s"}"#]));
    assert_eq!(send(&mut hub, job, broadcast("s", "1")), Ok(Signalled::Delivered));
    hub.actions();
    hub.crash();
    assert_eq!(send(&mut hub, job, broadcast("s", "2")), Ok(Signalled::Delivered));
    assert_eq!(send(&mut hub, job, broadcast("s", "3")), Ok(Signalled::Dropped));
    hub.pass(Duration::from_secs(5));
    hub.actions();
    assert_eq!(data(&hub, job), [Some("1".to_owned()), Some("[1, 2]".to_owned()), None]);
    send(&mut hub, job, broadcast("s", "4")).unwrap();
    hub.actions();
    assert_eq!(hub.stored(job).state.status, JobStatus::Success);
}

#[test]
fn a_signal_that_nothing_can_receive_is_refused() {
    let mut hub = Hub::new();
    let keys =
        [r#""wait": {"signal": "größe"}"#, r#""wait": {"signal": "stop", "timeout": 1}"#, r#""wait": {"until": "1h"}"#];
    let job = hub.submit(1, &waits(&keys));
    hub.actions();
    let unknown = send(&mut hub, job, signal("stopp", "1")).unwrap_err().to_string();
    assert_eq!(unknown, "no task of the job waits for a signal \"stopp\"; did you mean \"stop\"?");
    let unknown = send(&mut hub, job, signal("entirely different", "1")).unwrap_err().to_string();
    assert!(unknown.ends_with("; its tasks wait for größe, stop"), "{unknown}");
    assert_eq!(send(&mut hub, job, signal("größe", "1")), Ok(Signalled::Delivered));
    let late = send(&mut hub, job, signal("größe", "1")).unwrap_err();
    assert_eq!(late.to_string(), "every task that waits for the signal \"größe\" has ended");
    hub.pass(Duration::from_secs(1));
    assert_eq!(send(&mut hub, job, signal("stop", "1")), Err(SignalError::TooLate("stop".into())));
    hub.actions();
    hub.crash();
    assert_eq!(send(&mut hub, job, signal("größe", "1")), Err(SignalError::TooLate("größe".into())));
    assert_eq!(send(&mut hub, support::id(9), signal("stop", "1")), Err(SignalError::UnknownJob));
    let mut hub = Hub::new();
    let job = hub.submit(1, BEHIND);
    let a = hub.handed_out().remove(0);
    hub.fail(&a, "no");
    assert_eq!(send(&mut hub, job, signal("s", "1")), Err(SignalError::UnknownJob), "the job has ended");
}

#[test]
fn the_signals_that_a_job_keeps_are_limited_and_so_is_each() {
    let mut hub = Hub::new();
    let job = hub.submit(1, BEHIND);
    let a = hub.handed_out().remove(0);
    let large = format!("\"{}\"", "x".repeat(SIGNAL_BYTES - 1));
    assert_eq!(send(&mut hub, job, signal("s", &large)), Err(SignalError::TooLarge { bytes: SIGNAL_BYTES + 1 }));
    let deep = format!("{}{}", "[".repeat(Json::MAX_DEPTH), "]".repeat(Json::MAX_DEPTH));
    assert!(matches!(send(&mut hub, job, signal("s", &deep)), Err(SignalError::OutOfBounds(_))));
    let long = keyed("s", "1", &"k".repeat(256));
    assert_eq!(send(&mut hub, job, long), Err(SignalError::KeyTooLong { bytes: 256 }));
    for number in 0..KEPT_SIGNALS {
        assert_eq!(send(&mut hub, job, signal("s", &number.to_string())), Ok(Signalled::Kept));
    }
    let refused = send(&mut hub, job, signal("s", "1")).unwrap_err();
    assert!(refused == SignalError::TooMany && refused.to_string().contains("1000, or 8 MiB"), "{refused}");
    hub.actions();
    hub.crash();
    let a = hub.handed_out().pop().unwrap_or(a);
    hub.succeed(&a, "1");
    assert_eq!(hub.handed_out()[0].args.get(), "[0]");
    assert_eq!(send(&mut hub, job, signal("s", "1")), Err(SignalError::TooLate("s".into())));
}

#[test]
fn signals_that_are_too_large_together_fail_their_task() {
    let mut hub = Hub::with(Settings { max_value_bytes: 20, ..Settings::default() });
    let keys = [r#""wait": {"signal": "s", "count": 3}"#, r#""delay": 1, "wait": {"signal": "t", "count": 3}"#];
    let job = hub.submit(1, &waits(&keys));
    for name in ["s", "s", "t", "t", "t"] {
        send(&mut hub, job, signal(name, "\"12345678\"")).unwrap();
    }
    hub.pass(Duration::from_secs(1));
    hub.actions();
    for task in &hub.stored(job).tasks {
        assert_eq!(task.error.as_ref().unwrap().kind, ErrorKind::ResultTooLarge);
        assert!(task.msg.as_ref().unwrap().contains("the limit max_value_bytes is 20"), "{:?}", task.msg);
    }
    assert_eq!(hub.stored(job).state.status, JobStatus::Failed);
}

#[test]
fn cancelled_jobs_take_no_signals_and_a_wait_that_was_skipped_receives_none() {
    let mut hub = Hub::new();
    let one = r#""wait": {"signal": "s", "timeout": 1, "on_timeout": "skip"}"#;
    let job = hub.submit(1, &waits(&[one, r#""delay": 1, "wait": {"signal": "s"}"#]));
    hub.pass(Duration::from_secs(1));
    hub.actions();
    assert_eq!(hub.statuses(job), [TaskStatus::Skipped, TaskStatus::Running]);
    assert_eq!(send(&mut hub, job, signal("s", "1")), Ok(Signalled::Delivered));
    hub.actions();
    assert_eq!(data(&hub, job), [None, Some("1".to_owned())]);
}
