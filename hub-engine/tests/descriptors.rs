//! A machine without descriptors for a further process. (In a separate test program, because the limit applies to the
//! process.)

mod tasks_support;

use hub_engine::runner::{NoOutcome, RunnerSettings};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tasks_support::{Tasks, run, success};

#[tokio::test]
async fn a_task_without_a_process_does_not_fail() {
    let tasks = Tasks::new();
    tasks.write_program("program", "echo 1");
    tasks.write("function.py", "def function():\n    return 2\n");
    tasks.write("coroutine.py", "async def coroutine():\n    return 3\n");
    // Every task of `function` needs a new process.
    let runner = tasks.runner_with(RunnerSettings { max_tasks_per_child: 1, ..tasks.settings() }).await;
    let all = [("program", "1"), ("function", "2"), ("coroutine", "3")];
    assert_eq!(run(&runner, "function", "[]").await.outcome, success("2"), "in the process that was prepared");
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Open descriptors stay open, and no further ones are available.
    setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
    let mut outcomes = Vec::new();
    for (module, _) in all {
        outcomes.push(run(&runner, module, "[]").await.outcome);
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    for outcome in outcomes {
        assert!(matches!(&outcome, Err(NoOutcome::Shortage { what }) if what.contains("descriptors")), "{outcome:?}");
    }
    for (module, value) in all {
        assert_eq!(run(&runner, module, "[]").await.outcome, success(value));
    }
}
