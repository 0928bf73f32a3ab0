//! A removed job disappears immediately. Its tasks are deleted in steps, also after a restart, and never belong to
//! another job.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use hub_core::state::JobState;
use hub_core::{JobStatus, TaskStatus, Timestamp};
use hub_engine::operations::JobFilter;
use hub_engine::store::Store;
use hub_engine::testing::store::rows::{
    add, commit, ended, id, job_changed, job_removed, sub_job, task_changed, task_state,
};
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

#[tokio::test]
async fn the_sub_jobs_of_a_removed_job_are_deleted_and_not_those_of_its_successor() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    // More than one transaction deletes. The last one goes on.
    let parts = 10..=510;
    add(&store, 1, "root", 1).await;
    for number in parts.clone() {
        add(&store, number, "part", 1).await;
    }
    let over = JobState { ended_at: ended(JobStatus::Success).ended_at, ..sub_job(1) };
    let states = parts.clone().map(|number| if number == *parts.end() { sub_job(1) } else { over.clone() });
    commit(&store, parts.clone().zip(states).map(|(number, state)| job_changed(number, state)).collect()).await;
    let listed = async |sub_jobs| {
        let filter = JobFilter { limit: Some(1000), sub_jobs, ..JobFilter::default() };
        store.list(&filter, Timestamp::default()).await.unwrap().jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!((listed(false).await, listed(true).await.len()), (vec![id(1)], parts.clone().count() + 1));
    commit(&store, vec![job_removed(1)]).await;
    add(&store, 1, "root", 1).await;
    add(&store, 600, "part", 1).await;
    commit(&store, vec![job_changed(600, over)]).await;
    all_deleted(directory.path()).await;
    assert_eq!(listed(false).await, [1, *parts.end()].map(id), "what has not ended is a job like all others");
    assert_eq!(listed(true).await, [600, 1, *parts.end()].map(id));
}
