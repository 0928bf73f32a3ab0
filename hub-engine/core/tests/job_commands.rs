//! Tasks without a module: what is accepted, and what is refused with its code and place.

mod job_support;

use hub_core::TaskKind;
use hub_core::job::{Job, Limits, Need, Run, RunForm, Task};
use job_support::{code, refuse};

/// The content of the first task of a job with a second task `b`, and all problems: `code path`.
type Row = (&'static str, &'static [&'static str]);

const REFUSED: &[Row] = &[
    (r#""command": "convert a.png b.png""#, &["wrong_type $.tasks[0].command"]),
    (r#""command": {}"#, &["wrong_type $.tasks[0].command"]),
    (r#""command": []"#, &["out_of_range $.tasks[0].command"]),
    (r#""command": [""]"#, &["out_of_range $.tasks[0].command[0]"]),
    (r#""command": [7, "a"]"#, &["wrong_type $.tasks[0].command[0]"]),
    (
        r#""command": ["a", true, null, ["b"], {}]"#,
        &[
            "wrong_type $.tasks[0].command[1]",
            "wrong_type $.tasks[0].command[2]",
            "wrong_type $.tasks[0].command[3]",
            "wrong_type $.tasks[0].command[4]",
        ],
    ),
    (r#""command": ["a", "x\u0000y"]"#, &["out_of_range $.tasks[0].command[1]"]),
    (r#""command": ["a", "_b.dta"]"#, &["bad_reference $.tasks[0].command[1]"]),
    (r#""command": ["a", "_c.data"]"#, &["unknown_task $.tasks[0].command[1]"]),
    (r#""command": ["a", "_a.data"]"#, &["cycle $.tasks[0].command[1]"]),
    (r#""command": ["a"], "command": ["b"]"#, &["duplicate_key $.tasks[0].command"]),
    (r#""command": ["a"], "task_name": "m""#, &["conflicting_keys $.tasks[0].task_name"]),
    (
        r#""args": [1], "kwargs": {}, "command": ["a"]"#,
        &["conflicting_keys $.tasks[0].args", "conflicting_keys $.tasks[0].kwargs"],
    ),
    (r#""command": ["a"], "shell": "a""#, &["conflicting_keys $.tasks[0].shell"]),
    (r#""env": {}, "shell": "a", "cwd": "/", "command": ["a"]"#, &["conflicting_keys $.tasks[0].command"]),
    (
        r#""env": {}, "cwd": "/", "output": "json""#,
        &["conflicting_keys $.tasks[0].env", "conflicting_keys $.tasks[0].cwd", "conflicting_keys $.tasks[0].output"],
    ),
    (r#""shell": """#, &["out_of_range $.tasks[0].shell"]),
    (r#""shell": ["a"]"#, &["wrong_type $.tasks[0].shell"]),
    (r#""shell": "a\u0000""#, &["out_of_range $.tasks[0].shell"]),
    (r#""shell": "a", "env": []"#, &["wrong_type $.tasks[0].env"]),
    (r#""shell": "a", "env": {"A": 1, "A": 2}"#, &["duplicate_key $.tasks[0].env.A"]),
    (
        r#""shell": "a", "env": {"": 1, "A=B": 2, "HUB_X": 3, "C": true, "D": "\u0000"}"#,
        &[
            r#"bad_name $.tasks[0].env[""]"#,
            r#"bad_name $.tasks[0].env["A=B"]"#,
            "bad_name $.tasks[0].env.HUB_X",
            "wrong_type $.tasks[0].env.C",
            "out_of_range $.tasks[0].env.D",
        ],
    ),
    (r#""shell": "a", "env": {"A": "_c.data"}"#, &["unknown_task $.tasks[0].env.A"]),
    (r#""shell": "a", "cwd": """#, &["out_of_range $.tasks[0].cwd"]),
    (r#""shell": "a", "cwd": 1"#, &["wrong_type $.tasks[0].cwd"]),
    (r#""shell": "a", "output": "yaml""#, &["out_of_range $.tasks[0].output"]),
    (r#""shell": "a", "output": 1"#, &["wrong_type $.tasks[0].output"]),
    (r#""http": "http://a""#, &["wrong_type $.tasks[0].http"]),
    (r#""http": {}"#, &["missing_key $.tasks[0].http"]),
    (r#""http": {"url": "a"}"#, &["out_of_range $.tasks[0].http.url"]),
    (r#""http": {"url": "http://a b"}"#, &["out_of_range $.tasks[0].http.url"]),
    (r#""http": {"url": "file:///etc/passwd"}"#, &["out_of_range $.tasks[0].http.url"]),
    (r#""http": {"url": "_c.data"}"#, &["unknown_task $.tasks[0].http.url"]),
    (r#""http": {"url": "http://a", "method": "get"}"#, &["out_of_range $.tasks[0].http.method"]),
    (r#""http": {"url": "http://a", "method": "TRACE"}"#, &["out_of_range $.tasks[0].http.method"]),
    (r#""http": {"url": "http://a", "data": 1}"#, &["unknown_key $.tasks[0].http.data"]),
    (r#""http": {"url": "http://a", "body": {"x": "_b.dta"}}"#, &["bad_reference $.tasks[0].http.body.x"]),
    (
        r#""http": {"url": "http://a", "headers": {"a b": 1, "content-Length": 2, "c": true, "d": "e\r\nf: g"}}"#,
        &[
            r#"bad_name $.tasks[0].http.headers["a b"]"#,
            "bad_name $.tasks[0].http.headers.content-Length",
            "wrong_type $.tasks[0].http.headers.c",
            "out_of_range $.tasks[0].http.headers.d",
        ],
    ),
    (
        r#""env": {}, "http": {"url": "http://a"}, "shell": "a", "args": []"#,
        &["conflicting_keys $.tasks[0].env", "conflicting_keys $.tasks[0].shell", "conflicting_keys $.tasks[0].args"],
    ),
    (r#""command": ["a", "_.secret.X"]"#, &["bad_reference $.tasks[0].command[1]"]),
    (r#""http": {"url": "_.secret.X"}"#, &["bad_reference $.tasks[0].http.url"]),
    (
        r#""http": {"url": "http://a", "body": {"headers": {"A": "_.secret.X"}}}"#,
        &["bad_reference $.tasks[0].http.body.headers.A"],
    ),
    (r#""when": {"eq": ["_.secret.X", 1]}"#, &["bad_reference $.tasks[0].when.eq[0]"]),
    (r#""delay": "_.secret.X""#, &["bad_reference $.tasks[0].delay"]),
    (
        r#""args": ["_.secret", "_.secret.", "_.secret.a b", "_.secret.a.b", "_.secrets.a"]"#,
        &[
            "bad_reference $.tasks[0].args[0]",
            "bad_reference $.tasks[0].args[1]",
            "bad_reference $.tasks[0].args[2]",
            "bad_reference $.tasks[0].args[3]",
            "bad_reference $.tasks[0].args[4]",
        ],
    ),
    (r#""shell": "a", "trigger_rule": "always", "env": {"A": "_b.data"}"#, &["out_of_range $.tasks[0].trigger_rule"]),
];

fn job(task: &str) -> String {
    format!(r#"{{"name": "j", "tasks": [{{"name": "a", {task}}}, {{"name": "b"}}]}}"#)
}

#[test]
fn each_mistake_is_reported_at_its_place() {
    for (task, expected) in REFUSED {
        let found: Vec<String> =
            refuse(&job(task)).iter().map(|problem| format!("{} {}", code(problem), problem.path)).collect();
        assert_eq!(found, *expected, "{task}");
    }
}

#[test]
fn suggestions_explain_what_to_do() {
    for (task, hint) in [
        (r#""command": "a""#, "write the program and each argument as an element, or use \"shell\" for a text"),
        (r#""shell": "a", "args": [1]"#, "pass the values in \"env\", and write \"$NAME\" in the script"),
        (r#""command": ["a"], "args": [1]"#, "put the arguments into \"command\", or values into \"env\""),
        (r#""cwd": "/""#, "remove it, or add \"command\" or \"shell\""),
        (r#""command": ["a", null]"#, "write it in quotation marks"),
        (r#""http": {"url": "http://a", "method": "post"}"#, "write POST"),
        (r#""http": {"url": "http://a"}, "args": [1]"#, "put the values into \"headers\" or \"body\" of the request"),
        (r#""url": "http://a""#, "it belongs in \"http\""),
        (r#""comand": ["a"]"#, "did you mean \"command\"?"),
    ] {
        assert_eq!(refuse(&job(task))[0].suggestion.as_deref(), Some(hint), "{task}");
    }
}

#[test]
fn references_are_read_in_commands_and_variables_only() {
    let text = r#"{"name": "j", "tasks": [
        {"name": "any name / works", "command": ["convert", "_b.data", 1.50, "__x"], "env": {"A": "_c.data.x"},
         "cwd": "_b.data", "output": "json"},
        {"name": "b", "shell": "echo _c.data", "task_name": null, "args": null}, {"name": "c"}]}"#;
    let job = Job::parse(text, &Limits::default()).unwrap();
    let upstream: Vec<&[u32]> = job.tasks().iter().map(Task::upstream).collect();
    assert_eq!(upstream, [&[1, 2][..], &[], &[]]);
    let forms: Vec<Option<RunForm>> = job.tasks().iter().map(|task| task.run().map(Run::form)).collect();
    assert_eq!(forms, [Some(RunForm::Command), Some(RunForm::Shell), None]);
    let modules: Vec<&str> = job.tasks().iter().map(|task| &**task.module()).collect();
    assert_eq!(modules, ["command", "shell", "c"]);
    assert_eq!(job.tasks()[0].need(), Need::Kind(TaskKind::Command));
    assert_eq!(job.tasks()[2].need(), Need::Module("c".into()));
    let parts: Vec<_> = job.tasks()[0].run().unwrap().parts().map(|(key, part)| (key, part.is_literal())).collect();
    assert_eq!(parts, [("command", false), ("env", false), ("cwd", true), ("output", true)]);
}

#[test]
fn what_looks_like_a_reference_in_a_shell_text_is_named() {
    let warnings = |script: &str| {
        let text = serde_json::json!({"name": "j", "tasks": [{"name": "a", "shell": script}, {"name": "b"}]});
        Job::parse(&text.to_string(), &Limits::default()).unwrap().warnings()
    };
    for script in ["_.secret.X", "_b.data", "echo '_b.data.x' >&2", "rm -r /tmp/x/_b.id.", "x=_b.error"] {
        let found = warnings(script);
        assert!(found.len() == 1 && found[0].contains("pass the value in \"env\""), "{script}: {found:?}");
    }
    for script in ["echo $b", "_c.data", "a_b.data", "_b.dta", "__b.data", "_b"] {
        assert!(warnings(script).is_empty(), "{script}");
    }
    assert_eq!(warnings(&"_b.data ".repeat(100)).len(), 20);
}

#[test]
fn the_places_of_secrets_are_listed_and_their_text_stays() {
    let text = r#"{"name": "j", "output": "_a.data", "tasks": [
        {"name": "a", "args": [1, {"x/y": ["_.secret.A-1"]}, "__.secret.B"], "kwargs": {"k": "_.secret.C"}},
        {"name": "b", "shell": "_.secret.D", "env": {"E": "_.secret.E"}},
        {"name": "c", "http": {"url": "http://a", "headers": {"Authorization": "_.secret.F"}}}, {"name": "d"}]}"#;
    let job = Job::parse(text, &Limits::default()).unwrap();
    let places = |task: &Task| {
        let secrets = task.secrets().into_iter().flat_map(|secrets| secrets.iter());
        secrets.map(|secret| format!("{} {}", secret.at, secret.name)).collect::<Vec<_>>()
    };
    let found: Vec<Vec<String>> = job.tasks().iter().map(places).collect();
    assert_eq!(found[0], ["/args/1/x~1y/0 A-1", "/kwargs/k C"]);
    assert_eq!(
        found[1..],
        [vec!["/run/env/E E".to_owned()], vec!["/run/http/headers/Authorization F".to_owned()], vec![]]
    );
    assert!(job.tasks()[0].args().unwrap().is_literal());
    let refused = refuse(r#"{"name": "j", "output": {"a": "_.secret.X"}, "tasks": [{"name": "a"}]}"#);
    assert_eq!((code(&refused[0]).as_str(), refused[0].path.as_str()), ("bad_reference", "$.output.a"));
    assert_eq!(refused[0].suggestion.as_deref(), Some(r#"for the text itself write "__.secret.X""#));
}
