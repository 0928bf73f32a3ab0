//! Modules that cannot be imported or not in time, and their effect on other modules.

mod tasks_support;

use std::path::Path;
use std::time::Duration;

use hub_core::state::ErrorKind;
use hub_engine::runner::{NoOutcome, Outcome, Runner, RunnerSettings};
use tasks_support::{DEADLINE, Tasks, eventually, failure, run, success};

#[tokio::test]
async fn a_module_that_hangs_delays_only_itself() {
    let tasks = Tasks::new();
    tasks.write("a_hang.py", "import time\nwhile True:\n    time.sleep(1000)\n");
    tasks.write("b_leave.py", "import os\nos._exit(0)\n");
    tasks.write("c_fine.py", "def c_fine():\n    return 1\n");
    let runner = tasks.runner_with(RunnerSettings { import_limit: DEADLINE, ..tasks.settings() }).await;
    let known = runner.catalogue().borrow().clone();
    assert!(known.tasks.contains_key("c_fine") && known.broken.contains_key("b_leave"), "{known:?}");
    assert!(!known.tasks.contains_key("a_hang") && !known.broken.contains_key("a_hang"), "that is not known yet");
    assert_eq!(run(&runner, "c_fine", "[]").await.outcome, success("1"));
    // Its tasks do not occupy a slot until the import has ended.
    assert_eq!(run(&runner, "a_hang", "[]").await.outcome, Err(NoOutcome::Unknown));
    assert_eq!(failure(&runner, "b_leave").await, "the process that imported it exited with code 0");
    // Repaired while it is being imported.
    tasks.write("a_hang.py", "def a_hang():\n    return 2\n");
    assert_eq!(run(&runner, "a_hang", "[]").await.outcome, success("2"));
}

#[tokio::test]
async fn a_slow_module_stays_known_while_it_is_imported_again_because_another_file_has_changed() {
    let tasks = Tasks::new();
    let held = tasks.path("held").display().to_string();
    tasks.write(
        "slow.py",
        &format!("import os, time\nwhile os.path.exists({held:?}):\n    time.sleep(0.01)\ndef slow():\n    return 1\n"),
    );
    let runner = tasks.runner_with(RunnerSettings { import_limit: DEADLINE, ..tasks.settings() }).await;
    assert_eq!(run(&runner, "slow", "[]").await.outcome, success("1"));
    tasks.write("held", "");
    tasks.write("first.py", "def first():\n    return 2\n");
    assert_eq!(run(&runner, "first", "[]").await.outcome, success("2"));
    assert!(runner.catalogue().borrow().tasks.contains_key("slow"));
    assert_eq!(run(&runner, "slow", "[]").await.outcome, success("1"), "a process has it");
    // Again, before that import has ended.
    tasks.write("second.py", "def second():\n    return 3\n");
    assert_eq!(run(&runner, "second", "[]").await.outcome, success("3"));
    assert!(runner.catalogue().borrow().tasks.contains_key("slow"));
    // The result of its own change is unknown.
    tasks.write("slow.py", &format!("{}#", std::fs::read_to_string(tasks.path("slow.py")).unwrap()));
    tasks.write("third.py", "def third():\n    return 4\n");
    assert_eq!(run(&runner, "third", "[]").await.outcome, success("4"));
    assert!(!runner.catalogue().borrow().tasks.contains_key("slow"));
    std::fs::remove_file(held).unwrap();
    eventually("its import has ended", || runner.catalogue().borrow().tasks.contains_key("slow").then_some(())).await;
}

#[tokio::test]
async fn a_module_that_never_ends_fails_its_tasks_with_a_reason() {
    let tasks = Tasks::new();
    tasks.write("hang.py", "import time\nwhile True:\n    time.sleep(1000)\n");
    // The interpreter, too, has to start within it.
    let runner = tasks.runner_with(RunnerSettings { import_limit: Duration::from_secs(10), ..tasks.settings() }).await;
    let mut catalogue = runner.catalogue();
    let broken = catalogue.wait_for(|catalogue| catalogue.broken.contains_key("hang"));
    drop(tokio::time::timeout(DEADLINE, broken).await.expect("it is given up").unwrap());
    let report = run(&runner, "hang", "[]").await;
    let Ok(Outcome::Failed { msg, error: Some(error) }) = report.outcome else { panic!("{report:?}") };
    assert!(msg.contains("longer than 10 s"), "{msg}");
    assert_eq!(error.kind, ErrorKind::BrokenModule);
}

