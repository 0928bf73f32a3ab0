//! Tests of the real programs on a real RabbitMQ, with both AMQP clients.

use std::path::Path;
use std::process::ExitCode;

use hub_core::Timestamp;
use hub_tests::{
    Broker, Programs, broker_tests, check_example, check_manual_record, eventually, example, root, run_examples,
};
use serde_json::{Value, json};

fn main() -> ExitCode {
    broker_tests([
        ("the_manual_step_by_step_with_lapin", |broker| manual(broker, "lapin")),
        ("the_manual_step_by_step_with_amqprs", |broker| manual(broker, "amqprs")),
        ("every_example_job_with_lapin", |broker| examples(broker, "lapin")),
        ("every_example_job_with_amqprs", |broker| examples(broker, "amqprs")),
        ("the_nightly_job_survives_killed_dispatchers_with_lapin", |broker| nightly(broker, "lapin")),
        ("the_nightly_job_survives_killed_dispatchers_with_amqprs", |broker| nightly(broker, "amqprs")),
        ("many_items_survive_killed_workers_with_lapin", |broker| items(broker, "lapin")),
        ("many_items_survive_killed_workers_with_amqprs", |broker| items(broker, "amqprs")),
        ("a_job_waits_for_its_dispatcher_and_its_worker", waiting),
        ("an_unknown_task_waits_and_says_so", unknown_task),
        ("cancelling_stops_the_task_on_its_worker", cancel),
        ("a_pause_moves_the_deadline_and_leaves_running_tasks_alone", pause),
        ("a_watch_shows_what_happens_with_lapin", |broker| watch(broker, "lapin")),
        ("a_watch_shows_what_happens_with_amqprs", |broker| watch(broker, "amqprs")),
        ("a_module_sets_retry_and_timeout_with_lapin", |broker| module_defaults(broker, "lapin")),
        ("a_module_sets_retry_and_timeout_with_amqprs", |broker| module_defaults(broker, "amqprs")),
        ("a_record_larger_than_a_message_comes_in_pieces_with_lapin", |broker| pieces(broker, "lapin")),
        ("a_record_larger_than_a_message_comes_in_pieces_with_amqprs", |broker| pieces(broker, "amqprs")),
        ("a_second_dispatcher_waits_for_the_first_with_lapin", |broker| second(broker, "lapin")),
        ("a_second_dispatcher_waits_for_the_first_with_amqprs", |broker| second(broker, "amqprs")),
        ("the_client_says_what_was_mistaken_with_lapin", |broker| mistaken(broker, "lapin")),
        ("the_client_says_what_was_mistaken_with_amqprs", |broker| mistaken(broker, "amqprs")),
    ])
}

/// The configuration files of the manual, in a separate directory.
fn write_configuration(programs: &Programs, broker: &Broker) {
    let tasks = programs.directory().join("tasks");
    std::fs::create_dir(&tasks).unwrap();
    for module in ["add.py", "multiply.py"] {
        std::fs::copy(root().join("etc/tasks").join(module), tasks.join(module)).unwrap();
    }
    for name in ["dispatcher", "worker"] {
        let shipped = std::fs::read_to_string(root().join("etc").join(format!("{name}.conf"))).unwrap();
        let own = shipped.replace("broker=localhost", &format!("broker={}", broker.address())).replace("../var", "var");
        std::fs::write(programs.directory().join(format!("{name}.conf")), own).unwrap();
    }
}

