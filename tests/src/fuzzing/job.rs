//! Target: arbitrary bytes as a job, which is either accepted or refused.

use std::collections::HashSet;
use std::sync::Arc;

use hub_core::Json;
use hub_core::job::{DEFAULT_POOL, Job, Limits, Problem, ProblemCode, Problems, Run, SubJob, Task, Template, Values};
use serde_json::Value;

use super::repeats::has_repeated_keys;
use super::run::run;
use crate::evaluator;

/// Maximum number of tasks of a job that is run.
const MAX_TASKS_RUN: usize = 200;
/// Maximum number of reported problems, including one that counts the remaining ones.
const MAX_PROBLEMS: usize = 101;

/// Parses the bytes as a job. Returns whether it was accepted.
pub(super) fn check(bytes: &[u8]) -> bool {
    let limits = Limits { max_depth: Limits::MAX_DEPTH, ..Limits::default() };
    match (Job::parse_bytes(bytes, &limits), Job::parse_bytes(bytes, &limits)) {
        (Ok(job), Ok(again)) => {
            assert_eq!(Ok(job.source()), std::str::from_utf8(bytes), "the source is what was submitted");
            check_same(&job, &again);
            check_same(&job, &Job::parse(job.source(), &limits).expect("its own source is a job"));
            check_against_tree(&job);
            check_graph(&job);
            // Nothing in this target sends signals, answers questions or lets time pass.
            let has_waits = job.tasks().iter().any(|task| !task.is_for_worker());
            if job.tasks().len() <= MAX_TASKS_RUN && !has_waits {
                run(&Arc::new(job));
            }
            true
        }
        (Err(problems), Err(again)) => {
            assert_eq!(problems, again, "the same text has the same problems");
            check_problems(&problems, bytes);
            false
        }
        _ => panic!("accepted and refused"),
    }
}

fn check_same(one: &Job, other: &Job) {
    assert_eq!((one.name(), one.key(), one.priority()), (other.name(), other.key(), other.priority()));
    assert_eq!((one.output(), one.extra()), (other.output(), other.extra()));
    assert_eq!((one.start_at(), one.deadline()), (other.start_at(), other.deadline()));
    assert_eq!(one.labels(), other.labels());
    assert_eq!(one.tasks().len(), other.tasks().len());
    for (one, other) in one.tasks().iter().zip(other.tasks()) {
        assert_eq!((one.name(), one.task_name(), one.pool()), (other.name(), other.task_name(), other.pool()));
        assert_eq!((one.args(), one.kwargs()), (other.args(), other.kwargs()));
        assert_eq!((one.depends(), one.upstream()), (other.depends(), other.upstream()));
        assert_eq!(one.own_priority(), other.own_priority());
        assert_eq!((one.run(), one.extra()), (other.run(), other.extra()));
    }
}

/// Compares the job with the result of another JSON parser.
fn check_against_tree(job: &Job) {
    let tree: Value = serde_json::from_str(job.source()).expect("a job is JSON");
    assert_eq!(tree["name"], job.name());
    assert_eq!(tree["key"].as_str(), job.key());
    check_priority(&tree["priority"], job.priority());
    check_template(&tree["output"], job, job.output());
    assert_eq!(
        [job.start_at(), job.deadline()].map(|key| key.is_some()),
        ["start_at", "deadline"].map(|key| !tree[key].is_null())
    );
    for (name, value) in tree["labels"].as_object().into_iter().flatten() {
        assert_eq!(job.labels().get(name.as_str()).map(|value| &**value), value.as_str());
    }
    assert_eq!(job.labels().len(), tree["labels"].as_object().map_or(0, serde_json::Map::len));
    check_extra(&tree, job.extra());
    let lists = ["tasks", "on_failure", "finally"].map(|list| tree[list].as_array().map_or(&[][..], Vec::as_slice));
    let tasks = lists.concat();
    assert_eq!(tasks.len(), job.tasks().len());
    for (tree, task) in tasks.iter().zip(job.tasks()) {
        assert_eq!(tree["name"], **task.name());
        let task_name = tree["task_name"].as_str().filter(|name| !name.is_empty());
        assert_eq!(task_name, task.task_name().map(|name| &**name));
        let run = task.run().map(|run| run.form().as_str());
        assert_eq!(**task.module(), *run.or(task_name).unwrap_or(task.name()));
        check_run(tree, job, task);
        check_sub_job(tree, job, task);
        check_template(&tree["args"], job, task.args());
        check_template(&tree["kwargs"], job, task.kwargs());
        assert_eq!(tree["pool"].as_str().unwrap_or(DEFAULT_POOL), &**task.pool());
        check_priority(&tree["priority"], task.own_priority());
        check_extra(tree, task.extra());
        let names = task.depends().map(|list| list.iter().map(|task| &**job.tasks()[*task as usize].name()).collect());
        let written = tree["depends"].as_array().map(|list| list.iter().filter_map(Value::as_str).collect());
        assert_eq!(names, written as Option<Vec<&str>>);
    }
}