#[tokio::test]
async fn a_module_is_imported_again_when_its_helpers_change() {
    let tasks = Tasks::new();
    tasks.write("_settings.py", "VALUE = oops\n");
    tasks.write("later.py", "import _settings\nasync def later():\n    return _settings.VALUE\n");
    let runner = tasks.runner().await;
    assert!(failure(&runner, "later").await.contains("oops"));
    tasks.write("_settings.py", "VALUE = 7\n");
    assert_eq!(run(&runner, "later", "[]").await.outcome, success("7"), "it is known that it is a coroutine now");
}

/// Deployments replace files, and some of them preserve modification times.
#[tokio::test]
async fn helpers_in_packages_are_reloaded_after_any_change() {
    let tasks = Tasks::new();
    tasks.write("package/inner/deep.py", "VALUE = 1\n");
    tasks.write("_lazy.py", "VALUE = 1\n");
    tasks.write(
        "uses.py",
        "from package.inner import deep\ndef uses():\n    import _lazy\n    return [deep.VALUE, _lazy.VALUE]\n",
    );
    let runner = tasks.runner_with(RunnerSettings { slots: 1, ..tasks.settings() }).await;
    assert_eq!(run(&runner, "uses", "[]").await.outcome, success("[1,1]"));
    let steps = [("package/inner/deep.py", "[2,1]"), ("_lazy.py", "[2,2]")];
    for (name, expected) in steps {
        let before = std::fs::metadata(tasks.path(name)).unwrap().modified().unwrap();
        tasks.write("_new", "VALUE = 2\n");
        std::fs::File::options().write(true).open(tasks.path("_new")).unwrap().set_modified(before).unwrap();
        std::fs::rename(tasks.path("_new"), tasks.path(name)).unwrap();
        // A process that has just checked its files does not check them again immediately.
        let seen = async { while run(&runner, "uses", "[]").await.outcome != success(expected) {} };
        tokio::time::timeout(DEADLINE, seen).await.unwrap_or_else(|_| panic!("the change of {name} was not seen"));
    }
}

async fn msg_with(python: &Path) -> String {
    let tasks = Tasks::new();
    tasks.write("one.py", "def one():\n    return 1\n");
    tasks.write_program("two", "echo 2");
    let runner = tasks.runner_with(RunnerSettings { python: python.to_owned(), ..tasks.settings() }).await;
    let told = runner.catalogue().borrow().broken["one"].clone();
    assert_eq!(failure(&runner, "one").await, told);
    assert_eq!(run(&runner, "two", "[]").await.outcome, success("2"), "programs need no Python");
    told
}

#[tokio::test]
async fn an_unusable_python_is_reported_with_a_reason_and_a_remedy() {
    let tasks = Tasks::new();
    tasks.write_program("old", "printf '2 7'");
    tasks.write_program("broken", "echo 'libpython3.so: cannot open shared object file' >&2; exit 127");
    tasks.write_program("mute", "exit 0");
    tasks.write_program("odd", "case $2 in *version_info*) printf '3 11';; *) exit 3;; esac");
    tasks.write("plain", "");
    let cases = [
        (tasks.path("no-such"), "cannot be started: there is no such file"),
        ("no-such-python".into(), "cannot be started: there is no such program in PATH"),
        (tasks.path("."), "cannot be started: it is a directory"),
        (tasks.path("plain"), "cannot be started: it is not executable"),
        (tasks.path("old"), "it is Python 2.7, and Hub needs 3.8 or later"),
        (tasks.path("broken"), "it prints \"libpython3.so: cannot open shared object file\""),
        (tasks.path("mute"), "it does not behave like Python"),
        (tasks.path("odd"), "it is Python 3.11, but it exited with code 3"),
    ];
    for (python, words) in cases {
        let told = msg_with(&python).await;
        assert!(told.contains(words) && told.contains(&*python.display().to_string()), "{told}");
        assert!(told.ends_with("or name it with --python, or as python in the configuration file"), "{told}");
    }
}
