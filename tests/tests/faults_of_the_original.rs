//! Tests of the faults of the Python original, one for each fault that needs no broker. `faults_on_a_broker.rs` has the others.

use std::collections::BTreeSet;
use std::process::Output;

use hub_tests::{Programs, eventually};
use serde_json::{Value, json};

const ECHO: (&str, &str) = ("echo.py", "def echo(value=None):\n    return value\n");
const FAIL: (&str, &str) = ("fail.py", "def fail(why):\n    raise ValueError(why)\n");
/// A task that ends when a file exists.
const GATE: (&str, &str) = (
    "gate.py",
    "import os, time\n\ndef gate(path):\n    while not os.path.exists(path):\n        time.sleep(0.01)\n    return 'open'\n",
);

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn statuses(record: &Value) -> Vec<&str> {
    record["tasks"].as_array().unwrap().iter().map(|task| task["status"].as_str().unwrap()).collect()
}

/// Runs a job to its end.
fn ended(programs: &Programs, job: &Value) -> Value {
    programs.ended(&programs.submit(&job.to_string()))
}

#[test]
fn fault_1_the_worker_dies_when_a_task_raises() {
    let (programs, hub) = Programs::in_memory(&[ECHO, FAIL], &["--slots", "1"]);
    // The original's worker lost the prefetched tasks behind the failed one.
    let mut tasks = vec![json!({"name": "fail", "args": ["it was raised"]})];
    tasks.extend((0..50).map(|at| json!({"name": format!("echo {at}"), "task_name": "echo", "args": [at]})));
    let record = ended(&programs, &json!({"name": "j", "tasks": tasks}));
    assert_eq!(record["status"], "FAILED");
    let failed = &record["tasks"][0];
    assert_eq!((&failed["status"], &failed["msg"]), (&json!("FAILED"), &json!("it was raised")));
    assert_eq!(failed["error"]["type"], "ValueError");
    assert!(failed["error"]["traceback"].as_str().unwrap().contains("fail.py"), "{failed:#}");
    assert!(failed.get("data").is_none(), "{failed:#}");
    assert_eq!(statuses(&record)[1..], ["SUCCESS"; 50]);
    hub.stop();
}

#[test]
fn fault_3_nothing_is_checked_at_submission() {
    let (programs, hub) = Programs::in_memory(&[ECHO], &[]);
    let broken = [
        (
            json!({"name": "j", "tasks": [{"name": "a", "depends": ["b"]}, {"name": "b", "depends": ["a"]}]}),
            "a → b → a",
        ),
        (json!({"name": "j", "tasks": [{"name": "a", "depends": ["nobody"]}]}), "nobody"),
        (json!({"name": "j", "tasks": [{"name": "a", "args": ["_nobody.data"]}]}), "nobody"),
        (json!({"name": "j", "tasks": [{"args": []}]}), "name"),
        (json!({"name": "j", "tasks": [{"name": "twice"}, {"name": "twice"}]}), "twice"),
        (json!({"name": "j"}), "tasks"),
        (json!({"tasks": [{"name": "a"}]}), "name"),
    ];
    for (job, word) in broken {
        let output = programs.run_reading("hub-client", &["-C"], &job.to_string());
        assert_eq!((output.status.code(), printed(&output).as_str()), (Some(2), ""), "{job}: {output:?}");
        assert!(said(&output).contains(word), "{job}: {}", said(&output));
    }
    let everything = json!({"name": "", "tasks": [{"nam": "a"}, {"name": "b", "depends": ["a"]}], "outptu": []});
    let output = programs.run_reading("hub-client", &["-C"], &everything.to_string());
    for word in ["outptu", "nam", "depends"] {
        assert!(said(&output).contains(word), "every problem is told at once, {word} too: {}", said(&output));
    }
    assert_eq!(parsed(&programs.run("hub-client", &["-S", "-q"])), json!([]), "a refused job leaves nothing behind");
    hub.stop();
}

