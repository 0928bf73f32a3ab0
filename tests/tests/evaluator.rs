//! Tests of the evaluator on jobs with results computed by hand, and on the examples of `etc/jobs`.

use std::collections::BTreeMap;

use hub_tests::evaluator::{Expected, Function, Job, Limits, Outcome, Status, Table, evaluate, evaluate_within};
use hub_tests::{ASYNCHRONOUS, UNATTENDED, example};
use serde_json::{Value, json};

/// The behaviour of the modules in `etc/tasks`, with fixed values instead of random ones.
const EXAMPLES: [(&str, Function); 20] = [
    // The last of its attempts. No example allows more than five.
    ("flaky", |args, _| match number(&args[0]) {
        0..5 => text("succeeded at attempt 3"),
        _ => Outcome::Failed(Some("TASK_FAILED")),
    }),
    ("command", |_, run| match &run["command"][0] {
        program if program == "seq" => text("1\n2\n3\n4\n5"),
        _ => text(format!("{} {}", run["command"][1].as_str().unwrap(), run["command"][2])),
    }),
    ("shell", |_, run| {
        whole(run["env"]["NUMBERS"].as_str().unwrap().lines().map(|line| line.parse::<i64>().unwrap()).sum())
    }),
    ("add", |args, _| whole(number(&args[0]) + number(&args[1]))),
    ("multiply", |args, _| whole(number(&args[0]) * number(&args[1]))),
    ("numbers", |args, _| Outcome::Success((1..=number(&args[0])).collect())),
    ("square", |args, _| whole(number(&args[0]) * number(&args[0]))),
    ("total", |args, _| whole(args[0].as_array().into_iter().flatten().map(number).sum())),
    ("greet", |_, kwargs| text(format!("hello, {}", kwargs["who"].as_str().unwrap()))),
    ("count_words", |args, _| Outcome::Success(args[0].as_str().unwrap().split(' ').count().into())),
    ("get_uuid", |_, _| text("a uuid")),
    ("reserve_ip", |args, _| Outcome::Success(json!({"name": args[0], "ip": "192.0.2.7"}))),
    ("create_host", |args, _| Outcome::Success(json!({"uuid": args[0], "name": args[1]["name"], "ip": args[1]["ip"]}))),
    ("create_lvm", |args, _| Outcome::Success(json!({"volume": args[0]["uuid"], "gigabytes": args[1]}))),
    ("create_tftp", |args, _| Outcome::Success(json!({"file": args[0]["uuid"], "notify": args[1]}))),
    ("create_vm", |args, _| Outcome::Success(json!({"vm": args[0]["uuid"], "state": "off"}))),
    ("create_dhcp", |args, _| Outcome::Success(json!({"lease": [args[0]["name"], args[0]["ip"]]}))),
    ("power", |args, _| Outcome::Success(json!({"vm": args[0]["uuid"], "state": args[1]}))),
    ("delete_vm", |args, _| Outcome::Success(json!({"deleted": args[0]}))),
    ("frank", |args, _| text(format!("{} with {}", args[0].as_str().unwrap(), args[1].as_str().unwrap()))),
];

/// The modules of the jobs in this file.
const SIMPLE: [(&str, Function); 4] = [
    ("echo", |args, _| Outcome::Success(args.get(0).cloned().unwrap_or_default())),
    ("both", |args, kwargs| Outcome::Success(json!([args, kwargs]))),
    ("fail", |_, _| Outcome::Failed(Some("TASK_FAILED"))),
    ("long", |args, _| Outcome::Success("x".repeat(args[0].as_u64().unwrap() as usize).into())),
];

fn whole(number: i64) -> Outcome {
    Outcome::Success(number.into())
}

