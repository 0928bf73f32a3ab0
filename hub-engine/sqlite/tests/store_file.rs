//! Properties of the store in a file: it survives crashes, refuses other files, and reports when it is full.

mod support;

use std::sync::Arc;
use std::time::Duration;

use hub_core::state::TaskState;
use hub_core::{JobStatus, TaskStatus, Timestamp};
use hub_engine::operations::JobFilter;
use hub_engine::store::{Store, StoreError};
use hub_engine::testing::store::rows::{add, commit, ended, id, job, job_added, job_changed, task_changed, task_state};
use hub_sqlite::{SqliteError, SqliteSettings, SqliteStore};
use rusqlite::Connection;
use support::{crash, file, log, open, try_open};

async fn jobs(store: &dyn Store) -> usize {
    store.list(&JobFilter::default(), Timestamp::default()).await.unwrap().jobs.len()
}

#[tokio::test]
async fn after_a_crash_committed_batches_exist_and_no_partial_ones() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 1..=20 {
        add(&store, number, "j", 3).await;
    }
    // The crash truncates the log at any place. The rest is a prefix of complete commits.
    let whole = std::fs::read(log(directory.path())).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for cut in (0..=20).map(|part| whole.len() * part / 20) {
        let after = tempfile::tempdir().unwrap();
        crash(directory.path(), after.path());
        std::fs::write(log(after.path()), &whole[..cut]).unwrap();
        let opened = open(after.path());
        let unfinished = opened.load_unfinished().await.unwrap();
        let expected: Vec<_> = (1..=unfinished.len() as u128).map(id).collect();
        assert_eq!(unfinished.iter().map(|job| job.id).collect::<Vec<_>>(), expected);
        assert!(unfinished.iter().all(|job| job.tasks.len() == 3));
        seen.insert(unfinished.len());
    }
    assert!(seen.contains(&20) && seen.len() > 5, "the cuts made no difference: {seen:?}");
}

#[tokio::test]
async fn a_second_dispatcher_is_refused_and_the_first_continues() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let refused = try_open(directory.path()).unwrap_err();
    assert!(matches!(SqliteError::of(&refused), Some(SqliteError::InUse { .. })), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains("hub.db") && text.contains(&std::process::id().to_string()), "{text}");
    add(&store, 1, "one", 1).await;
    drop(store);
    assert_eq!(jobs(&open(directory.path())).await, 1);
}

#[tokio::test]
async fn a_store_behind_a_symbolic_link_is_the_same_store() {
    let (directory, links) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(open(directory.path()));
    std::os::unix::fs::symlink(file(directory.path()), file(links.path())).unwrap();
    let store = open(links.path());
    let refused = try_open(directory.path()).unwrap_err();
    assert!(matches!(SqliteError::of(&refused), Some(SqliteError::InUse { .. })), "{refused:?}");
    // A removed file is noticed, too.
    std::fs::rename(file(directory.path()), directory.path().join("aside.db")).unwrap();
    let missed = async {
        for number in 1.. {
            let added = job_added(number, job("j", 1, None));
            if let Err(error) = store.commit(Arc::new(vec![added])).await {
                return Some(error);
            }
        }
        None
    };
    let error = tokio::time::timeout(Duration::from_secs(60), missed).await.expect("it is not missed");
    assert!(matches!(error.as_ref().and_then(SqliteError::of), Some(SqliteError::Replaced(_))), "{error:?}");
}

