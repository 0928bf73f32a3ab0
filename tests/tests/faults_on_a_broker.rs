//! Single faults on a real RabbitMQ: the broker restarts, workers are killed, a thousand jobs are submitted at once, and other
//! programs publish malformed messages to Hub's queues. Nothing is lost, and every client is served.

use std::process::ExitCode;

use hub_tests::{Broker, ClientPool, Daemon, Programs, RawClient, broker_tests, eventually, example};
use hub_transport::Message;
use serde_json::{Value, json};

fn main() -> ExitCode {
    broker_tests([
        ("five_hundred_jobs_survive_restarts_of_the_broker_with_lapin", |broker| restarts(broker, "lapin")),
        ("five_hundred_jobs_survive_restarts_of_the_broker_with_amqprs", |broker| restarts(broker, "amqprs")),
        ("fault_2_one_bad_message_kills_the_dispatcher_with_lapin", |broker| malformed_messages(broker, "lapin")),
        ("fault_2_one_bad_message_kills_the_dispatcher_with_amqprs", |broker| malformed_messages(broker, "amqprs")),
        ("fault_4_a_task_is_lost_with_its_worker", killed_workers),
        ("fault_14_a_burst_of_submissions_kills_the_dispatcher", burst),
    ])
}

/// A task that takes some time, so that it is running when a fault occurs.
const MOMENT: (&str, &str) =
    ("moment.py", "import time\n\ndef moment(value):\n    time.sleep(0.02)\n    return value\n");

fn start(programs: &Programs, slots: &str) -> (Daemon, Daemon) {
    let dispatcher = programs.start("hub-dispatcher", &[]);
    dispatcher.wait_for("listening for jobs and results");
    (dispatcher, start_worker(programs, slots))
}

fn start_worker(programs: &Programs, slots: &str) -> Daemon {
    let worker = programs.start("hub-worker", &["--slots", slots, "--tasks-dir", "tasks"]);
    worker.wait_for("waiting for tasks");
    worker
}

fn restarts(broker: &Broker, client: &str) {
    const JOBS: u64 = 500;
    let programs = Programs::new(&broker.address(), client, &format!("restarts-{client}"));
    programs.write_modules(&[MOMENT]);
    let (mut dispatcher, mut worker) = start(&programs, "4");
    let job = |at: u64| {
        json!({"name": format!("job {at}"), "tasks": [
            {"name": "first", "task_name": "moment", "args": [at]},
            {"name": "second", "task_name": "moment", "args": ["_first.data"]}],
            "output": "_second.data"})
    };
    let clients = ClientPool::connect(broker, programs.prefix());
    let ids = clients.submit((0..JOBS).map(|at| job(at).to_string()));
    // Restart when some jobs have ended and most are running.
    for ended in [20, 200] {
        eventually("some jobs have ended", || {
            let live = clients.health().live_jobs;
            if live > 0 && live <= JOBS - ended { Ok(()) } else { Err(live) }
        });
        broker.restart();
        let live = clients.health().live_jobs;
        assert!(live > 0, "all jobs had ended before the broker was back: make them longer");
    }
    for (at, id) in ids.iter().enumerate() {
        let record = clients.ended(id);
        assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!(at)), "{record:#}");
    }
    assert!(dispatcher.is_alive() && worker.is_alive());
    broker.wait_until_queues_are_empty(programs.prefix());
    worker.stop();
    dispatcher.stop();
}

fn burst(broker: &Broker) {
    let programs = Programs::new(&broker.address(), "lapin", "burst");
    programs.write_modules(&[("echo.py", "def echo(value):\n    return value\n")]);
    let (mut dispatcher, worker) = start(&programs, "2");
    let clients = ClientPool::connect(broker, programs.prefix());
    let connections = || broker.control(&["list_connections", "name"]).lines().count();
    let before = connections();
    let job = |at: u32| json!({"name": "j", "tasks": [{"name": "echo", "args": [at]}], "output": "_echo.data"});
    let ids = clients.submit((0..1000).map(|at| job(at).to_string()));
    let during = connections();
    assert!(during <= before, "{during} connections, {before} before: there may be none for each result");
    for (at, id) in ids.iter().enumerate() {
        let record = clients.ended(id);
        assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!(at)), "{record:#}");
    }
    assert!(dispatcher.is_alive());
    broker.wait_until_queues_are_empty(programs.prefix());
    worker.stop();
    dispatcher.stop();
}