fn manual(broker: &Broker, client: &str) {
    let programs = Programs::new(&broker.address(), client, &format!("manual-{client}"));
    write_configuration(&programs, broker);
    let control = |program: &str, action: &str| {
        let output =
            programs.run(program, &["-c", &format!("{}.conf", program.trim_start_matches("ctrl-hub-")), action]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let _ended = EndDaemons(&programs);
    for (program, line) in [
        ("ctrl-hub-dispatcher", "INFO  Starting dispatcher, listening for jobs and results..."),
        ("ctrl-hub-worker", "INFO  Starting worker, waiting for tasks..."),
    ] {
        assert_eq!(control(program, "status").0, Some(3));
        let (code, said) = control(program, "start");
        assert_eq!(code, Some(0), "{said}");
        let log = programs.directory().join("var/log").join(format!("{}.log", program.trim_start_matches("ctrl-hub-")));
        eventually("the log says so", || {
            let log = std::fs::read_to_string(&log).unwrap();
            if log.contains(line) { Ok(()) } else { Err(log) }
        });
        assert_eq!(control(program, "status").0, Some(0));
        assert_eq!(control(program, "start").0, Some(0), "a second start says that it runs");
    }
    for action in ["start", "stop"] {
        let mistaken = programs.run("ctrl-hub-worker", &["-c", "dispatcher.conf", action]);
        let said = String::from_utf8_lossy(&mistaken.stderr);
        assert!(mistaken.status.code() == Some(2) && said.contains("use ctrl-hub-dispatcher"), "{action}: {said}");
    }
    assert_eq!(control("ctrl-hub-dispatcher", "status").0, Some(0), "the other program's daemon runs on");

    let output = programs.run_reading("hub-client", &["-b", &broker.address(), "-C"], &example("sum_product.json"));
    let id = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "Submitting job to broker {}...\nSubmitting new job to queue\nSuccessfully submitted job: {id}\n",
        broker.address()
    );
    assert_eq!(said, expected);

    check_manual_record(&programs.ended(&id));

    let missing = programs.run("hub-client", &["-S", "00000000-0000-0000-0000-000000000000"]);
    assert_eq!(missing.status.code(), Some(3));
    let all: Value = serde_json::from_slice(&programs.run("hub-client", &["-S", "-q"]).stdout).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_eq!(programs.run("hub-client", &["-D", &id]).status.code(), Some(0));
    assert_eq!(programs.run("hub-client", &["-D", &id]).status.code(), Some(3));

    for program in ["ctrl-hub-worker", "ctrl-hub-dispatcher"] {
        assert_eq!(control(program, "restart").0, Some(0));
        assert_eq!(control(program, "stop").0, Some(0));
        assert_eq!(control(program, "status").0, Some(3));
    }
}

/// Stops the daemons if a test fails.
struct EndDaemons<'a>(&'a Programs);

impl Drop for EndDaemons<'_> {
    fn drop(&mut self) {
        for name in ["dispatcher", "worker"] {
            if Path::exists(&self.0.directory().join(format!("var/run/{name}.pid"))) {
                self.0.run(&format!("ctrl-hub-{name}"), &["-c", &format!("{name}.conf"), "stop"]);
            }
        }
    }
}

fn examples(broker: &Broker, client: &str) {
    let programs = Programs::new(&broker.address(), client, &format!("examples-{client}"));
    let (dispatcher, worker) = programs.start_both();
    run_examples(&programs);
    worker.stop();
    dispatcher.stop();
}

/// The dispatcher is killed after each of the two failures of the first task, and started again.
fn nightly(broker: &Broker, client: &str) {
    let programs = Programs::new(&broker.address(), client, &format!("nightly-{client}"));
    let (mut dispatcher, worker) = programs.start_both();
    // There is time to kill the dispatcher between two attempts.
    let id = programs.submit(&example("etl.json").replace("100ms", "2s"));
    for failures in 1..=2 {
        eventually("an attempt has failed", || {
            let record = programs.record(&id);
            let failed = record["tasks"][0]["attempts"].as_array().map_or(0, Vec::len);
            if failed >= failures { Ok(()) } else { Err(record) }
        });
        drop(dispatcher);
        dispatcher = programs.start("hub-dispatcher", &[]);
        dispatcher.wait_for("listening for jobs and results");
    }
    check_example("etl.json", &programs.ended(&id));
    worker.stop();
    dispatcher.stop();
}

/// Takes the first free one of many files for a moment, so that the highest number in use is the number of items at the same time.
/// The system frees the files of a process that is killed.
const ITEM: &str = "\
import asyncio, fcntl, os
from hub.lib.api import task