#[test]
fn a_new_store_behind_symbolic_links_has_one_lock() {
    let (directory, links) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(file(directory.path()), links.path().join("other.db")).unwrap();
    std::os::unix::fs::symlink("other.db", file(links.path())).unwrap();
    let _store = open(links.path());
    for path in [links.path().join("other.db"), file(links.path()), file(directory.path())] {
        let refused = SqliteStore::open(SqliteSettings::new(path)).unwrap_err();
        assert!(matches!(SqliteError::of(&refused), Some(SqliteError::InUse { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_and_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    Connection::open(file(directory.path())).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = try_open(directory.path()).unwrap_err();
    assert!(matches!(SqliteError::of(&refused), Some(SqliteError::Newer { version: 99, .. })), "{refused:?}");
    assert!(refused.to_string().contains("version 99"), "{refused}");
    let version: i64 = Connection::open(file(directory.path()))
        .unwrap()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_store_of_an_older_version_is_migrated() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    add(&store, 1, "j", 2).await;
    let state = TaskState { details: None, ..task_state(TaskStatus::Running) };
    commit(&store, vec![task_changed(1, 1, state)]).await;
    let before = store.load_unfinished().await.unwrap();
    store.close().await;
    drop(store);
    // Version 2 had no details. In version 1 the column of the issue had another name.
    let shell = Connection::open(file(directory.path())).unwrap();
    shell
        .execute_batch(
            "DROP TABLE schedules; DROP TABLE definitions; DROP TABLE aliases; ALTER TABLE documents DROP COLUMN pins; DROP INDEX jobs_search; ALTER TABLE jobs DROP COLUMN definition; DROP INDEX jobs_by_name; DROP INDEX jobs_by_status; DROP TABLE labels; ALTER TABLE jobs DROP COLUMN failed_kind; ALTER TABLE jobs DROP COLUMN failed_type;
             CREATE INDEX jobs_by_name ON jobs (name, serial); CREATE INDEX jobs_by_status ON jobs (status, serial);
             DROP INDEX jobs_by_root; DROP INDEX jobs_roots; DROP INDEX jobs_finished; ALTER TABLE jobs DROP COLUMN root;
             CREATE INDEX jobs_finished ON jobs (serial) WHERE ended_at IS NOT NULL;
             DROP TABLE kept_results; DROP TABLE paused_pools; ALTER TABLE tasks DROP COLUMN details; ALTER TABLE jobs DROP COLUMN details;
             ALTER TABLE tasks RENAME COLUMN issue TO attempt; PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(shell);
    let opened = open(directory.path());
    let after = opened.load_unfinished().await.unwrap();
    assert!(after[0].tasks[1].issue.is_some());
    assert_eq!(after[0].tasks, before[0].tasks);
    let shell = Connection::open(file(directory.path())).unwrap();
    let listed: i64 = shell.query_row("SELECT count(issue) FROM task_list", [], |row| row.get(0)).unwrap();
    assert_eq!(listed, 1);
}

#[test]
fn files_that_are_not_stores_are_refused_and_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(file(directory.path()), "dear diary, ".repeat(1000)).unwrap();
    let refused = try_open(directory.path()).unwrap_err();
    assert!(matches!(SqliteError::of(&refused), Some(SqliteError::NotAStore(_))), "{refused:?}");
    assert!(std::fs::read_to_string(file(directory.path())).unwrap().starts_with("dear diary"));

    let other = directory.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE bees (name)").unwrap();
    let refused = SqliteStore::open(SqliteSettings::new(&other)).unwrap_err();
    assert!(matches!(SqliteError::of(&refused), Some(SqliteError::NotAStore(_))), "{refused:?}");

    let nowhere = SqliteStore::open(SqliteSettings::new(directory.path().join("no/hub.db"))).unwrap_err();
    assert!(matches!(nowhere, StoreError::Failed { .. }), "{nowhere:?}");
}

#[tokio::test]
async fn a_full_store_commits_atomically_and_accepts_changes_again_when_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    let settings = SqliteSettings { max_bytes: Some(600_000), ..SqliteSettings::new(file(directory.path())) };
    let store = SqliteStore::open(settings).unwrap();
    let batch = |number: u128| {
        let mut changes = vec![job_added(number, job("j", 500, None))];
        changes.extend((0..20).map(|index| task_changed(number, index, task_state(TaskStatus::Success))));
        changes.push(job_changed(number, ended(JobStatus::Success)));
        Arc::new(changes)
    };
    let mut kept = 0;
    let error = loop {
        match store.commit(batch(kept + 1)).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1000, "it is never full");
    };
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("full"), "{error:?}");
    assert!(kept > 3);
    assert!(store.get(id(kept + 1)).await.unwrap().is_none(), "a part of a failed batch was kept");
    assert_eq!(*store.get(id(kept)).await.unwrap().unwrap().tasks[19], task_state(TaskStatus::Success));
    assert_eq!(jobs(&store).await as u128, kept);
    // The same batch is committed when there is space.
    assert_eq!(store.prune(1, u32::MAX).await.unwrap() as u128, kept - 1);
    store.commit(batch(kept + 1)).await.unwrap();
    assert!(store.get(id(kept + 1)).await.unwrap().is_some());
}

#[tokio::test]
async fn users_of_the_shell_see_tasks_with_their_names_and_ids() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    add(&store, 1, "one", 40).await;
    // In the ids of the later tasks, the last four bytes have overflowed.
    commit(&store, [0, 14, 15, 39].map(|index| task_changed(1, index, task_state(TaskStatus::Success))).into()).await;
    let shell = Connection::open(file(directory.path())).unwrap();
    let mut statement = shell.prepare("SELECT name, id, status, ended FROM task_list WHERE job_id = ?1").unwrap();
    let rows = statement.query_map([id(1).to_string()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    let rows: Vec<(String, String, String, String)> = rows.unwrap().map(Result::unwrap).collect();
    let expected = [0, 14, 15, 39].map(|index: u32| {
        let (name, task) = (format!("t{index}"), id(1).task(index).to_string());
        (name, task, "SUCCESS".to_owned(), "1970-01-01 00:00:00".to_owned())
    });
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn reading_with_the_shell_does_not_block_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    add(&store, 1, "one", 1).await;
    let shell = Connection::open(file(directory.path())).unwrap();
    shell.execute_batch("BEGIN; SELECT * FROM jobs").unwrap();
    add(&store, 2, "two", 1).await;
    let seen: i64 = shell.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 1, "a transaction sees one moment");
    assert_eq!(jobs(&store).await, 2);
}

#[tokio::test]
async fn the_queries_of_the_document_work() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    add(&store, 1, "one", 1).await;
    commit(&store, vec![task_changed(1, 0, task_state(TaskStatus::Failed))]).await;
    let document = include_str!("../../../docs/store.md");
    let block = document.split("```sql\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap();
    let shell = Connection::open(file(directory.path())).unwrap();
    let queries: Vec<&str> = block.split(';').filter(|query| !query.trim().is_empty()).collect();
    assert!(queries.len() >= 3);
    for query in queries {
        let mut statement = shell.prepare(query).unwrap_or_else(|error| panic!("{error}: {query}"));
        statement.query_map([], |_| Ok(())).unwrap().for_each(Result::unwrap);
    }
}