#[test]
fn fault_5_state_is_never_pruned() {
    let (programs, hub) = Programs::in_memory(&[ECHO], &["--retain-jobs", "3"]);
    let job = json!({"name": "j", "tasks": [{"name": "echo"}]}).to_string();
    let ids: Vec<String> = (0..6)
        .map(|_| {
            let id = programs.submit(&job);
            programs.ended(&id);
            id
        })
        .collect();
    let kept = eventually("the oldest jobs are forgotten", || {
        let all = parsed(&programs.run("hub-client", &["-S", "-q"]));
        if all.as_array().unwrap().len() == 3 { Ok(all) } else { Err(all) }
    });
    let kept: BTreeSet<&str> = kept.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(kept, ids[3..].iter().map(String::as_str).collect());
    assert_eq!(parsed(&programs.run("hub-client", &["health"]))["live_jobs"], 0);
    hub.stop();
}

#[test]
fn fault_6_control_scripts_succeed_without_having_done_anything() {
    let programs = Programs::alone();
    programs.write_modules(&[ECHO]);
    let write = |broker: &str| {
        let text =
            format!("[HUB]\n{broker}\ntasks_dir=tasks\nhttp=none\npid_file=run/hub.pid\n[LOGGING]\nlog_file=hub.log\n");
        std::fs::write(programs.directory().join("hub.conf"), text).unwrap();
    };
    let control = |arguments: &[&str]| programs.run("ctrl-hub-dispatcher", &[&["-c", "hub.conf"], arguments].concat());
    let code = |arguments: &[&str]| control(arguments).status.code();
    let pid_file = programs.directory().join("run/hub.pid");

    // Nothing listens on port 1, so the daemon cannot start and reports the cause.
    write("broker=127.0.0.1:1");
    let output = control(&["--timeout", "1", "start"]);
    assert_ne!(output.status.code(), Some(0));
    assert!(said(&output).contains("127.0.0.1:1"), "{}", said(&output));
    assert_eq!(code(&["status"]), Some(3), "nothing of it is left");
    write("brokr=127.0.0.1");
    let output = control(&["start"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("hub.conf:2") && said(&output).contains("did you mean broker"), "{}", said(&output));

    // A pid file that is not locked, although a process with this id exists.
    write("transport=memory");
    std::fs::create_dir_all(pid_file.parent().unwrap()).unwrap();
    std::fs::write(&pid_file, std::process::id().to_string()).unwrap();
    assert_eq!(code(&["status"]), Some(1));
    let _ended = Ended(&control);
    assert_eq!(code(&["start"]), Some(0));
    let first = std::fs::read_to_string(&pid_file).unwrap();
    assert_ne!(first.trim(), std::process::id().to_string());
    assert_eq!(code(&["status"]), Some(0));
    assert_eq!(code(&["restart"]), Some(0));
    assert_ne!(std::fs::read_to_string(&pid_file).unwrap(), first, "it is another process now");
    assert_eq!((code(&["stop"]), code(&["status"]), code(&["stop"])), (Some(0), Some(3), Some(0)));
}

/// Stops the daemon if the test fails.
struct Ended<'a, F: Fn(&[&str]) -> Output>(&'a F);

impl<F: Fn(&[&str]) -> Output> Drop for Ended<'_, F> {
    fn drop(&mut self) {
        (self.0)(&["stop"]);
    }
}

#[test]
fn fault_7_state_leaks_from_task_to_task() {
    let show = (
        "show.py",
        "from hub.lib.api import task\n\n@task\ndef show(*args, **kwargs):\n    state = show.state\n    \
         return {name: getattr(state, name) for name in ('id', 'parent_id', 'name', 'args', 'kwargs', 'attempt')}\n",
    );
    let (programs, hub) = Programs::in_memory(&[show], &["--slots", "1"]);
    let rich = json!({"name": "rich", "tasks": [
        {"name": "show", "args": [1, 2], "kwargs": {"x": 1}},
        {"name": "second", "task_name": "show", "args": ["_show.data"], "depends": ["show"]}]});
    assert_eq!(ended(&programs, &rich)["status"], "SUCCESS");
    let record = ended(&programs, &json!({"name": "poor", "tasks": [{"name": "show"}]}));
    let task = &record["tasks"][0];
    assert_eq!(
        task["data"],
        json!({"id": task["id"], "parent_id": record["id"], "name": "show", "args": [], "kwargs": {}, "attempt": 1})
    );
    assert!(task.get("depends").is_none() && task.get("kwargs").is_none(), "{task:#}");
    hub.stop();
}