fn text(text: impl Into<String>) -> Outcome {
    Outcome::Success(text.into().into())
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

/// The id of each task is its name in upper case.
fn ids(job: &Job) -> BTreeMap<String, String> {
    job.tasks().iter().map(|task| (task.name.clone(), task.name.to_uppercase())).collect()
}

fn of(job: &Value) -> Expected {
    let job = Job::of(job);
    evaluate(&job, &Table::new(&SIMPLE).with_ids(ids(&job)))
}

fn of_example(name: &str, more: &[(&'static str, Function)]) -> Expected {
    let job = Job::parse(&example(name));
    let modules: Vec<(&str, Function)> = EXAMPLES.iter().chain(more).copied().collect();
    evaluate(&job, &Table::new(&modules).with_ids(ids(&job)))
}

fn data(expected: &Expected) -> Vec<Value> {
    expected.tasks.iter().map(|task| task.data.clone().unwrap_or_default()).collect()
}

/// The status of each task, with the kind of its error.
fn ends(expected: &Expected) -> Vec<(Status, Option<&'static str>)> {
    expected.tasks.iter().map(|task| (task.status, task.error)).collect()
}

#[test]
fn the_examples() {
    let outputs = [
        ("branches.json", json!({"large": "SKIPPED", "small": 43})),
        ("commands.json", json!({"sum": 15, "text": "the sum is 15"})),
        ("etl.json", json!({"rows": 55, "price": 110, "warn": "SKIPPED"})),
        ("fan_out.json", json!({"sum_of_squares": 91})),
        ("flaky.json", json!("succeeded at attempt 3")),
        ("map.json", json!({"squares": [1, 4, 9, 16, 25, 36], "sum": 91})),
        ("polyglot.json", json!(["hello, world", 2, 4])),
        (
            "provision.json",
            json!({"host": {"uuid": "a uuid", "name": "vm-1.example", "ip": "192.0.2.7"}, "state": "on"}),
        ),
        ("sub_job.json", json!({"days": [10, 40, 90], "sum": 140})),
        ("sum_product.json", json!([6])),
    ];
    assert_eq!(outputs.each_ref().map(|(name, _)| *name), UNATTENDED);
    for (name, output) in outputs {
        let expected = of_example(name, &[]);
        assert_eq!((expected.status, &expected.output), (Status::Success, &output), "{name}: {expected:#?}");
    }
    assert_eq!(data(&of_example("sum_product.json", &[])), [json!(3), json!(6)]);
    let provision = of_example("provision.json", &[]);
    assert_eq!(
        data(&provision)[4],
        json!({"file": "a uuid", "notify": "POWER_ON"}),
        "an id is known before the task runs"
    );
    assert_eq!(data(&provision)[9], json!({"deleted": "a uuid"}));
}

/// The posted result of a launched task is its data.
#[test]
fn the_asynchronous_example() {
    let posted = of_example(ASYNCHRONOUS, &[("order_stamp", |_, _| text("a blue stamp"))]);
    assert_eq!((posted.status, posted.output), (Status::Success, json!("a letter with a blue stamp")));
    let failed = of_example(ASYNCHRONOUS, &[("order_stamp", |_, _| Outcome::Failed(Some("POSTED")))]);
    assert_eq!((failed.status, &failed.output), (Status::Failed, &json!(null)));
    assert_eq!(ends(&failed), [(Status::Failed, Some("POSTED")), (Status::UpstreamFailed, None)]);
}

#[test]
fn arguments_are_filled_at_any_depth() {
    let expected = of(&json!({"name": "j", "tasks": [
        {"name": "b", "task_name": "both", "args": ["__x", {"_a.data": ["_a.data.0.k", "_a.data.1"]}, "_a.status", "_a.error"],
         "kwargs": {"id": "_b.id", "name": "_c.name", "whole": "_a.data"}},
        {"name": "a", "task_name": "echo", "args": [[{"k": null}, "__literal"]]},
        {"name": "c", "task_name": "echo", "depends": ["b"]}]}));
    let a = json!([{"k": null}, "_literal"]);
    let args = json!(["_x", {"_a.data": [null, "_literal"]}, "SUCCESS", null]);
    let kwargs = json!({"id": "B", "name": "c", "whole": a});
    assert_eq!((expected.status, &expected.output), (Status::Success, &json!(null)), "it asks for no output");
    assert_eq!(data(&expected), [json!([args, kwargs]), a, json!(null)]);
    assert_eq!(expected.tasks[0].arguments.as_deref(), Some(&(args, kwargs)));
}

/// A task without a module is called with its keys; nothing is replaced in a shell text.
#[test]
fn commands_are_filled_as_arguments_are() {
    let job = Job::of(&json!({"name": "j", "tasks": [
        {"name": "a", "task_name": "echo", "args": [7]},
        {"name": "b", "command": ["x", "_a.data", "__y"], "env": {"A": "_a.status"}},
        {"name": "c", "shell": "_a.data", "cwd": "__z", "output": "json"}]}));
    let own: [(&str, Function); 2] =
        [("command", |_, run| Outcome::Success(run.clone())), ("shell", |_, run| Outcome::Success(run.clone()))];
    let modules: Vec<(&str, Function)> = SIMPLE.into_iter().chain(own).collect();
    let expected = evaluate(&job, &Table::new(&modules).with_ids(ids(&job)));
    let b = json!({"command": ["x", 7, "_y"], "env": {"A": "SUCCESS"}});
    assert_eq!(data(&expected)[1..], [b, json!({"shell": "_a.data", "cwd": "__z", "output": "json"})]);
    let upstream: Vec<usize> = job.tasks().iter().map(|task| task.upstream.len()).collect();
    assert_eq!(upstream, [0, 1, 0]);
}

#[test]
fn failures_affect_only_dependent_tasks() {
    let expected = of(&json!({"name": "j", "output": "_other.data", "tasks": [
        {"name": "last", "task_name": "echo", "args": [["_middle.data"]]},
        {"name": "middle", "task_name": "echo", "depends": ["fail", "other"]},
        {"name": "fail", "args": [1]},
        {"name": "other", "task_name": "echo", "args": [7]},
        {"name": "named", "task_name": "echo", "args": ["_fail.id", "_fail.name"]}]}));
    let upstream = (Status::UpstreamFailed, None);
    let success = (Status::Success, None);
    assert_eq!(ends(&expected), [upstream, upstream, (Status::Failed, Some("TASK_FAILED")), success, success]);
    assert_eq!((expected.status, &expected.output), (Status::Failed, &json!(null)), "one task has failed");
    let called: Vec<bool> = expected.tasks.iter().map(|task| task.arguments.is_some()).collect();
    assert_eq!(called, [false, false, true, true, true]);
}

#[test]
fn a_missing_value_fails_the_task_or_the_output() {
    let with = |path: &str, output: Value| {
        of(&json!({"name": "j", "output": output, "tasks": [
            {"name": "a", "task_name": "echo", "args": [{"list": [1]}]},
            {"name": "b", "task_name": "both", "kwargs": {"k": [format!("_a.data{path}")]}}]}))
    };
    for path in [".list.1", ".list.0.x", ".lists", ".list.00"] {
        let expected = with(path, json!("_a.data"));
        assert_eq!(ends(&expected)[1], (Status::Failed, Some("MISSING_VALUE")), "{path}");
        assert_eq!((expected.status, expected.output), (Status::Failed, json!(null)), "{path}");
    }
    assert_eq!(with(".list.0", json!("_a.data.list")).output, json!([1]));
    let expected = with(".list.0", json!(["_a.data.no"]));
    assert_eq!((expected.status, &expected.output), (Status::Failed, &json!(null)), "all tasks have succeeded");
    assert!(expected.tasks.iter().all(|task| task.status == Status::Success));
}

#[test]
fn values_beyond_the_limits_fail_the_task_or_the_output() {
    let limits = Limits { max_value_bytes: 40, max_depth: 4 };
    let within = |job: Value| evaluate_within(&Job::of(&job), &Table::new(&SIMPLE), limits);
    let expected = within(json!({"name": "j", "tasks": [
        {"name": "a", "task_name": "long", "args": [20]},
        {"name": "b", "task_name": "long", "args": [39]},
        {"name": "c", "task_name": "echo", "args": ["_a.data", "_a.data"]},
        {"name": "d", "task_name": "echo", "args": [[[[1]]]]},
        {"name": "e", "task_name": "echo", "args": [["_d.data"]]},
        {"name": "f", "task_name": "both", "args": ["_d.data"]}]}));
    let kinds: Vec<Option<&str>> = expected.tasks.iter().map(|task| task.error).collect();
    let (large, deep) = (Some("RESULT_TOO_LARGE"), Some("VALUE_TOO_DEEP"));
    assert_eq!(kinds, [None, large, Some("ARGUMENTS_TOO_LARGE"), None, deep, deep]);
    let output = |output: Value| {
        let tasks = json!([{"name": "a", "task_name": "long", "args": [20]}]);
        within(json!({"name": "j", "output": output, "tasks": tasks})).status
    };
    assert_eq!(output(json!(["_a.data"])), Status::Success);
    assert_eq!(output(json!(["_a.data", "_a.data"])), Status::Failed);
}

/// Deep graphs need no deep stack.
#[test]
fn a_chain_of_a_hundred_thousand_tasks() {
    let task = |at: u32| match at {
        0 => json!({"name": "t0", "task_name": "echo", "args": [7]}),
        _ => json!({"name": format!("t{at}"), "task_name": "echo", "args": [format!("_t{}.data", at - 1)]}),
    };
    let tasks: Vec<Value> = (0..100_000).rev().map(task).collect();
    let expected = of(&json!({"name": "j", "tasks": tasks, "output": "_t99999.data"}));
    assert_eq!((expected.status, expected.output), (Status::Success, json!(7)));
}
