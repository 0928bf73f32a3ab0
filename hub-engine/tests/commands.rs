//! Commands and shell texts as tasks: their arguments, their output, and how they fail.

mod tasks_support;

use hub_core::machine::OutOfBounds;
use hub_core::state::{ErrorKind, TaskError};
use hub_core::{Json, TaskKind, TaskKinds};
use hub_engine::runner::{
    ModuleRunner, NoOutcome, Outcome, RunControl, Runner, RunnerSettings, TaskReport, TaskRequest,
};
use serde_json::{Value, json};
use tasks_support::{DEADLINE, Tasks, eventually, is_running, request, success};

fn command_request(run: &Value) -> TaskRequest {
    TaskRequest { run: Some(Json::from_checked(run.to_string())), ..request("command", "[]") }
}

fn allowing(tasks: &Tasks) -> RunnerSettings {
    RunnerSettings { allow: TaskKinds::all(), ..tasks.settings() }
}

async fn run(runner: &ModuleRunner, run: Value) -> TaskReport {
    let report = runner.run(command_request(&run), RunControl::default());
    tokio::time::timeout(DEADLINE, report).await.unwrap_or_else(|_| panic!("{run} does not end"))
}

/// The value of a task that succeeds.
async fn value(runner: &ModuleRunner, what: Value) -> Value {
    match run(runner, what.clone()).await.outcome {
        Ok(Outcome::Success { data }) => data.to_value(),
        other => panic!("{what}: {other:?}"),
    }
}

