//! Definitions with the programs: `docs/definitions.md`.

use hub_tests::client_calls::{answered, parsed, refused, write};
use hub_tests::{Programs, root};
use serde_json::json;

const MODULES: [(&str, &str); 3] = [
    ("total.py", "def total(values):\n    return sum(values)\n"),
    ("multiply.py", "def multiply(a, b):\n    return a * b\n"),
    (
        "hold.py",
        "import os, time\n\ndef hold(path, data):\n    while not os.path.exists(path):\n        time.sleep(0.05)\n    return data\n",
    ),
];

fn examples() -> String {
    root().join("etc/definitions").to_string_lossy().into_owned()
}

#[test]
fn definitions_are_applied_started_and_changed_while_jobs_keep_their_version() {
    let programs = Programs::alone();
    let store = programs.directory().join("jobs.db").to_string_lossy().into_owned();
    let (programs, hub) = programs.start_in_memory(&MODULES, &["--store", &store]);
    let examples = examples();

    let (_, dry) = answered(&programs, &["definitions", "apply", &examples, "--dry-run"]);
    assert!(
        dry.contains("report would get a new version") && dry.contains("2 definitions: 2 new versions would be made"),
        "{dry}"
    );
    assert_eq!(answered(&programs, &["definitions", "list", "-o", "json"]).0.trim(), "[]");
    let (applied, first) = answered(&programs, &["definitions", "apply", &examples, "--alias", "prod", "-o", "json"]);
    let names: Vec<_> = parsed(&applied).as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["sum", "report"], "each comes after those that it runs");
    assert!(first.contains("report has version 1, which is new; report@prod is now version 1"), "{first}");
    let (_, again) = answered(&programs, &["definitions", "apply", &examples, "--alias", "prod"]);
    assert!(
        again.contains("2 definitions: 0 new versions")
            && !again.contains("moved")
            && again.contains("has not changed since version 1"),
        "{again}"
    );

    let start =
        ["definitions", "start", "report", "--input", "numbers=[4, 5]", "--label", "run=x", "--wait", "-o", "json"];
    let record = parsed(&answered(&programs, &start).0);
    assert_eq!(record["output"], json!({"day": "2026-11-28", "result": 18}));
    assert_eq!((&record["definition"], &record["labels"]), (&json!("report@1"), &json!({"run": "x", "team": "demo"})));
    assert_eq!(record["inputs"], json!({"numbers": [4, 5], "day": "2026-11-28", "factor": 2}));
    assert_eq!(record["tasks"][0]["job"], json!("sum@1"));
    let child = programs.record(record["tasks"][0]["child"].as_str().unwrap());
    assert_eq!((&child["definition"], &child["output"]), (&json!("sum@1"), &json!(9)));

    let violations = refused(&programs, &["definitions", "start", "report", "--input", "day=1", "--input", "x=2"], 2);
    assert!(violations.contains("$.inputs.day") && violations.contains("$.inputs: Additional"), "{violations}");
    assert!(refused(&programs, &["definitions", "start", "repor"], 2).contains("did you mean \"report\"?"));
    assert!(
        refused(&programs, &["definitions", "show", "report@9"], 3)
            .contains("no definition \"report@9\" (its newest version is report@1)")
    );

    // A job that has begun keeps its version, also of the definitions that it runs, through a restart.
    let go = programs.directory().join("go").to_string_lossy().into_owned();
    let held = json!({"name": "held", "tasks": [{"name": "hold", "args": [go, 7]},
        {"name": "later", "depends": ["hold"], "job": "inner@prod"}], "output": "_later.data"});
    let inner = |result: i32| {
        json!({"name": "inner", "tasks": [{"name": "total", "args": [[result]]}], "output": "_total.data"}).to_string()
    };
    let files = write(&programs, "jobs/inner.json", &inner(1));
    answered(&programs, &["definitions", "apply", &files, "--alias", "prod"]);
    let outer = write(&programs, "jobs/held.json", &held.to_string());
    answered(&programs, &["definitions", "apply", &outer]);
    let (id, _) = answered(&programs, &["definitions", "start", "held", "--key", "k"]);
    write(&programs, "jobs/inner.json", &inner(2));
    write(&programs, "jobs/held.json", &held.to_string().replace("_later.data", "_later.status"));
    let (_, changed) = answered(
        &programs,
        &["definitions", "apply", &format!("{}/jobs", programs.directory().display()), "--alias", "prod"],
    );
    assert!(
        changed.contains("2 definitions: 2 new versions, 2 aliases moved")
            && changed.contains("inner@prod is now version 2 instead of 1"),
        "{changed}"
    );
    drop(hub);
    std::fs::remove_file(programs.directory().join("hub-dispatcher.log")).unwrap();
    let (programs, hub) = programs.start_in_memory(&MODULES, &["--store", &store]);
    // The same start returns the same job, although the newest version is another one.
    assert_eq!(answered(&programs, &["definitions", "start", "held", "--key", "k"]).0, id);
    std::fs::write(&go, "").unwrap();
    let ended = programs.ended(id.trim());
    assert_eq!((&ended["output"], &ended["definition"]), (&json!(1), &json!("held@1")), "{ended:#}");
    let retried = answered(&programs, &["retry", id.trim(), "--from", "start", "--wait", "-o", "json"]);
    assert_eq!(parsed(&retried.0)["output"], json!(1), "a retry has the same versions");
    let newest = parsed(&answered(&programs, &["definitions", "start", "held", "--wait", "-o", "json"]).0);
    assert_eq!((&newest["output"], &newest["definition"]), (&json!("SUCCESS"), &json!("held@2")));

    let listed = |filter: &str| {
        let page = parsed(&answered(&programs, &["list", filter, "-o", "json"]).0);
        page["jobs"].as_array().unwrap().len()
    };
    assert_eq!((listed("definition:held"), listed("definition:held@1"), listed("definition:report")), (3, 2, 1));
    let (diff, _) = answered(&programs, &["definitions", "diff", "inner@1", "inner@prod"]);
    assert!(
        diff.contains("--- inner@1")
            && diff.contains("+++ inner@2")
            && diff.lines().any(|line| line.trim_start_matches('-').trim() == "1"),
        "{diff}"
    );
    answered(&programs, &["definitions", "alias", "inner", "prod", "1"]);
    let shown = parsed(&answered(&programs, &["definitions", "show", "inner@prod", "-o", "json"]).0);
    assert_eq!((&shown["version"], &shown["versions"][1]["aliases"]), (&json!(1), &json!(["prod"])));
    answered(&programs, &["definitions", "alias", "inner", "prod", "--remove"]);
    assert!(refused(&programs, &["definitions", "show", "inner@prod"], 3).contains("inner@prod"));
    hub.stop();
}

