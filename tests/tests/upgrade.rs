//! Stores that programs of earlier versions have written: a dispatcher opens them, shows what they contain, and goes on with the
//! jobs that had not ended. `tests/stores/version-N.db` was made by the last programs whose store had the version N.

use hub_tests::{Programs, root};
use serde_json::{Value, json};

const MODULES: [(&str, &str); 4] = [
    ("add.py", "def add(a, b):\n    return a + b\n"),
    ("later.py", "def later(a):\n    return a\n"),
    ("ask.py", "from hub.lib.api import task\n\n@task(asynchronous=True)\ndef ask():\n    return 'asked'\n"),
    (
        "flaky.py",
        "from hub.lib.api import task\n\n@task\ndef flaky(failures):\n    if flaky.state.attempt <= failures:\n        \
         raise ConnectionError('no')\n    return flaky.state.attempt\n",
    ),
];

fn listed(programs: &Programs) -> Vec<Value> {
    let output = programs.run("hub-client", &["list", "-o", "json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    listed["jobs"].as_array().expect("a list has jobs").clone()
}

/// The job with this name.
fn find(programs: &Programs, name: &str) -> String {
    let jobs = listed(programs);
    let job = jobs.iter().find(|job| job["name"] == name).unwrap_or_else(|| panic!("no job {name} in {jobs:#?}"));
    job["id"].as_str().expect("an id is a text").to_owned()
}

#[test]
fn jobs_of_version_3_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("jobs.db");
    std::fs::copy(root().join("tests/stores/version-3.db"), &store).unwrap();
    let (programs, hub) = Programs::in_memory(&MODULES, &["--store", &store.to_string_lossy()]);
    let asked = find(&programs, "asked");
    let question = programs.record(&asked)["tasks"][0]["id"].as_str().unwrap().to_owned();
    let posted = programs.run("hub-client", &["result", &question, "--data", "41"]);
    assert!(posted.status.success(), "{posted:?}");
    for (name, status, output) in [
        ("succeeded", "SUCCESS", json!(2)),
        ("failed", "FAILED", Value::Null),
        ("cancelled", "CANCELLED", Value::Null),
        ("retried", "SUCCESS", json!(3)),
        // It was held for two seconds, which have passed.
        ("held", "FAILED", Value::Null),
        ("asked", "SUCCESS", json!(42)),
        ("delayed", "SUCCESS", json!(3)),
        ("unserved", "SUCCESS", json!(1)),
    ] {
        let record = programs.ended(&find(&programs, name));
        assert_eq!((&record["status"], &record["output"]), (&json!(status), &output), "{name}: {record:#}");
    }
    let retried = programs.record(&find(&programs, "retried"));
    let task = &retried["tasks"][0];
    assert_eq!((&task["attempt"], &task["attempts"][0]["number"]), (&json!(2), &json!(1)), "{task:#}");
    let failed = programs.record(&find(&programs, "failed"));
    assert_eq!((&failed["meta"]["größe"], &failed["key"]), (&json!(1), &json!("once")));
    assert_eq!(listed(&programs).len(), 8);
    hub.stop();
}