fn killed_workers(broker: &Broker) {
    let programs = Programs::new(&broker.address(), "lapin", "killed");
    let stubborn = "import os, time\n\ndef stubborn(path):\n    open('began', 'a').write('x')\n    \
                    while not os.path.exists(path):\n        time.sleep(0.01)\n    return 'done'\n";
    programs.write_modules(&[MOMENT, ("stubborn.py", stubborn)]);
    let (dispatcher, worker) = start(&programs, "1");
    let open = programs.directory().join("open");
    let mut tasks = vec![json!({"name": "stubborn", "args": [open]})];
    tasks.extend((0..20).map(|at| json!({"name": format!("m{at}"), "task_name": "moment", "args": [at]})));
    let id = programs.submit(&json!({"name": "j", "tasks": tasks}).to_string());
    let began = |times: usize| {
        eventually("the task begins", || {
            let marks = ["began", "tasks/began"].map(|path| std::fs::read(programs.directory().join(path)));
            let marks = marks.into_iter().flatten().map(|text| text.len()).sum::<usize>();
            if marks >= times { Ok(()) } else { Err(marks) }
        });
    };
    // Directly after its start: the broker still has the task and the others that the worker has prefetched.
    began(1);
    drop(worker);
    let worker = start_worker(&programs, "1");
    began(2);
    // Later, the worker holds the task by a lease and has returned the prefetched tasks.
    eventually("the worker reports the task", || {
        let record = programs.record(&id);
        if record["tasks"][0]["status"] == "RUNNING" { Ok(()) } else { Err(record) }
    });
    drop(worker);
    let worker = start_worker(&programs, "1");
    began(3);
    std::fs::write(open, "").unwrap();
    let record = programs.ended(&id);
    assert_eq!(record["status"], "SUCCESS", "{record:#}");
    assert_eq!(record["tasks"][0]["data"], "done");
    for (at, task) in record["tasks"].as_array().unwrap()[1..].iter().enumerate() {
        assert_eq!((&task["status"], &task["data"]), (&json!("SUCCESS"), &json!(at)), "{task:#}");
    }
    broker.wait_until_queues_are_empty(programs.prefix());
    worker.stop();
    dispatcher.stop();
}