#[test]
fn fault_8_the_status_is_stale_and_dependents_of_a_failure_stay_pending() {
    let (programs, hub) = Programs::in_memory(&[ECHO, FAIL, GATE], &[]);
    let open = programs.directory().join("open");
    let job = json!({"name": "j", "tasks": [
        {"name": "echo"},
        {"name": "gate", "args": [open]},
        {"name": "after", "task_name": "echo", "depends": ["gate"]},
        {"name": "fail", "args": ["no"], "depends": ["gate"]},
        {"name": "after fail", "task_name": "echo", "args": ["_fail.data"]},
        {"name": "after that", "task_name": "echo", "depends": ["after fail"]}]});
    let id = programs.submit(&job.to_string());
    let record = eventually("the gate runs and the first task is through", || {
        let record = programs.record(&id);
        if statuses(&record)[..2] == ["SUCCESS", "RUNNING"] { Ok(record) } else { Err(record) }
    });
    assert_eq!(record["status"], "RUNNING");
    assert_eq!(statuses(&record)[2..], ["PENDING"; 4]);
    assert_eq!(record["tasks"][2]["waiting_reason"], "waits for gate");
    std::fs::write(open, "").unwrap();
    let record = programs.ended(&id);
    assert_eq!(record["status"], "FAILED");
    let expected = ["SUCCESS", "SUCCESS", "SUCCESS", "FAILED", "UPSTREAM_FAILED", "UPSTREAM_FAILED"];
    assert_eq!(statuses(&record), expected);
    hub.stop();
}

#[test]
fn fault_9_an_unknown_task_is_dropped_and_two_modules_run_for_one_task() {
    let leaves_a_mark =
        |name: &str| format!("def {name}():\n    open('ran-{name}', 'w').close()\n    return '{name}'\n");
    let (called, meant) = (leaves_a_mark("called"), leaves_a_mark("meant"));
    let (programs, hub) = Programs::in_memory(&[("called.py", &called), ("meant.py", &meant)], &[]);
    let record = ended(&programs, &json!({"name": "j", "tasks": [{"name": "called", "task_name": "meant"}]}));
    assert_eq!(record["tasks"][0]["data"], "meant");
    let found =
        |name: &str| programs.directory().join(name).exists() || programs.directory().join("tasks").join(name).exists();
    assert!(found("ran-meant") && !found("ran-called"));

    let id = programs.submit(&json!({"name": "j", "tasks": [{"name": "maent"}]}).to_string());
    let reason = eventually("the task says why it waits", || {
        let record = programs.record(&id);
        record["tasks"][0]["waiting_reason"].as_str().map(str::to_owned).ok_or(record)
    });
    assert!(reason.contains("maent") && reason.contains("did you mean") && reason.contains("meant"), "{reason}");
    assert_eq!(programs.record(&id)["tasks"][0]["status"], "PENDING");
    assert_eq!(programs.run("hub-client", &["-D", &id]).status.code(), Some(0));
    hub.stop();
}

#[test]
fn fault_10_results_from_outside_are_overwritten_and_overwrite() {
    // The result is posted while the launching function still runs. The later report of the function must not replace it.
    let order = "import json, subprocess\nfrom hub.lib.api import task\n\n@task(async=True)\ndef order(client, hub):\n    \
                 update = {'id': order.state.id, 'status': 'SUCCESS', 'data': 'from outside'}\n    \
                 subprocess.run([client, '-b', hub, '-U'], input=json.dumps(update).encode(), check=True)\n    \
                 return 'from the launch'\n";
    let (programs, hub) = Programs::in_memory(&[("order.py", order), ECHO], &[]);
    let client = programs.command("hub-client").get_program().to_string_lossy().into_owned();
    let job = json!({"name": "j", "tasks": [
        {"name": "order", "args": [client, programs.variable("HUB_BROKER")]},
        {"name": "echo", "args": ["_order.data"]}]});
    let record = ended(&programs, &job);
    assert_eq!(record["status"], "SUCCESS", "{record:#}");
    assert_eq!(
        (&record["tasks"][0]["data"], &record["tasks"][1]["data"]),
        (&json!("from outside"), &json!("from outside"))
    );

    let post = |update: &Value| {
        let output = programs.run_reading("hub-client", &["-U"], &update.to_string());
        (output.status.code(), said(&output))
    };
    let (id, task) = (record["id"].as_str().unwrap(), &record["tasks"][0]["id"]);
    let (code, why) = post(&json!({"id": task, "status": "FAILED", "msg": "too late"}));
    assert_eq!(code, Some(5), "{why}");
    let (code, why) = post(&json!({"id": task, "status": "SUCCESS", "name": "another", "args": []}));
    assert_eq!(code, Some(2), "an update cannot alter the task: {why}");
    let (code, why) = post(&json!({"id": "00000000-0000-0000-0000-000000000000", "status": "SUCCESS"}));
    assert_eq!(code, Some(3), "{why}");
    assert_eq!(programs.record(id), record, "nothing of it changed the task");
    hub.stop();
}