#[test]
fn files_with_problems_change_nothing_and_are_shown_with_their_lines() {
    let programs = Programs::alone();
    let (programs, hub) = programs.start_in_memory(&MODULES, &[]);
    let directory = programs.directory().join("jobs").to_string_lossy().into_owned();
    write(&programs, "jobs/a.yaml", "name: a\ntasks:\n  - name: total\n    args: [[1]]\n");
    write(&programs, "jobs/.hidden.yaml", "not a job");
    write(&programs, "jobs/notes.txt", "not a job");
    let apply = ["definitions", "apply", directory.as_str()];
    for (name, text, words) in [
        ("b.yaml", "name: b\ntasks:\n  - name: total\n    argz: [[1]]\n", vec!["b.yaml:4:5", "did you mean \"args\"?"]),
        ("b.yaml", "name: b\ntasks: [\n", vec!["b.yaml:3:1", "not YAML"]),
        ("b.yml", "name: two words\ntasks: [{name: total}]\n", vec!["cannot be the name of a definition", "--name"]),
        ("b.json", "{\"name\": \"a\", \"tasks\": [{\"name\": \"total\"}]}", vec!["have the same name: a"]),
        (
            "sub/b.json",
            "{\"name\": \"b\", \"key\": \"k\", \"tasks\": [{\"name\": \"t\"}]}",
            vec!["b.json:1:22", "has no \"key\""],
        ),
        ("b.json", "{\"definition\": \"a\"}", vec!["the job has no \"name\""]),
    ] {
        let path = write(&programs, &format!("jobs/{name}"), text);
        let said = refused(&programs, &apply, 2);
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(answered(&programs, &["definitions", "list", "-o", "json"]).0.trim(), "[]", "nothing was applied");
    // What only the dispatcher knows is found before anything is applied, too.
    for (text, words) in [
        ("name: b\ntasks:\n  - name: t\n    job: nowhere@7\n", vec!["b.yaml:4:10", "no definition \"nowhere@7\""]),
        (
            "name: b\ninput_schema:\n  properties:\n    n: { type: intger }\ntasks: [{name: t}]\n",
            vec!["b.yaml:4:16", "$.input_schema.properties.n.type"],
        ),
        ("name: b\ntasks:\n  - { name: t, job: c }\n", vec!["runs itself"]),
    ] {
        let path = write(&programs, "jobs/b.yaml", text);
        if words == ["runs itself"] {
            write(&programs, "jobs/b.yaml", "name: b\ntasks: [{name: total, args: [[1]]}]\n");
            write(&programs, "jobs/c.yaml", "name: c\ntasks: [{name: t, job: b}]\n");
            answered(&programs, &apply);
            write(&programs, "jobs/b.yaml", text);
        }
        let said = refused(&programs, &apply, 2);
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
        std::fs::remove_file(path).unwrap();
        if words != ["runs itself"] {
            assert_eq!(
                parsed(&self::answered(&programs, &["definitions", "list", "-o", "json"]).0),
                json!([]),
                "{text}"
            );
        }
    }
    assert!(refused(&programs, &["definitions", "apply", "/nowhere"], 2).contains("/nowhere"));
    hub.stop();
}

#[test]
fn a_start_is_run_without_a_hub_and_other_commands_read_yaml() {
    let programs = Programs::alone();
    programs.write_modules(&MODULES);
    let tasks = programs.directory().join("tasks").to_string_lossy().into_owned();
    let examples = examples();
    let start = write(&programs, "start.yaml", "definition: report@1\ninputs: { numbers: [1], factor: 10 }\n");
    let run = ["run", &start, "--definitions", &examples, "--tasks-dir", &tasks, "-o", "json"];
    let record = parsed(&answered(&programs, &run).0);
    assert_eq!((&record["output"]["result"], &record["definition"]), (&json!(10), &json!("report@1")));
    let (_, valid) = answered(&programs, &["validate", &start]);
    assert!(valid.contains("valid"), "{valid}");
    let bad = write(&programs, "bad.yml", "name: j\ntasks:\n- name: t\n  retry: {maximum_attempts: 0}\n");
    assert!(refused(&programs, &["validate", &bad], 2).contains("bad.yml:4:29"));
}
