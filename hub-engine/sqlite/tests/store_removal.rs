//! A removed job disappears immediately. Its tasks are deleted in steps, also after a restart, and never belong to
//! another job.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use hub_core::TaskStatus;
use hub_engine::store::Store;
use hub_engine::testing::store::rows::{add, commit, id, job_removed, task_changed, task_state};
use rusqlite::Connection;
use support::{file, open};

const DEADLINE: Duration = Duration::from_secs(60);
/// More tasks than one transaction deletes.
const TASKS: usize = 25_000;

/// Waits until the file has no remaining tasks and no row about them.
async fn all_deleted(directory: &Path) {
    let shell = Connection::open(file(directory)).unwrap();
    let count = |query: &str| shell.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    let begun = Instant::now();
    loop {
        let left =
            (count("SELECT count(*) FROM tasks"), count("SELECT count(*) FROM counters WHERE name <> 'incarnation'"));
        if left == (0, 0) {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{left:?} tasks and notes are left");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_large_job_disappears_immediately_and_its_tasks_belong_to_no_other_job() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    add(&store, 1, "large", TASKS).await;
    commit(&store, (0..TASKS as u32).map(|index| task_changed(1, index, task_state(TaskStatus::Success))).collect())
        .await;
    commit(&store, vec![job_removed(1)]).await;
    assert!(store.get(id(1)).await.unwrap().is_none());
    // The same id and a new one, after the newest job was removed.
    for number in 1..=2 {
        add(&store, number, "next", TASKS).await;
        let job = store.get(id(number)).await.unwrap().unwrap();
        assert!(job.tasks.iter().all(|task| task.status == TaskStatus::Pending), "job {number} has foreign tasks");
    }
    all_deleted(directory.path()).await;
}

#[tokio::test]
async fn remaining_tasks_of_a_removed_job_are_deleted_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let left = format!(
        "PRAGMA foreign_keys = OFF;
         INSERT INTO counters (name, value) VALUES ('removed job 7', 7);
         WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {TASKS})
         INSERT INTO tasks (job, position, status, confirmed, launched, deaths) SELECT 7, n, 'SUCCESS', 1, 0, 0 FROM n"
    );
    Connection::open(file(directory.path())).unwrap().execute_batch(&left).unwrap();
    let store = open(directory.path());
    add(&store, 1, "next", 10).await;
    assert_eq!(store.load_unfinished().await.unwrap()[0].tasks[3].status, TaskStatus::Pending);
    all_deleted(directory.path()).await;
    assert_eq!(store.begin_incarnation().await.unwrap(), 1);
}