#[test]
fn fault_11_answers_are_no_json_not_found_is_success_and_the_id_is_hard_to_catch() {
    let (programs, hub) = Programs::in_memory(&[ECHO], &[]);
    let job = json!({"name": "j", "tasks": [{"name": "echo"}]}).to_string();
    let quiet = programs.run_reading("hub-client", &["-C", "-q"], &job);
    assert_eq!(said(&quiet), "");
    let loud = programs.run_reading("hub-client", &["-C"], &job);
    assert_eq!(said(&loud).lines().last(), Some(&*format!("Successfully submitted job: {}", printed(&loud))));
    let all = parsed(&programs.run("hub-client", &["-S"]));
    let listed: Vec<&str> = all.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(listed, [printed(&loud), printed(&quiet)], "newest first");
    for arguments in [["-S"], ["-D"]] {
        let unknown = programs.run("hub-client", &[arguments[0], "00000000-0000-0000-0000-000000000000"]);
        assert_eq!((unknown.status.code(), printed(&unknown).as_str()), (Some(3), ""), "{unknown:?}");
        assert!(!said(&unknown).is_empty());
    }
    hub.stop();
}

#[test]
fn fault_12_clients_set_ids_and_results() {
    let (programs, hub) = Programs::in_memory(&[ECHO], &[]);
    let id = programs.submit(&json!({"name": "first", "tasks": [{"name": "echo", "args": [1]}]}).to_string());
    let record = programs.ended(&id);
    for (key, value) in [("id", json!(id)), ("status", json!("SUCCESS")), ("data", json!(2)), ("parent_id", json!(id))]
    {
        let mut of_job = json!({"name": "thief", "tasks": [{"name": "echo"}]});
        of_job[key] = value.clone();
        let mut of_task = json!({"name": "thief", "tasks": [{"name": "echo"}]});
        of_task["tasks"][0][key] = value;
        for job in [of_job, of_task] {
            let output = programs.run_reading("hub-client", &["-C"], &job.to_string());
            assert_eq!(output.status.code(), Some(2), "{job}");
            assert!(said(&output).contains(key), "{job}: {}", said(&output));
        }
    }
    let other = json!({"name": "thief", "tasks": [{"name": "echo"}]}).to_string();
    let output = programs.run_reading("hub-client", &["submit", "--id", &id], &other);
    assert_eq!(output.status.code(), Some(5), "an id that is taken is refused: {}", said(&output));
    assert_eq!(programs.record(&id), record);
    hub.stop();
}

#[test]
fn fault_13_references_beyond_dependencies_yield_null_and_nested_ones_nothing() {
    let (programs, hub) = Programs::in_memory(&[ECHO], &[]);
    let whole = json!({"big": 123_456_789_012_345_678_901_234_567_890_u128.to_string(), "list": [null, 1.5, "ä"]});
    let job = json!({"name": "j", "tasks": [
        {"name": "late", "task_name": "echo", "args": [{"deep": ["_early.data.list.2", {"all": "_early.data"}]}]},
        {"name": "early", "task_name": "echo", "args": [whole]},
        {"name": "literal", "task_name": "echo", "args": ["__early.data"]}],
        "output": {"late": "_late.data", "literal": "_literal.data"}});
    let record = ended(&programs, &job);
    let expected = json!({"late": {"deep": ["ä", {"all": whole}]}, "literal": "_early.data"});
    assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &expected), "{record:#}");
    hub.stop();
}
