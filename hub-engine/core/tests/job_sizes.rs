//! Limits of the job format, and of the messages about what exceeds them.

mod job_support;

use hub_core::job::{Job, Limits};
use job_support::{code, refuse};

#[test]
fn a_path_has_at_most_as_many_steps_as_a_value_has_levels() {
    let job = |steps: usize| {
        format!(r#"{{"name": "j", "tasks": [{{"name": "a"}}], "output": "_a.data{}"}}"#, ".0".repeat(steps))
    };
    assert!(Job::parse(&job(120), &Limits::default()).is_ok());
    let found = refuse(&job(121));
    assert_eq!((code(&found[0]).as_str(), found[0].path.as_str()), ("bad_reference", "$.output"));
    assert!(found[0].message.ends_with("has 121 steps, the limit is 120"), "{}", found[0].message);
}

#[test]
fn exceeded_limits_are_reported_with_the_value() {
    let job = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "args": [[[1]]]}]}"#;
    let limits = [
        (Limits { max_bytes: 10, ..Limits::default() }, "the job has 71 bytes, the limit max_bytes is 10", "$"),
        (Limits { max_tasks: 1, ..Limits::default() }, "the job has 2 tasks, the limit max_tasks is 1", "$.tasks"),
        (Limits { max_depth: 5, ..Limits::default() }, "the nesting exceeds the limit max_depth, which is 5", "$"),
    ];
    for (limits, message, path) in limits {
        let problems: Vec<_> = Job::parse(job, &limits).unwrap_err().into_iter().collect();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!((code(&problems[0]).as_str(), problems[0].message.as_str()), ("limit_exceeded", message));
        assert_eq!(problems[0].path, path);
    }
    let exact = Limits { max_bytes: 71, max_tasks: 2, max_depth: 6, ..Limits::default() };
    assert_eq!(Job::parse(job, &exact).unwrap().tasks().len(), 2);
}

#[test]
fn any_nesting_depth_is_refused_safely() {
    let generous = Limits { max_depth: usize::MAX, ..Limits::default() };
    for (open, close) in [("[", "]"), ("{\"x\":", "}"), ("[{\"x\":[", "]}]")] {
        for depth in [130, 100_000] {
            let text = format!(r#"{{"name": "j", "x-deep": {}1{}}}"#, open.repeat(depth), close.repeat(depth));
            for limits in [&Limits::default(), &generous] {
                let problems: Vec<_> = Job::parse(&text, limits).unwrap_err().into_iter().collect();
                assert_eq!(code(&problems[0]), "limit_exceeded", "{open} {depth}");
            }
        }
        let never_closed = Job::parse(&open.repeat(100_000), &generous).unwrap_err();
        assert_eq!(code(never_closed.iter().next().unwrap()), "limit_exceeded");
    }
    let deepest =
        format!(r#"{{"name": "j", "tasks": [{{"name": "a"}}], "output": {}1{}}}"#, "[".repeat(119), "]".repeat(119));
    assert_eq!(Job::parse(&deepest, &generous).unwrap().output().unwrap().text().get().len(), 239);
}

#[test]
fn beyond_a_hundred_problems_only_their_number_is_reported() {
    let tasks: Vec<String> = (0..150).map(|at| format!(r#"{{"name": "t{at}", "args": "x"}}"#)).collect();
    let found = refuse(&format!(r#"{{"name": "j", "tasks": [{}]}}"#, tasks.join(",")));
    assert_eq!(found.len(), 101);
    assert_eq!((code(&found[100]).as_str(), found[100].message.as_str()), ("more", "… and 50 more problems"));
    assert_eq!(found[100].line, None);
}

#[test]
fn user_text_in_messages_is_truncated() {
    let endless = "x".repeat(1_000_000);
    let found = refuse(&format!(
        r#"{{"name": "j", "{endless}": 1, "tasks": [{{"name": "a", "depends": ["{endless}"], "args": ["_{endless}", "_{endless}.data"]}}]}}"#
    ));
    assert_eq!(found.len(), 4);
    for problem in found {
        assert!(problem.to_string().len() < 1000, "{} bytes", problem.to_string().len());
    }
}
