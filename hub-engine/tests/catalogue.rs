//! Reading a directory of tasks.

use std::time::Duration;

use hub_engine::runner::{ModuleRunner, Runner, RunnerSettings};

/// Timeout of all waits, which is reached only if something hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// An exit handler that waits for a file and then writes another one.
const TIDY: &str = "import atexit, os, time
from hub.lib.api import task

HERE = os.path.dirname(os.path.abspath(__file__))

@atexit.register
def tidy():
    while not os.path.exists(os.path.join(HERE, 'go')):
        time.sleep(0.001)
    open(os.path.join(HERE, 'tidied'), 'w').close()

@task
def tidy_one():
    return 1
";

#[tokio::test]
async fn the_catalogue_does_not_wait_for_exit_handlers() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tidy_one.py"), TIDY).unwrap();
    let runner = ModuleRunner::start(RunnerSettings::new(directory.path())).await.unwrap();
    assert!(runner.catalogue().borrow().tasks.contains_key("tidy_one"));
    std::fs::write(directory.path().join("go"), "").unwrap();
    let tidied = async {
        while !directory.path().join("tidied").exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, tidied).await.expect("the module was not let tidy up");
    runner.shutdown(DEADLINE).await;
}
