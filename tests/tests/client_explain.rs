//! `hub-client explain`, `document` and `priority` with the real programs.

use hub_tests::{Daemon, Programs, eventually, fails, said};
use serde_json::{Value, json};

const ECHO: &str = "def echo(value):\n    return value\n";
const ORDER: &str =
    "from hub.lib.api import task\n\n@task(asynchronous=True)\ndef order(what):\n    return 'ordered'\n";

/// A Hub whose dispatcher has received a heartbeat of its worker.
fn hub() -> (Programs, Daemon) {
    let (programs, hub) = Programs::in_memory(&[("order.py", ORDER), ("echo.py", ECHO)], &[]);
    eventually("the worker is known", || {
        let workers = programs.run("hub-client", &["workers"]);
        if workers.stdout.starts_with(b"[{") { Ok(()) } else { Err(workers) }
    });
    (programs, hub)
}

/// What the client prints to standard output.
fn printed(programs: &Programs, arguments: &[&str]) -> String {
    let output = programs.run("hub-client", arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_text_of_a_job_is_printed_byte_for_byte() {
    let (programs, hub) = hub();
    let text = "\n { \"name\": \"docümented\",\r\n\t\"tasks\":\n[ {\"name\": \"echo\", \"args\": [1.0e2]} ] }\n\n";
    let id = programs.submit(text);
    for flags in [&["document", &*id][..], &["document", "last", "-o", "table"], &["document", "last", "-o", "json"]] {
        assert_eq!(printed(&programs, flags), text);
    }
    programs.ended(&id);
    assert_eq!(printed(&programs, &["document", &id]), text);
    let again = programs.run_reading("hub-client", &["submit", "-", "-q", "--id", &id], text);
    assert!(again.status.success(), "the same job: {}", said(&again));
    let unknown = "00000000-0000-4000-8000-000000000000";
    fails(&programs.run("hub-client", &["document", unknown]), 3, &["no job has the id"]);
    hub.stop();
}

#[test]
fn the_priority_of_a_job_is_changed_while_it_lives() {
    let (programs, hub) = hub();
    let id = programs.submit(r#"{"name": "j", "tasks": [{"name": "order", "args": ["a"]}]}"#);
    let changed = programs.run("hub-client", &["priority", "last", "-7", "--reason", "not urgent", "--by", "kim"]);
    assert!(
        changed.status.success() && said(&changed).contains(&format!("the priority of job {id} is -7")),
        "{changed:?}"
    );
    let record = programs.record(&id);
    assert_eq!((&record["priority"], &record["priority_change"]["by"]), (&json!(-7), &json!("kim")), "{record:#}");
    let table = printed(&programs, &["status", "last", "-o", "table"]);
    assert!(table.contains("\npriority -7 since 20") && table.contains(" by kim: not urgent\n"), "{table}");
    let answer: Value = serde_json::from_str(&printed(&programs, &["priority", &id, "1000", "-o", "json"])).unwrap();
    assert_eq!(answer, json!({"id": id, "priority": 1000}));
    let rule = "a priority is a whole number from -1000 to 1000";
    for wrong in ["1001", "-1001", "1.5", "high"] {
        fails(&programs.run("hub-client", &["priority", "last", wrong]), 2, &[rule]);
    }
    assert!(programs.run("hub-client", &["cancel", "last", "--now", "--wait"]).status.success());
    fails(&programs.run("hub-client", &["priority", "last", "1"]), 5, &["its priority cannot be changed"]);
    hub.stop();
}

#[test]
fn a_job_is_explained_until_it_has_ended_and_afterwards() {
    let (programs, hub) = hub();
    let job = json!({"name": "explained", "tasks": [
        {"name": "order", "args": ["a"]}, {"name": "ship", "task_name": "echo", "args": ["_order.data"]},
        {"name": "lost", "task_name": "ecko", "pool": "default"}]});
    let id = programs.submit(&job.to_string());
    eventually("the task is launched", || {
        let text = printed(&programs, &["explain", "last", "order", "-o", "table"]);
        if text.contains("from outside") { Ok(()) } else { Err(text) }
    });
    let text = printed(&programs, &["explain", "last", "-o", "table"]);
    for words in [
        &format!("explained  {id}  RUNNING\n"),
        "tasks: 2 PENDING, 1 RUNNING",
        "order  RUNNING  since 20",
        &format!("\n  hub-client result {id}.order --data JSON\n"),
        "\n  waits for order\n  not ended: order RUNNING; ended: 0\n  gates: trigger rule holds, pool not reached, broker not reached",
        "did you mean \"echo\"?\n  gates: pool holds, broker not reached",
    ] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    let one: Value = serde_json::from_str(&printed(&programs, &["explain", &format!("{id}.ship")])).unwrap();
    assert_eq!((&one["tasks"][0]["names"][0], &one["tasks"][0]["gate"]), (&json!("ship"), &json!("trigger_rule")));
    fails(&programs.run("hub-client", &["explain", "last", "shop"]), 3, &["no task named \"shop\"", "\"ship\"?"]);
    fails(&programs.run("hub-client", &["explain", "last.ship", "ship"]), 2, &["given twice"]);
    let failed = programs.run("hub-client", &["result", &format!("{id}.order"), "--failed", "out of stock"]);
    assert!(failed.status.success(), "{}", said(&failed));
    assert!(programs.run("hub-client", &["cancel", "last", "--now", "--wait"]).status.success());
    let text = printed(&programs, &["explain", "last", "ship", "-o", "table"]);
    assert!(text.contains("did not run, because the task \"order\" failed: out of stock"), "{text}");
    hub.stop();
}