@task
async def item(number):
    for place in range(1000):
        file = os.open(f'place-{place}', os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            os.close(file)
    try:
        await asyncio.sleep(0.02)
        if number % 50 == 7:
            raise ValueError('every fiftieth fails')
        return number
    finally:
        os.close(file)
";

/// Two workers could run more items than the task allows, and one of them is killed twice. Every fiftieth item fails.
/// `HUB_TEST_ITEMS` is the number of items.
fn items(broker: &Broker, client: &str) {
    const PARALLEL: usize = 50;
    let count = std::env::var("HUB_TEST_ITEMS").map_or(2000, |count| count.parse().unwrap());
    let programs = Programs::new(&broker.address(), client, &format!("items-{client}"));
    programs.write_modules(&[("item.py", ITEM)]);
    let dispatcher = programs.start("hub-dispatcher", &[]);
    dispatcher.wait_for("listening for jobs and results");
    let start = |name: &str| {
        let worker = programs.start_as(name, "hub-worker", &["--slots", "40", "--tasks-dir", "tasks"]);
        worker.wait_for("waiting for tasks");
        worker
    };
    let (stays, mut killed) = (start("stays"), start("killed-0"));
    let job = json!({"name": "items", "tasks": [{"name": "item", "args": ["_.item"],
        "for_each": {"in": count, "parallel": PARALLEL, "tolerated_failures": "5%"}}], "output": "_item.data"});
    let id = programs.submit(&job.to_string());
    for part in 1..=2 {
        eventually("a part of the items has ended", || {
            let record = programs.record(&id);
            let ended = record["tasks"][0]["items"]["success"].as_u64().unwrap_or_default();
            if ended >= count * part / 4 { Ok(()) } else { Err(record) }
        });
        drop(killed);
        killed = start(&format!("killed-{part}"));
    }
    let record = programs.ended(&id);
    assert_eq!(record["status"], "SUCCESS", "{}", record["msg"]);
    let expected: Vec<Value> = (0..count).map(|item| if item % 50 == 7 { Value::Null } else { json!(item) }).collect();
    assert!(record["output"] == json!(expected), "the results are in order, with null for each failure");
    assert_eq!(record["tasks"][0]["items"]["failed"], expected.iter().filter(|item| item.is_null()).count());
    let places = std::fs::read_dir(programs.directory()).unwrap().flatten();
    let places = places.filter(|entry| entry.file_name().to_string_lossy().starts_with("place-")).count();
    println!("{client}: {count} items, at most {places} at the same time");
    assert!((2..=PARALLEL).contains(&places), "{places} items at the same time");
    killed.stop();
    stays.stop();
    dispatcher.stop();
}

fn waiting(broker: &Broker) {
    let programs = Programs::new(&broker.address(), "lapin", "waiting");
    let id = eventually("the broker has the job", || {
        // On a busy machine, the time may not be sufficient to connect.
        let output = programs.run_reading("hub-client", &["submit", "--timeout", "2"], &example("sum_product.json"));
        assert_eq!(output.status.code(), Some(4), "no dispatcher answers");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.split("has the job as ").nth(1).and_then(|rest| rest.split(':').next()).map(str::to_owned).ok_or(said)
    });
    let dispatcher = programs.start("hub-dispatcher", &[]);
    dispatcher.wait_for("listening for jobs");
    eventually("the job is taken in", || {
        let output = programs.run("hub-client", &["-S", &id, "-q"]);
        if output.status.success() { Ok(()) } else { Err(output) }
    });
    assert_eq!(programs.record(&id)["tasks"][1]["waiting_reason"], "waits for add");
    let tasks = root().join("etc/tasks");
    let worker = programs.start("hub-worker", &["--tasks-dir", &tasks.to_string_lossy()]);
    assert_eq!(programs.ended(&id)["output"], json!([6]));
    worker.stop();
    dispatcher.stop();
}

fn unknown_task(broker: &Broker) {
    let programs = Programs::new(&broker.address(), "lapin", "unknown");
    let tasks = programs.directory().join("tasks");
    std::fs::create_dir(&tasks).unwrap();
    std::fs::write(tasks.join("known.py"), "def known():\n    return 1\n").unwrap();
    std::fs::write(tasks.join("broken.py"), "def broken(:\n").unwrap();
    let dispatcher = programs.start("hub-dispatcher", &[]);
    let worker = programs.start("hub-worker", &["--tasks-dir", "tasks"]);
    worker.wait_for("waiting for tasks");
    worker.wait_for("SyntaxError");
    let id = programs.submit(r#"{"name": "j", "tasks": [{"name": "knwon"}, {"name": "known"}]}"#);
    let reason = eventually("the task says why it waits", || {
        let record = programs.record(&id);
        match record["tasks"][0]["waiting_reason"].as_str() {
            Some(reason) if reason.contains("did you mean") => Ok(reason.to_owned()),
            _ => Err(record),
        }
    });
    assert!(reason.contains("\"knwon\"") && reason.contains("known"), "{reason}");
    std::fs::write(tasks.join("knwon.py"), "def knwon():\n    return 2\n").unwrap();
    let record = programs.ended(&id);
    assert_eq!((&record["status"], &record["tasks"][0]["data"]), (&json!("SUCCESS"), &json!(2)));
    let failed = programs.ended(&programs.submit(r#"{"name": "j", "tasks": [{"name": "broken"}]}"#));
    assert_eq!(failed["tasks"][0]["error"]["kind"], "BROKEN_MODULE", "{failed:#}");
    worker.stop();
    dispatcher.stop();
}

/// The pause is longer than what is left to the deadline, and the dispatcher is killed in it.
fn pause(broker: &Broker) {
    let programs = Programs::new(&broker.address(), "lapin", "pause");
    let hold = "import os, time\ndef hold():\n    open('began', 'a').write('x')\n    while not os.path.exists('go'):\n        \
                time.sleep(0.01)\n";
    programs.write_modules(&[("hold.py", hold), ("add.py", "def add(a, b):\n    return a + b\n")]);
    let store = ["--store", "jobs.db"];
    let dispatcher = programs.start("hub-dispatcher", &store);
    let worker = programs.start("hub-worker", &["--tasks-dir", "tasks", "--slots", "1"]);
    let job = json!({"name": "j", "deadline": "20s", "output": "_after.data", "tasks": [
        {"name": "hold"}, {"name": "after", "task_name": "add", "args": [1, 2], "depends": ["hold"]}]});
    let id = programs.submit(&job.to_string());
    let began = programs.directory().join("began");
    eventually("the task begins", || std::fs::read_to_string(&began));
    assert!(programs.run("hub-client", &["pause", &id]).status.success());
    let deadline = programs.record(&id)["deadline_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    drop(dispatcher);
    let dispatcher = programs.start("hub-dispatcher", &store);
    eventually("the deadline would have passed", || {
        let now = hub_engine::clock::wall();
        if now > deadline { Ok(()) } else { Err(deadline.since(now)) }
    });
    std::fs::write(programs.directory().join("go"), "").unwrap();
    eventually("the task has ended", || {
        let record = programs.record(&id);
        let task = &record["tasks"][0];
        let is_as_expected = (&task["status"], &record["status"]) == (&json!("SUCCESS"), &json!("PAUSED"));
        if is_as_expected { Ok(()) } else { Err(record) }
    });
    assert!(programs.run("hub-client", &["resume", &id]).status.success());
    let record = programs.ended(&id);
    assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!(3)), "{record:#}");
    assert_eq!(std::fs::read_to_string(&began).unwrap(), "x", "the task ran once");
    worker.stop();
    dispatcher.stop();
}

fn cancel(broker: &Broker) {
    let programs = Programs::new(&broker.address(), "lapin", "cancel");
    let tasks = programs.directory().join("tasks");
    std::fs::create_dir(&tasks).unwrap();
    let forever =
        "import os, time\ndef forever():\n    open('began', 'w').write(str(os.getpid()))\n    time.sleep(3600)\n";
    std::fs::write(tasks.join("forever.py"), forever).unwrap();
    let dispatcher = programs.start("hub-dispatcher", &[]);
    let worker = programs.start("hub-worker", &["--tasks-dir", "tasks", "--slots", "1"]);
    let id = programs.submit(r#"{"name": "j", "tasks": [{"name": "forever"}]}"#);
    let began = programs.directory().join("began");
    let pid = eventually("the task begins", || {
        let pid = std::fs::read_to_string(&began).unwrap_or_default();
        if pid.is_empty() { Err("it has not") } else { Ok(pid) }
    });
    assert!(programs.run("hub-client", &["-D", &id]).status.success());
    assert_eq!(programs.ended(&id)["status"], "CANCELLED");
    eventually(
        "the task's process is gone",
        || {
            if Path::new("/proc").join(&pid).exists() { Err(&pid) } else { Ok(()) }
        },
    );
    worker.stop();
    dispatcher.stop();
}

/// Two dispatchers of one Hub with separate stores would receive each other's results.
fn second(broker: &Broker, client: &str) {
    let programs = Programs::new(&broker.address(), client, &format!("second-{client}"));
    let job = r#"{"name": "j", "tasks": [{"name": "add", "args": [1, 2]}], "output": "_add.data"}"#;
    let (first, worker) = programs.start_both();
    let other = programs.start("hub-dispatcher", &["--store", "other.db"]);
    other.wait_for("another dispatcher serves this Hub");
    eventually("it tries several times", || {
        let tried = other.log().matches("still not connected to the broker").count();
        if tried >= 3 { Ok(()) } else { Err(tried) }
    });
    assert_eq!(other.log().matches("WARNING").count(), 1, "it says so once:\n{}", other.log());
    assert_eq!(programs.ended(&programs.submit(job))["output"], 3);
    first.stop();
    assert_eq!(programs.ended(&programs.submit(job))["output"], 3);
    worker.stop();
    other.stop();
}

/// Partial ids, ids of the wrong kind, missing modules and addresses of the wrong kind.
fn mistaken(broker: &Broker, client: &str) {
    let programs = Programs::new(&broker.address(), client, &format!("mistaken-{client}"));
    let (dispatcher, worker) = programs.start_both();
    let fails = |arguments: &[&str], code: i32, words: &str| {
        let output = programs.run("hub-client", arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(words), "{output:?}");
    };
    eventually("the worker is known", || {
        let workers = programs.run("hub-client", &["workers"]);
        if workers.stdout.starts_with(b"[{") { Ok(()) } else { Err(workers) }
    });
    let job = r#"{"name": "j", "tasks": [{"name": "ad", "args": [1, 2]}]}"#;
    let output = programs.run_reading("hub-client", &["submit"], job);
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean \"add\"?"), "{output:?}");
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    for short in [&id[24..], &id[..35], "last"] {
        let output = programs.run("hub-client", &["status", short]);
        assert!(String::from_utf8_lossy(&output.stdout).contains(&id), "{output:?}");
    }
    fails(&["status", "ffffffffffff"], 3, "no job has an id");
    fails(&["result", &id], 3, "is the id of a job");
    let task = programs.record(&id)["tasks"][0]["id"].as_str().unwrap().to_owned();
    fails(&["cancel", &task], 3, "is the id of a task");
    let port = broker.address();
    let place = port.rsplit(['/', '@']).find(|part| part.contains(':')).unwrap();
    fails(&["-b", &format!("http://{place}"), "list"], 4, "is an AMQP broker");
    assert!(programs.run("hub-client", &["cancel", "last"]).status.success());
    worker.stop();
    dispatcher.stop();
}

fn watch(broker: &Broker, client: &str) {
    let programs = Programs::new(&broker.address(), client, &format!("watch-{client}"));
    let (dispatcher, worker) = programs.start_both();
    let job = json!({"name": "watched", "tasks": [
        {"name": "gate", "wait": {"signal": "go"}},
        {"name": "parse", "depends": ["gate"], "for_each": 3, "shell": "echo bad >&2; exit 1"},
    ]});
    let id = programs.submit(&job.to_string());
    let log = programs.directory().join("watch.log");
    let mut watching = programs.command("hub-client");
    watching.args(["watch", &id, "--fields", "status"]).stdout(std::process::Stdio::piped());
    let watching = watching.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let shown = || std::fs::read_to_string(&log).unwrap();
    eventually("the gate is shown", || if shown().contains("WAITS  gate") { Ok(()) } else { Err(shown()) });
    assert!(programs.run("hub-client", &["signal", &id, "go"]).status.success());
    let output = watching.wait_with_output().unwrap();
    let record = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), record.trim()), (Some(1), r#"{"status": "FAILED"}"#), "{}", shown());
    for words in ["SUCCESS  gate  ", "FAILED  parse  ", "\nparse[2] FAILED (TASK_FAILED", "exited with code 1: bad"] {
        assert!(shown().contains(words), "no {words:?}: {}", shown());
    }
    worker.stop();
    dispatcher.stop();
}

/// A module sets how its tasks are tried again and how long they may take. Its worker starts after the job was handed out.
fn module_defaults(broker: &Broker, client: &str) {
    let programs = Programs::new(&broker.address(), client, &format!("defaults-{client}"));
    programs.write_modules(&[
        (
            "third.py",
            "from hub.lib.api import task\n\n@task(retry={'maximum_attempts': 3, 'initial_interval': '10ms'})\n\
             def third():\n    if third.state.attempt < 3:\n        raise OSError('not yet')\n    return third.state.attempt\n",
        ),
        (
            "endless.py",
            "import time\nfrom hub.lib.api import task\n\n@task(timeout={'start_to_close': 0.5, 'grace': 0.1})\n\
             def endless():\n    time.sleep(600)\n",
        ),
    ]);
    let dispatcher = programs.start("hub-dispatcher", &[]);
    dispatcher.wait_for("listening for jobs and results");
    let job = json!({"name": "j", "tasks": [{"name": "third"}, {"name": "endless", "recover": {"fallback": 0}},
        {"name": "once", "task_name": "third", "retry": 1, "recover": {"fallback": 1}}]});
    let id = programs.submit(&job.to_string());
    eventually("the tasks are handed out", || {
        let record = programs.record(&id);
        let is_out = record["tasks"].as_array().unwrap().iter().all(|task| task["status"] == "SUBMITTED");
        if is_out { Ok(()) } else { Err(record) }
    });
    let worker = programs.start("hub-worker", &["--tasks-dir", "tasks"]);
    let ended = programs.ended(&id);
    let task = |index: usize| &ended["tasks"][index];
    assert_eq!((&ended["status"], &task(0)["attempt"], &task(0)["data"]), (&json!("SUCCESS"), &json!(3), &json!(3)));
    assert_eq!(task(0)["defaults"]["retry"]["maximum_attempts"], 3, "{ended:#}");
    assert_eq!(
        (&task(1)["error"]["kind"], &task(1)["error"]["which"]),
        (&json!("TIMED_OUT"), &json!("start_to_close"))
    );
    assert_eq!((&task(2)["attempt"], &task(2)["status"]), (&json!(1), &json!("FAILED")));
    // The worker is known now.
    let again = programs.ended(&programs.submit(&job.to_string()));
    assert_eq!((&again["tasks"][0]["attempt"], &again["tasks"][1]["error"]["kind"]), (&json!(3), &json!("TIMED_OUT")));
    worker.stop();
    dispatcher.stop();
}

/// Three results of 7 MB make a record of 21 MB, which exceeds RabbitMQ's message limit of 16 MiB.
fn pieces(broker: &Broker, client: &str) {
    const BYTES: usize = 7_000_000;
    let programs = Programs::new(&broker.address(), client, &format!("pieces-{client}"));
    programs.write_modules(&[("big.py", "def big(n): return 'x' * n")]);
    let dispatcher = programs.start("hub-dispatcher", &[]);
    let worker = programs.start("hub-worker", &["--tasks-dir", "tasks"]);
    let tasks: Vec<Value> =
        ["a", "b", "c"].map(|name| json!({"name": name, "task_name": "big", "args": [BYTES]})).into();
    let job = json!({"name": "three times 7 MB", "tasks": tasks}).to_string();
    let read = |output: &std::process::Output| -> Value {
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("a record is JSON")
    };
    let check = |record: &Value| {
        let lengths: Vec<usize> =
            record["tasks"].as_array().unwrap().iter().map(|task| task["data"].as_str().unwrap().len()).collect();
        assert_eq!((&record["status"], lengths), (&json!("SUCCESS"), vec![BYTES; 3]));
    };
    let waited = read(&programs.run_reading("hub-client", &["submit", "--wait", "--wait-limit", "60", "-"], &job));
    check(&waited);
    let id = waited["id"].as_str().unwrap();
    check(&read(&programs.run("hub-client", &["status", id])));
    check(&read(&programs.run("hub-client", &["watch", id])));
    let without = read(&programs.run("hub-client", &["status", id, "--no-data"]));
    assert_eq!((&without["tasks"][2]["status"], without["tasks"][2].get("data")), (&json!("SUCCESS"), None));
    let chosen = read(&programs.run("hub-client", &["watch", id, "--fields", "name,tasks"]));
    let names = [json!({"name": "a"}), json!({"name": "b"}), json!({"name": "c"})];
    assert_eq!(chosen, json!({"name": "three times 7 MB", "tasks": names}));
    worker.stop();
    dispatcher.stop();
}
