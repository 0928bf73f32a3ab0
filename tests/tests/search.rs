//! Labels and filters with the programs: `docs/search.md`.

use hub_tests::Programs;
use serde_json::{Value, json};

const MODULES: [(&str, &str); 2] = [
    ("add.py", "def add(a, b):\n    return a + b\n"),
    ("slow.py", "def slow():\n    raise TimeoutError('too slow')\n"),
];

fn listed(programs: &Programs, filter: &[&str]) -> Vec<String> {
    let output = programs.run("hub-client", &[&["list", "-o", "json"], filter].concat());
    assert!(output.status.success(), "{filter:?}: {output:?}");
    let page: Value = serde_json::from_slice(&output.stdout).expect("a list is JSON");
    let names = page["jobs"].as_array().expect("a list has jobs").iter();
    names.map(|job| job["name"].as_str().expect("a job has a name").to_owned()).collect()
}

#[test]
fn jobs_are_found_by_their_labels_and_their_failures_after_a_restart_too() {
    let programs = Programs::alone();
    let store = programs.directory().join("jobs.db").to_string_lossy().into_owned();
    let (programs, hub) = programs.start_in_memory(&MODULES, &["--store", &store]);
    let part = json!({"name": "part", "labels": {"env": "test"}, "tasks": [{"name": "add", "args": [1, 2]}]});
    let jobs = [
        json!({"name": "etl sales", "labels": {"team": "data", "env": "prod"},
            "tasks": [{"name": "add", "args": [1, 2]}, {"name": "in it", "job": part}]}),
        json!({"name": "etl broken", "labels": {"team": "data"}, "tasks": [{"name": "load", "task_name": "slow"}]}),
        json!({"name": "größe \"1\"", "labels": {"größe": "a, b"}, "tasks": [{"name": "add", "args": [1, 2]}]}),
    ];
    let ids: Vec<String> = jobs
        .iter()
        .map(|job| {
            let id = programs.submit(&format!("{job:#}"));
            programs.ended(&id);
            id
        })
        .collect();
    let check = |programs: &Programs| {
        assert_eq!(listed(programs, &["label.team=data"]), ["etl broken", "etl sales"]);
        assert_eq!(listed(programs, &["label.team=data", "status:failed"]), ["etl broken"]);
        assert_eq!(listed(programs, &["error:TimeoutError task:load ended>-1h"]), ["etl broken"]);
        assert_eq!(listed(programs, &["error:TASK_FAILED", "--limit", "1"]), ["etl broken"]);
        assert_eq!(listed(programs, &["--", "-status:failed name:etl*"]), ["etl sales"]);
        assert_eq!(listed(programs, &["label.größe:\"a, b\""]), ["größe \"1\""]);
        assert_eq!(listed(programs, &[r#"name:"größe \"1\"""#]), ["größe \"1\""]);
        assert_eq!(listed(programs, &["--sub-jobs", "label.team:data label.env:test"]), ["part"], "it inherits");
        assert_eq!(listed(programs, &["--sub-jobs", "label.env:prod"]), ["etl sales"], "its own label counts");
        assert_eq!(listed(programs, &["submitted<-1h"]), [""; 0]);
    };
    check(&programs);
    assert_eq!(programs.record(&ids[0])["labels"], json!({"team": "data", "env": "prod"}));
    drop(hub);
    std::fs::remove_file(programs.directory().join("hub-dispatcher.log")).unwrap();
    let (programs, hub) = programs.start_in_memory(&MODULES, &["--store", &store]);
    check(&programs);

    // The dispatcher refuses what the client would, for other clients.
    let refused = programs.run("hub-client", &["list", "label.team=data status:faild"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("character 24") && said.contains("FAILED?"), "{said}");
    // A retry has the labels of its origin.
    let retried = programs.run("hub-client", &["retry", &ids[1], "--wait"]);
    assert!(!retried.status.success(), "it fails again");
    assert_eq!(listed(&programs, &["label.team=data status:failed"]), ["etl broken", "etl broken"]);
    hub.stop();
}
