//! Sub-jobs in the text of a job: what is read, and what is refused with its code and place.

mod job_support;

use hub_core::job::{Job, Limits, SubJob};
use job_support::{code, parse, refuse};
use serde_json::{Value, json};

/// A job whose second task has these keys.
fn with_task(task: &Value) -> String {
    json!({"name": "j", "tasks": [{"name": "a"}, task]}).to_string()
}

fn inner() -> Value {
    json!({"name": "c", "tasks": [{"name": "x"}]})
}

#[test]
fn a_sub_job_is_read_with_its_own_text() {
    let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "any / name", "inputs": {"x": ["_a.data"]}, "job":
        { "name": "c", "tasks": [ {"name": "x", "args": ["_.input.x.0"]} ] } }]}"#;
    let job = parse(text);
    let task = job.spec(1);
    assert_eq!(task.upstream(), [0], "inputs imply a dependency");
    let sub_job = task.sub_job().unwrap();
    assert_eq!(sub_job.job().source(), r#"{ "name": "c", "tasks": [ {"name": "x", "args": ["_.input.x.0"]} ] }"#);
    assert!(!sub_job.is_detached() && !task.is_for_worker());
    assert_eq!(job.with_sub_jobs().len(), 2);
    let again = Job::parse(sub_job.job().source(), &Limits::of_accepted()).unwrap();
    assert_eq!(again.tasks().len(), 1, "as a store reads it");
}

#[test]
fn problems_in_a_sub_job_have_their_places_in_the_whole_text() {
    let text = "{\"name\": \"j\", \"tasks\": [\n  {\"name\": \"a\", \"job\": {\"name\": \"c\", \"tasks\": [\n    {\"name\": \"b\", \"job\": {\"name\": \"d\",\n      \"tasks\": [{\"name\": \"x\", \"dependz\": []}]}}]}}]}";
    let problems = refuse(text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].path, "$.tasks[0].job.tasks[0].job.tasks[0].dependz");
    assert_eq!((problems[0].line, problems[0].column), (Some(4), Some(31)));
    assert_eq!(problems[0].suggestion.as_deref(), Some("did you mean \"depends\"?"));
}

#[test]
fn what_cannot_be_is_refused() {
    let cases = [
        (json!({"name": "t", "job": inner(), "task_name": "m"}), "conflict", "$.tasks[1].task_name"),
        (json!({"name": "t", "job": inner(), "args": []}), "conflict", "$.tasks[1].args"),
        (json!({"name": "t", "job": inner(), "kwargs": {}}), "conflict", "$.tasks[1].kwargs"),
        (json!({"name": "t", "job": inner(), "command": ["x"]}), "conflict", "$.tasks[1].command"),
        (json!({"name": "t", "job": inner(), "wait": {"signal": "s"}}), "conflict", "$.tasks[1].wait"),
        (json!({"name": "t", "job": inner(), "pool": "p"}), "conflict", "$.tasks[1].pool"),
        (json!({"name": "t", "job": "etl@7"}), "unknown_definition", "$.tasks[1].job"),
        (json!({"name": "t", "job": 7}), "wrong_type", "$.tasks[1].job"),
        (json!({"name": "t", "job": {}}), "missing_key", "$.tasks[1].job"),
        (json!({"name": "t", "job": {"name": "c", "tasks": []}}), "no_tasks", "$.tasks[1].job.tasks"),
        (json!({"name": "t", "job": inner(), "inputs": []}), "wrong_type", "$.tasks[1].inputs"),
        (json!({"name": "t", "job": inner(), "inputs": {"x": "_b.data"}}), "unknown_task", "$.tasks[1].inputs.x"),
        (json!({"name": "t", "job": inner(), "inputs": {"x": "_t.data"}}), "cycle", "$.tasks[1].inputs.x"),
        (json!({"name": "t", "job": inner(), "inputs": {"x": "_.item"}}), "bad_reference", "$.tasks[1].inputs.x"),
        (json!({"name": "t", "job": inner(), "inputs": {"x": "_.secret.k"}}), "bad_reference", "$.tasks[1].inputs.x"),
        (json!({"name": "t", "job": inner(), "detached": "yes"}), "wrong_type", "$.tasks[1].detached"),
        (json!({"name": "t", "inputs": {}}), "conflicting_keys", "$.tasks[1].inputs"),
        (json!({"name": "t", "detached": true}), "conflicting_keys", "$.tasks[1].detached"),
        (json!({"name": "t", "args": ["_.input"]}), "bad_reference", "$.tasks[1].args[0]"),
        (json!({"name": "t", "child": "x"}), "reserved_key", "$.tasks[1].child"),
    ];
    for (task, expected, path) in cases {
        let problems = refuse(&with_task(&task));
        let found: Vec<_> = problems.iter().map(|problem| (code(problem), problem.path.clone())).collect();
        let expected = if expected == "conflict" { "out_of_range" } else { expected };
        assert!(found.contains(&(expected.to_owned(), path.to_owned())), "{task}: {found:?}");
    }
    let outer = json!({"name": "t", "job": {"name": "c", "tasks": [{"name": "x", "args": ["_a.data"]}]}});
    let problems = refuse(&with_task(&outer));
    assert_eq!(code(&problems[0]), "unknown_task", "a sub-job does not see the tasks of its parent");
    let keyed = json!({"name": "t", "job": {"name": "c", "key": "k", "tasks": [{"name": "x"}]}});
    assert_eq!(code(&refuse(&with_task(&keyed))[0]), "conflicting_keys");
}

/// A job with this number of levels of sub-jobs.
fn deep(levels: u32) -> String {
    let job = (0..levels).fold(inner(), |job, _| json!({"name": "c", "tasks": [{"name": "x", "job": job}]}));
    job.to_string()
}

#[test]
fn sub_jobs_are_nested_up_to_a_limit() {
    assert_eq!(parse(&deep(SubJob::MAXIMUM_LEVELS)).with_sub_jobs().len(), SubJob::MAXIMUM_LEVELS as usize + 1);
    let problems = refuse(&deep(SubJob::MAXIMUM_LEVELS + 1));
    assert_eq!((problems.len(), code(&problems[0])), (1, "limit_exceeded".to_owned()));
}

#[test]
fn each_sub_job_has_as_many_tasks_as_a_job_may_have() {
    let limits = Limits { max_tasks: 2, ..Limits::default() };
    let tasks = |count: usize| (0..count).map(|at| json!({"name": format!("t{at}")})).collect::<Vec<_>>();
    let text =
        |count| json!({"name": "j", "tasks": [{"name": "a", "job": {"name": "c", "tasks": tasks(count)}}]}).to_string();
    assert!(Job::parse(&text(2), &limits).is_ok());
    let problems: Vec<_> = Job::parse(&text(3), &limits).unwrap_err().into_iter().collect();
    assert_eq!(problems[0].path, "$.tasks[0].job.tasks");
}

/// Many problems in many sub-jobs are listed up to the limit, and the search for similar names is bounded for all together.
#[test]
fn a_hundred_thousand_problems_in_sub_jobs() {
    let task = |at: usize| {
        json!({"name": format!("t{at}"), "job": {"name": "c", "tasks": [
        {"name": "x", "depends": ["missing-and-long-name"]}, {"name": "missing-and-long-nama"}]}})
    };
    let tasks: Vec<Value> = (0..20_000).map(task).collect();
    let problems = refuse(&json!({"name": "j", "tasks": tasks}).to_string());
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[100].message, "… and 19900 more problems");
}
