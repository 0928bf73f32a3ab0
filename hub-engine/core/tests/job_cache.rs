//! The key `cache` of tasks: what is read, what is refused, and what it depends on.

mod job_support;

use std::time::Duration;

use hub_core::job::{Job, Limits};
use job_support::{code, refuse};

fn job(task: &str) -> String {
    format!(r#"{{"name": "j", "tasks": [{{"name": "a"}}, {{"name": "b", {task}}}]}}"#)
}

#[test]
fn a_cache_is_read_and_its_key_is_a_dependency() {
    let text = job(r#""cache": {"ttl": "1h30m", "key": ["_a.data.x"], "version": 2.0, "refresh": true}"#);
    let job = Job::parse(&text, &Limits::default()).unwrap();
    let (plain, task) = (&job.tasks()[0], &job.tasks()[1]);
    let cache = task.cache().unwrap();
    assert_eq!((cache.ttl, cache.refresh), (Duration::from_secs(5400), true));
    assert_eq!(cache.version.as_ref().unwrap().get(), "2.0");
    assert_eq!((task.upstream(), task.keeps_by_module()), (&[0][..], false));
    assert!(plain.cache().is_none() && !plain.keeps_by_module());
    let by_module = Job::parse(&text.replace(r#""key": ["_a.data.x"],"#, ""), &Limits::default()).unwrap();
    assert!(by_module.tasks()[1].keeps_by_module() && by_module.tasks()[1].upstream().is_empty());
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    let rows = [
        (r#""cache": "1h""#, "wrong_type $.tasks[1].cache"),
        (r#""cache": {}"#, "missing_key $.tasks[1].cache"),
        (r#""cache": {"ttl": null}"#, "missing_key $.tasks[1].cache"),
        (r#""cache": {"ttl": 0}"#, "out_of_range $.tasks[1].cache.ttl"),
        (r#""cache": {"ttl": "367d"}"#, "out_of_range $.tasks[1].cache.ttl"),
        (r#""cache": {"ttl": "-1s"}"#, "out_of_range $.tasks[1].cache.ttl"),
        (r#""cache": {"tll": "1h", "ttl": 1}"#, "unknown_key $.tasks[1].cache.tll"),
        (r#""cache": {"ttl": 1, "key": "_c.data"}"#, "unknown_task $.tasks[1].cache.key"),
        (r#""cache": {"ttl": 1, "key": "_b.data"}"#, "cycle $.tasks[1].cache.key"),
        (r#""cache": {"ttl": 1, "key": "_.item"}"#, "bad_reference $.tasks[1].cache.key"),
        (r#""cache": {"ttl": 1, "key": ["_.secret.x"]}"#, "bad_reference $.tasks[1].cache.key[0]"),
        (r#""cache": {"ttl": 1, "version": true}"#, "wrong_type $.tasks[1].cache.version"),
        (r#""cache": {"ttl": 1, "refresh": "no"}"#, "wrong_type $.tasks[1].cache.refresh"),
        (r#""args": ["_.secret.x"], "cache": {"ttl": 1}"#, "out_of_range $.tasks[1].cache"),
        (r#""command": ["x"], "env": {"A": "_.secret.x"}, "cache": {"ttl": 1}"#, "out_of_range $.tasks[1].cache"),
        (r#""wait": {"signal": "s"}, "cache": {"ttl": 1}"#, "out_of_range $.tasks[1].cache"),
    ];
    for (task, expected) in rows {
        let problems = refuse(&job(task));
        let found: Vec<String> = problems.iter().map(|problem| format!("{} {}", code(problem), problem.path)).collect();
        assert_eq!(found, [expected], "{task}: {problems:?}");
    }
    let message = &refuse(&job(rows[13].0))[0].message;
    assert!(message.contains("\"cache\" cannot stand beside a secret: the task uses _.secret.x"), "{message}");
}

#[test]
fn a_task_that_runs_a_job_may_have_a_cache_unless_its_result_is_unknown() {
    let inner =
        |more: &str| format!(r#""cache": {{"ttl": 1}}, "job": {{"name": "i", "tasks": [{{"name": "x"{more}}}]}}"#);
    let refused = |keys: &str| {
        let text = format!(r#"{{"name": "j", "tasks": [{{"name": "a", {keys}}}]}}"#);
        Job::parse(&text, &Limits::default()).map(drop).map_err(|problems| problems.to_string())
    };
    assert_eq!(refused(&inner("")), Ok(()));
    let detached = refused(&format!(r#"{}, "detached": true"#, inner(""))).unwrap_err();
    assert!(detached.contains("$.tasks[0].cache: \"cache\" cannot stand beside \"detached\""), "{detached}");
    for deep in [inner(r#", "args": ["_.secret.s"]"#), inner(&format!(", {}", inner(r#", "args": ["_.secret.s"]"#)))] {
        let secret = refused(&deep).unwrap_err();
        assert!(secret.contains("cannot stand beside a secret: the task uses _.secret.s"), "{secret}");
    }
}
