//! The reports of workers are bounded: they can neither open a window without limit nor fill the memory.

mod support;

use std::sync::Arc;

use hub_core::machine::{Heard, Settings};
use support::Hub;

#[test]
fn the_window_has_a_maximum_for_any_number_of_slots() {
    let mut hub = Hub::with(Settings { window_ceiling: 100, ..Settings::default() });
    for name in ["w1", "w2"] {
        let mut report = hub.worker(name, &["a"]);
        report.slots = u32::MAX;
        hub.machine.handle_heartbeat(report, hub.now);
    }
    let tasks: Vec<String> = (0..500).map(|at| format!(r#"{{"name": "t{at}", "task_name": "a"}}"#)).collect();
    hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{}]}}"#, tasks.join(",")));
    assert_eq!(hub.handed_out().len(), 100);
}

#[test]
fn large_arguments_reduce_the_window_but_leave_no_slot_idle() {
    for (slots, expected) in [(2, 6), (10, 10)] {
        let mut hub = Hub::new();
        let mut report = hub.worker("w", &["a"]);
        report.slots = slots;
        hub.machine.handle_heartbeat(report, hub.now);
        let tasks: Vec<String> = (0..20)
            .map(|at| format!(r#"{{"name": "t{at}", "task_name": "a", "depends": ["a"], "args": ["_a.data"]}}"#))
            .collect();
        hub.submit(1, &format!(r#"{{"name": "j", "tasks": [{{"name": "a"}}, {}]}}"#, tasks.join(",")));
        let first = hub.handed_out().remove(0);
        hub.succeed(&first, &format!(r#""{}""#, "x".repeat(11 * 1024 * 1024)));
        let out = hub.handed_out();
        assert_eq!(out.len(), expected, "{slots} slots");
        hub.succeed(&out[0], "0");
        assert_eq!(hub.handed_out().len(), 1, "each end hands out another task");
    }
}

#[test]
fn the_number_of_known_workers_is_bounded() {
    let mut hub = Hub::new();
    let report = hub.worker("w", &["a"]);
    let mut too_many = 0;
    for number in 0..11_000 {
        let mut report = report.clone();
        report.id = Arc::from(format!("w{number}"));
        too_many += usize::from(hub.machine.handle_heartbeat(report, hub.now) == Heard::TooMany);
    }
    assert_eq!((hub.machine.stats().workers, too_many), (10_000, 1001));
    assert_eq!(hub.machine.handle_heartbeat(report, hub.now), Heard::Taken, "a known worker is still accepted");
    hub.pass(Settings::default().lease);
    assert_eq!(hub.machine.stats().workers, 0);
}

#[test]
fn the_total_size_of_reports_is_bounded() {
    let mut hub = Hub::new();
    let mut report = hub.worker("w", &["a"]);
    report.broken = [(Arc::from("b"), Arc::from("x".repeat(1024 * 1024)))].into();
    for round in 0..2 {
        if round == 1 {
            // The text of a shortage counts, too.
            report.shortage = report.broken.pop_first().map(|(_, text)| text);
        }
        let mut taken = 0;
        for number in 0..300 {
            report.id = Arc::from(format!("w{number}"));
            taken += usize::from(hub.machine.handle_heartbeat(report.clone(), hub.now) == Heard::Taken);
        }
        assert_eq!(taken, 255, "round {round}");
    }
    (0..10).for_each(|number| hub.machine.handle_worker_left(&format!("w{number}").into()));
    for number in 300..320 {
        report.id = Arc::from(format!("w{number}"));
        let heard = hub.machine.handle_heartbeat(report.clone(), hub.now);
        assert_eq!(heard, if number < 310 { Heard::Taken } else { Heard::TooMany });
    }
    hub.pass(Settings::default().lease);
    report.id = Arc::from("w320");
    assert_eq!(hub.machine.handle_heartbeat(report, hub.now), Heard::Taken, "a worker that has left no longer counts");
}
