//! Tests of the worker and the client in `etc/foreign`, which share no code with Hub, on a real RabbitMQ.

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

use hub_tests::{Broker, Programs, broker_tests, eventually, root};
use serde_json::{Value, json};

fn main() -> ExitCode {
    broker_tests([
        ("a_foreign_worker_runs_tasks_with_lapin", |broker| worker(broker, "lapin")),
        ("a_foreign_worker_runs_tasks_with_amqprs", |broker| worker(broker, "amqprs")),
        ("a_foreign_worker_that_is_killed_loses_nothing", killed),
        ("a_foreign_client_submits_once_and_waits", client),
        ("a_conflicting_pool_queue_is_used_and_reported", adopted),
    ])
}

/// A Python interpreter with pika: the first one in PATH, or Debian's.
fn python() -> &'static str {
    let has_pika = |python: &&&str| {
        let asked = Command::new(python).args(["-c", "import pika"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"].iter().find(has_pika).expect("no Python has pika: install python3-pika")
}

fn foreign(program: &str) -> PathBuf {
    root().join("etc/foreign").join(program)
}

/// A foreign worker. It is killed on drop.
struct Foreign(Child);

impl Foreign {
    fn start(broker: &Broker, prefix: &str, pool: &str) -> Self {
        let mut command = Command::new(python());
        command.arg(foreign("worker.py")).arg(broker.address()).args(["--prefix", prefix, "--pool", pool]);
        Self(command.stdout(Stdio::null()).spawn().expect("Python starts"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Hub with a foreign worker in the pool `foreign` and Hub's worker in the pool `default`.
fn hub(broker: &Broker, client: &str, prefix: &str) -> (Programs, [hub_tests::Daemon; 2]) {
    let programs = Programs::new(&broker.address(), client, prefix);
    programs.write_modules(&[("add.py", "def add(a, b): return a + b\n")]);
    let dispatcher = programs.start("hub-dispatcher", &[]);
    dispatcher.wait_for("listening for jobs and results");
    let worker = programs.start("hub-worker", &["--tasks-dir", "tasks"]);
    worker.wait_for("waiting for tasks");
    (programs, [dispatcher, worker])
}

fn worker(broker: &Broker, client: &str) {
    let prefix = format!("foreign-{client}");
    let (programs, _daemons) = hub(broker, client, &prefix);
    let mut foreign = Foreign::start(broker, &prefix, "elsewhere");
    let job = json!({ "name": "mixed", "tasks": [
        { "name": "sum", "task_name": "add", "args": ["a\nb", "ü😀"] },
        { "name": "back", "task_name": "reverse", "pool": "elsewhere", "args": ["_sum.data"] },
        { "name": "long", "task_name": "nap", "pool": "elsewhere", "args": [2.5] },
        { "name": "bad", "task_name": "fail", "pool": "elsewhere", "args": ["on purpose"] } ] });
    let id = programs.submit(&job.to_string());
    eventually("a lease holds the long task", || {
        let record = programs.record(&id);
        if record["tasks"][2]["status"] == "RUNNING" { Ok(()) } else { Err(record) }
    });
    let record = programs.ended(&id);
    assert_eq!(record["tasks"][1]["data"], "😀üb\na");
    assert_eq!(record["tasks"][2]["data"], "slept for 2.5 s");
    assert_eq!(record["tasks"][3]["msg"], "on purpose");
    assert_eq!(record["tasks"][3]["error"]["type"], "ValueError");
    assert_eq!(record["status"], "FAILED");
    let unknown = json!({ "name": "unknown", "tasks": [{ "name": "t", "task_name": "absent", "pool": "elsewhere" }] });
    let id = programs.submit(&unknown.to_string());
    eventually("the task says that it waits", || {
        let record = programs.record(&id);
        let reason = record["tasks"][0]["waiting_reason"].as_str().unwrap_or_default();
        if reason.contains("reverse") { Ok(()) } else { Err(record) }
    });
    foreign.signal("TERM");
    assert!(foreign.0.wait().unwrap().success(), "it drains and leaves");
    eventually("the worker is known to have left", || {
        let output = programs.run("hub-client", &["workers", "-o", "json"]);
        let workers: Value = serde_json::from_slice(&output.stdout).unwrap();
        if workers.as_array().unwrap().len() == 1 { Ok(()) } else { Err(workers) }
    });
}

fn killed(broker: &Broker) {
    let (programs, _daemons) = hub(broker, "lapin", "foreign-killed");
    let foreign = Foreign::start(broker, "foreign-killed", "elsewhere");
    let task = |at: usize| json!({ "name": format!("t{at}"), "task_name": "nap", "pool": "elsewhere", "args": [0.2] });
    let job = json!({ "name": "short", "tasks": (0..10).map(task).collect::<Vec<_>>(), "output": "_t9.data" });
    let id = programs.submit(&job.to_string());
    eventually("some have ended", || {
        let record = programs.record(&id);
        let some = record["tasks"].as_array().unwrap().iter().any(|task| task["status"] == "SUCCESS");
        if some { Ok(()) } else { Err(record) }
    });
    foreign.signal("KILL");
    let _other = Foreign::start(broker, "foreign-killed", "elsewhere");
    assert_eq!(programs.ended(&id)["output"], "slept for 0.2 s");
}

fn client(broker: &Broker) {
    let (programs, _daemons) = hub(broker, "lapin", "foreign-client");
    let job = programs.directory().join("job.json");
    std::fs::write(&job, r#"{"name":"sum","tasks":[{"name":"add","args":[1,2]}],"output":["_add.data"]}"#).unwrap();
    let run = || {
        let mut command = Command::new(python());
        command.arg(foreign("client.py")).arg(broker.address()).arg(&job);
        command.args(["--prefix", "foreign-client", "--id", "01a20aef-b8a3-72fb-9946-05e04509e7b0"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let first = run();
    assert_eq!((&first["status"], &first["output"]), (&json!("SUCCESS"), &json!([3])));
    assert_eq!(run(), first, "the same id is the same job");
    let listed = programs.run("hub-client", &["-S"]);
    assert_eq!(serde_json::from_slice::<Value>(&listed.stdout).unwrap().as_array().unwrap().len(), 1);
}

fn adopted(broker: &Broker) {
    let declare = r#"
import pika, sys
channel = pika.BlockingConnection(pika.URLParameters("amqp://" + sys.argv[1] + "/%2f")).channel()
channel.queue_declare("foreign-adopted.tasks.default", durable=True, arguments={"x-max-length": 1000})
"#;
    let declared = Command::new(python()).args(["-c", declare, &broker.address()]).status().unwrap();
    assert!(declared.success());
    for client in ["lapin", "amqprs"] {
        let (programs, daemons) = hub(broker, client, "foreign-adopted");
        for daemon in &daemons {
            daemon.wait_for("foreign-adopted.tasks.default");
            daemon.wait_for("exists with other properties than Hub declares");
        }
        let job = json!({ "name": "sum", "tasks": [{ "name": "add", "args": [1, 2] }], "output": ["_add.data"] });
        assert_eq!(programs.ended(&programs.submit(&job.to_string()))["output"], json!([3]));
    }
}