/// The error and the message of a task that fails.
async fn failure(runner: &ModuleRunner, what: Value) -> (TaskError, String) {
    match run(runner, what.clone()).await.outcome {
        Ok(Outcome::Failed { msg, error: Some(error) }) => (TaskError::clone(&error), msg.to_string()),
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test]
async fn arguments_reach_the_program_unchanged() {
    let tasks = Tasks::new();
    let runner = tasks.runner_with(allowing(&tasks)).await;
    for argument in ["", "a b", "line\nbreak", "$(id); `id` | id > x && 'x' \"y\" \\", "-n", "ä\u{1f980}\t*", "\r"] {
        let shown = value(&runner, json!({"command": ["printf", "[%s]", argument]})).await;
        assert_eq!(shown, json!(format!("[{argument}]")));
    }
    let run = Json::from_checked(r#"{"command": ["printf", "%s %s", 1.50, 12345678901234567890123]}"#);
    let request = TaskRequest { run: Some(run), ..request("command", "[]") };
    let report = runner.run(request, RunControl::default()).await;
    assert_eq!(report.outcome, success(r#""1.50 12345678901234567890123""#));
}

#[tokio::test]
async fn values_reach_a_shell_text_as_variables() {
    let tasks = Tasks::new();
    let runner = tasks.runner_with(allowing(&tasks)).await;
    let hostile = "\"; touch hacked; echo $(touch hacked) `touch hacked` '";
    let shown = value(&runner, json!({"shell": "printf %s \"$VALUE\"", "env": {"VALUE": hostile, "N": 5}})).await;
    assert_eq!(shown, json!(hostile));
    assert!(!tasks.path("hacked").exists());
    let shown =
        value(&runner, json!({"shell": "printf '%s %s' \"$NAME\" \"_x.data\"", "env": {"NAME": "jürgen \u{1f980}"}}))
            .await;
    assert_eq!(shown, json!("jürgen \u{1f980} _x.data"));
    let of_hub = value(&runner, json!({"shell": "env | grep ^HUB_ | grep -v ^HUB_TASK_OF= || true"})).await;
    assert_eq!(of_hub, json!(""), "Hub's own variables are not passed on");
}

#[tokio::test]
async fn the_output_is_a_text_without_its_last_line_break_or_one_json_value() {
    let tasks = Tasks::new();
    let runner = tasks.runner_with(allowing(&tasks)).await;
    for (output, text) in [("a\\nb\\n", "a\nb"), ("a\\n\\n", "a"), (" a \\r\\n", " a "), ("", ""), ("\\na", "\na")] {
        assert_eq!(value(&runner, json!({"command": ["printf", output]})).await, json!(text), "{output}");
    }
    let as_json = |text: &str| json!({"command": ["printf", "%s", text], "output": "json"});
    let report = run(&runner, as_json("{\"a\": [1.50]}\n")).await;
    assert_eq!(report.outcome, success(r#"{"a": [1.50]}"#));
    assert_eq!(value(&runner, as_json(" \n")).await, json!(null));
    let (error, msg) = failure(&runner, as_json("{} {}")).await;
    assert!(error.kind == ErrorKind::BadResult && msg.contains("not one JSON value"), "{msg}");
    let (error, msg) = failure(&runner, json!({"command": ["printf", "caf\\351\\n"]})).await;
    assert!(error.kind == ErrorKind::BadResult && msg.contains("byte 3 (counted from 0)"), "{msg}");
    let report = run(&runner, json!({"shell": "echo told >&2; printf 'caf\\351' >&2; echo done"})).await;
    assert_eq!((report.outcome, report.log.as_deref()), (success("\"done\""), Some("told\ncaf\u{fffd}")));
}

#[tokio::test]
async fn large_output_is_cut_off_at_the_limit() {
    let tasks = Tasks::new();
    let runner = tasks.runner_with(RunnerSettings { result_limit_bytes: 100_000, ..allowing(&tasks) }).await;
    let (error, msg) = failure(&runner, json!({"command": ["yes"]})).await;
    assert!(error.kind == ErrorKind::ResultTooLarge && msg.contains("100000 bytes"), "{msg}");
    // Within the limit as bytes, and beyond it as JSON.
    let (error, _) = failure(&runner, json!({"shell": "head -c 90000 /dev/zero"})).await;
    assert_eq!(error.kind, ErrorKind::ResultTooLarge);
    let long = value(&runner, json!({"shell": "head -c 99000 /dev/zero | tr '\\0' x"})).await;
    assert_eq!(long.as_str().map(str::len), Some(99_000));
    assert_eq!(OutOfBounds::check(&Json::from_checked(long.to_string()), 100_000), Ok(()));
}

#[tokio::test]
async fn a_failure_says_how_the_program_ended_and_what_it_printed() {
    let tasks = Tasks::new();
    let runner = tasks.runner_with(allowing(&tasks)).await;
    let (error, msg) = failure(&runner, json!({"shell": "echo no such file >&2; exit 3"})).await;
    assert_eq!(msg, "exited with code 3: no such file");
    assert!(error.is_called("exited with code 3") && error.traceback.as_deref() == Some("no such file\n"), "{error:?}");
    let (error, msg) = failure(&runner, json!({"shell": "kill -KILL $$"})).await;
    assert!(error.kind == ErrorKind::TaskFailed && msg == "was ended by signal 9 (SIGKILL)", "{msg}");
    let (_, msg) = failure(&runner, json!({"shell": "echo it's"})).await;
    assert!(msg.starts_with("exited with code 2: "), "{msg}");
}

#[tokio::test]
async fn what_cannot_be_started_is_explained() {
    let tasks = Tasks::new();
    tasks.write("plain.txt", "text");
    tasks.write("script", "#!/no/such/interpreter\n");
    tasks.set_mode("script", 0o755);
    let runner = tasks.runner_with(allowing(&tasks)).await;
    for (what, said) in [
        (
            json!({"command": ["no-such-program-x"]}),
            "there is no program \"no-such-program-x\" in the PATH of this worker (",
        ),
        (json!({"command": ["true"], "env": {"PATH": "/nowhere"}}), "in the PATH of this worker (/nowhere)"),
        (json!({"command": ["/no/such/program"]}), "there is no program /no/such/program on this worker"),
        (json!({"command": ["./plain.txt"]}), "./plain.txt: "),
        (json!({"command": ["./script"]}), "names the interpreter /no/such/interpreter, which does not exist"),
        (json!({"command": ["true"], "cwd": "missing"}), "missing (cwd) does not exist on this worker"),
        (json!({"command": ["true"], "cwd": "plain.txt"}), "plain.txt (cwd) is not a directory"),
    ] {
        let (error, msg) = failure(&runner, what.clone()).await;
        assert!(error.kind == ErrorKind::TaskFailed && msg.contains(said), "{what}: {msg}");
    }
    let (error, msg) = failure(&runner, json!({"command": ["echo", "x".repeat(4 << 20)]})).await;
    assert!(error.kind == ErrorKind::ArgumentsTooLarge && msg.contains("write large values to a file"), "{msg}");
    for what in [json!({"command": ["echo", null]}), json!({"command": [[]]}), json!({"command": ["echo", "a\u{0}"]})] {
        assert_eq!(failure(&runner, what).await.0.kind, ErrorKind::BadArguments);
    }
}

#[tokio::test]
async fn a_command_runs_in_the_directory_of_tasks_or_where_it_says() {
    let tasks = Tasks::new();
    tasks.write("below/data.txt", "found");
    tasks.write_program("below/tool", "echo a tool");
    let runner = tasks.runner_with(allowing(&tasks)).await;
    assert_eq!(value(&runner, json!({"command": ["cat", "below/data.txt"]})).await, json!("found"));
    assert_eq!(value(&runner, json!({"command": ["./tool"], "cwd": "below"})).await, json!("a tool"));
    assert_eq!(value(&runner, json!({"command": ["pwd"], "cwd": "/"})).await, json!("/"));
}

#[tokio::test]
async fn the_standard_input_is_empty() {
    let tasks = Tasks::new();
    let runner = tasks.runner_with(allowing(&tasks)).await;
    assert_eq!(value(&runner, json!({"command": ["cat"]})).await, json!(""));
    let asks = value(&runner, json!({"shell": "read -r answer || echo nothing; exec cat"})).await;
    assert_eq!(asks, json!("nothing"));
}

#[tokio::test]
async fn remaining_processes_neither_delay_the_command_nor_outlive_it() {
    let tasks = Tasks::new();
    let runner = tasks.runner_with(allowing(&tasks)).await;
    let shown = value(&runner, json!({"shell": "sleep 1000 & echo $! > pid; echo done"})).await;
    assert_eq!(shown, json!("done"));
    let left = tasks.read("pid").await;
    eventually("what was left behind ends", || (!is_running(&left)).then_some(())).await;
}

#[tokio::test]
async fn a_stopped_command_ends_with_its_group() {
    let tasks = Tasks::new();
    let runner = tasks.runner_with(allowing(&tasks)).await;
    let stop = RunControl::default();
    let running = tokio::spawn({
        let (runner, stop) = (runner.clone(), stop.clone());
        let what = json!({"shell": "echo begun >&2; sleep 1000 & echo $! > child; echo $$ > own; wait"});
        async move { runner.run(command_request(&what), stop).await }
    });
    let pids = [tasks.read("own").await, tasks.read("child").await];
    stop.stop(None);
    let report = tokio::time::timeout(DEADLINE, running).await.unwrap().unwrap();
    assert_eq!((report.outcome, report.log.as_deref()), (Err(NoOutcome::Cancelled), Some("begun\n")));
    for pid in pids {
        eventually("its processes end", || (!is_running(&pid)).then_some(())).await;
    }
}

#[tokio::test]
async fn a_worker_runs_only_what_it_allows() {
    let tasks = Tasks::new();
    tasks.write_program("greet", "echo 1");
    let allow = |kinds: &[TaskKind]| RunnerSettings { allow: kinds.iter().copied().collect(), ..tasks.settings() };
    let by_default = tasks.runner().await;
    assert_eq!(run(&by_default, json!({"command": ["true"]})).await.outcome, Err(NoOutcome::Unknown));
    assert_eq!(tasks_support::run(&by_default, "greet", "[]").await.outcome, success("1"));
    let commands = tasks.runner_with(allow(&[TaskKind::Command])).await;
    assert_eq!(run(&commands, json!({"shell": "echo 1"})).await.outcome, success("\"1\""));
    assert_eq!(tasks_support::run(&commands, "greet", "[]").await.outcome, Err(NoOutcome::Unknown));
    assert!(
        commands.catalogue().borrow().tasks.is_empty()
            && commands.allows() == TaskKinds::none().with(TaskKind::Command)
    );
    assert_eq!(run(&commands, json!({"sql": "select 1"})).await.outcome, Err(NoOutcome::Unknown), "of a newer Hub");
}