/// The job that a task runs is read like a job by itself.
fn check_sub_job(tree: &Value, job: &Job, task: &Task) {
    let sub_job = task.sub_job();
    assert_eq!(sub_job.is_some(), !tree["job"].is_null());
    check_template(&tree["inputs"], job, sub_job.and_then(SubJob::inputs));
    assert_eq!(tree["detached"].as_bool().unwrap_or(false), sub_job.is_some_and(SubJob::is_detached));
    if let Some(sub_job) = sub_job {
        check_against_tree(sub_job.job());
        check_graph(sub_job.job());
    }
}

/// What a task runs instead of a module has the keys of the text.
fn check_run(tree: &Value, job: &Job, task: &Task) {
    let parts: Vec<_> = task.run().into_iter().flat_map(Run::parts).collect();
    for key in ["command", "shell", "http", "env", "cwd", "output"] {
        let part = parts.iter().find(|(part, _)| *part == key).map(|(_, template)| *template);
        check_template(&tree[key], job, part);
    }
}

/// `-0` is an integer, but a float in the parsed tree.
fn check_priority(tree: &Value, priority: Option<i32>) {
    assert_eq!(tree.as_f64(), priority.map(f64::from));
}

fn check_template(tree: &Value, job: &Job, template: Option<&Template>) {
    let text = template.map(Template::text);
    assert_eq!(*tree, text.as_ref().map_or(Value::Null, Json::to_value));
    if let Some(template) = template.filter(|template| template.is_literal()) {
        let look_up = |_, _| panic!("nothing is looked up");
        job.fill(template, usize::MAX, &mut Values::default(), look_up).expect("nothing is missing");
    }
}

fn check_extra(tree: &Value, extra: &[(String, Json)]) {
    let own = tree.as_object().expect("an object").iter();
    let repeated = [
        "meta",
        "retry",
        "timeout",
        "start_at",
        "deadline",
        "handler_deadline",
        "trigger_rule",
        "when",
        "delay",
        "for_each",
        "recover",
        "wait",
        "cache",
    ];
    let own = own.filter(|(key, value)| key.starts_with("x-") || (repeated.contains(&&***key) && !value.is_null()));
    assert_eq!(own.count(), extra.len());
    for (key, value) in extra {
        assert_eq!(tree[key], value.to_value());
    }
}

/// Checks that names are unique, dependencies exist, and there is no cycle.
fn check_graph(job: &Job) {
    let names: HashSet<&str> = job.tasks().iter().map(|task| &**task.name()).collect();
    assert_eq!(names.len(), job.tasks().len(), "names are unique");
    if has_repeated_keys(job.source()) {
        // The other parser does not see references in the first of two duplicate keys.
        return;
    }
    // The evaluator finds the same dependencies, and no task depends on itself.
    let expected = evaluator::Job::parse(job.source());
    assert_eq!(expected.in_order().len(), job.tasks().len());
    for (task, expected) in job.tasks().iter().zip(expected.tasks()) {
        let upstream: Vec<u32> = expected.upstream.iter().map(|before| *before as u32).collect();
        assert_eq!(task.upstream(), upstream, "in increasing order");
    }
}

/// Checks that problems have existing positions, in the order of the text.
fn check_problems(problems: &Problems, bytes: &[u8]) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to here"),
    };
    let lines: Vec<u32> = text.split('\n').map(|line| line.chars().count() as u32).collect();
    let all: Vec<&Problem> = problems.iter().collect();
    assert!((1..=MAX_PROBLEMS).contains(&all.len()), "{} problems", all.len());
    let mut last = (1, 1);
    for (at, problem) in all.iter().enumerate() {
        assert!(problem.path.starts_with('$') && !problem.message.is_empty(), "{problem:?}");
        // A problem must not contain control characters, since terminals show it.
        assert!(!problem.to_string().chars().any(char::is_control), "{problem:?}");
        if problem.code == ProblemCode::More {
            assert_eq!((at, problem.line, problem.column), (MAX_PROBLEMS - 1, None, None));
            continue;
        }
        let place = (problem.line.expect("a line"), problem.column.expect("a column"));
        assert!(last <= place, "{problem:?} comes after {last:?}");
        let length = lines.get(place.0 as usize - 1).unwrap_or_else(|| panic!("no such line: {problem:?}"));
        // The position after the last character is valid, for something that is missing.
        assert!((1..=length + 1).contains(&place.1), "no such column: {problem:?}");
        last = place;
        let written = serde_json::to_string(problem).expect("a problem can be written");
        assert_eq!(serde_json::from_str::<Problem>(&written).expect("and read"), **problem);
    }
    let is_json = serde_json::from_str::<Value>(text).is_ok() && text.len() == bytes.len();
    let is_text = matches!(all[0].code, ProblemCode::NotUtf8 | ProblemCode::NotJson | ProblemCode::LimitExceeded);
    assert!(is_json || is_text, "it is not JSON, but refused for another reason: {problems}");
    assert!(!is_json || all[0].code != ProblemCode::NotJson, "it is JSON, and refused as none: {problems}");
}