fn malformed_messages(broker: &Broker, client: &str) {
    let programs = Programs::new(&broker.address(), client, &format!("malformed-{client}"));
    programs.write_modules(&[("echo.py", "def echo(value=None):\n    return value\n")]);
    let (mut dispatcher, mut worker) = start(&programs, "1");
    let prefix = programs.prefix().to_owned();
    let mut raw = RawClient::connect(broker);
    let serves = |batch: &str| {
        let record = programs.ended(&programs.submit(r#"{"name": "good", "tasks": [{"name": "echo"}]}"#));
        assert_eq!(record["status"], "SUCCESS", "after {batch}: {record:#}");
    };

    let mut refused = 0;
    for (key, good) in wanting_answers() {
        for body in variations(&good) {
            let answer = raw.ask(Message::new(&*prefix, key, body.clone()));
            let shown = String::from_utf8_lossy(&body);
            let error = &answer["error"];
            if error.is_null() {
                assert!(!answer["ok"].is_null(), "{key} {shown}: {answer}");
                continue;
            }
            assert!(error["kind"].is_string(), "{key} {shown}: {answer}");
            assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{key} {shown}: {answer}");
            refused += 1;
            // The same without a reply queue, and with a missing one.
            raw.send(Message::new(&*prefix, key, body.clone()));
            let mut message = Message::new(&*prefix, key, body);
            message.reply_to = Some("nobody".into());
            message.correlation_id = Some("\u{e4}".repeat(100).into());
            message.content_type = Some("image/png".into());
            raw.send(message);
        }
        serves(key);
    }
    assert!(refused >= 60, "only {refused} kinds were refused");

    for (exchange, key, good) in wanting_none() {
        for body in variations(&good) {
            raw.send(Message::new(format!("{prefix}{exchange}"), key, body));
        }
        serves(exchange);
    }
    for body in [&b"\xff\x00"[..], b"{}", b""] {
        raw.send(Message::new(&*prefix, "nowhere", body));
        raw.send(Message::new(format!("{prefix}.tasks"), "no-such-pool", body));
    }
    serves("unexpected messages");
    assert!(dispatcher.is_alive() && worker.is_alive());
    broker.wait_until_queues_are_empty(&prefix);
    worker.stop();
    dispatcher.stop();
}

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Requests with replies: the routing key, and a valid message without a reply queue.
fn wanting_answers() -> Vec<(&'static str, Value)> {
    let job: Value = serde_json::from_str(&example("sum_product.json")).unwrap();
    let posted = json!({"v": 1, "id": NOBODY, "status": "SUCCESS", "data": 1});
    vec![
        ("jobs", job),
        ("results", posted.clone()),
        ("requests", json!({"v": 1, "type": "job", "id": NOBODY, "wait_ms": 1})),
        ("requests", json!({"v": 1, "type": "jobs", "filter": {"status": ["FAILED"], "limit": 10}})),
        ("requests", json!({"v": 1, "type": "cancel", "id": NOBODY})),
        ("requests", json!({"v": 1, "type": "remove", "id": NOBODY})),
        ("requests", json!({"v": 1, "type": "result", "result": posted})),
        ("requests", json!({"v": 1, "type": "health"})),
    ]
}

/// Messages without replies: the exchange, the routing key, and a valid message.
fn wanting_none() -> Vec<(&'static str, &'static str, Value)> {
    let issue = json!({"v": 1, "id": NOBODY, "issue": 1, "incarnation": 1, "worker": "w"});
    let with = |more: Value| {
        let mut message = issue.clone();
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    let ended = json!({"type": "result", "status": "SUCCESS", "data": 1, "started_at": 0, "ended_at": 0});
    let also = json!({"id": NOBODY, "issue": 1, "incarnation": 1, "status": "SUCCESS", "started_at": 0, "ended_at": 0});
    let task =
        json!({"parent_id": NOBODY, "name": "echo", "task_name": "echo", "pool": "default", "args": [], "kwargs": {}});
    let heartbeat = json!({"v": 1, "worker": "w", "host": "h", "pid": 1, "pools": ["default"], "slots": 1, "running": 0,
        "held": [issue], "tasks": {"ghost": null}, "broken": {}, "leaving": true});
    vec![
        ("", "results", with(ended)),
        ("", "results", json!({"v": 1, "type": "results", "worker": "w", "results": [also]})),
        ("", "results", with(json!({"type": "returned", "reason": "busy"}))),
        ("", "results", json!({"v": 1, "type": "started", "worker": "w", "tasks": [issue]})),
        (".tasks", "default", with(task)),
        (".control", "", json!({"v": 1, "type": "stop", "tasks": [issue]})),
        (".events", "heartbeat.w", heartbeat),
    ]
}

/// Bodies that differ from a right one in one place each: a key gone, a value of every other kind, the text
/// cut short or followed by more, bytes that are no text.
fn variations(good: &Value) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let wrong = [json!(null), json!(-1), json!(1e300), json!("\u{0}"), json!([[]]), json!({"x": {}}), json!(true)];
    for key in good.as_object().unwrap().keys() {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(key);
        all.push(without.to_string().into_bytes());
        for value in &wrong {
            let mut other = good.clone();
            other[key] = value.clone();
            all.push(other.to_string().into_bytes());
        }
    }
    let text = good.to_string();
    all.extend([1, text.len() / 2, text.len() - 1].map(|end| text.as_bytes()[..end].to_vec()));
    all.push([text.as_bytes(), b"]"].concat());
    all.push(text.replacen(':', ": \u{feff}", 1).into_bytes());
    all.push(text.replace('"', "'").into_bytes());
    all.push(text.to_uppercase().into_bytes());
    all.push([&[0xff, 0xfe], text.as_bytes()].concat());
    all.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    // Random bytes, the same in each run.
    let noise = text.bytes().enumerate().map(|(at, byte)| byte.wrapping_mul(167).wrapping_add((at % 251) as u8));
    all.push(noise.collect());
    all.extend([&b""[..], b"[]", b"null", b"7", b"{}", b"\""].map(<[u8]>::to_vec));
    all
}
