//! Files that are damaged, replaced or refuse a change, and the files after a normal stop.

mod support;

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hub_core::action::Change;
use hub_core::{JobId, JobStatus, TaskStatus};
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::Submission;
use hub_engine::store::{Store, StoreError};
use hub_engine::testing::store::rows::{
    add, commit, ended, id, job, job_added, job_changed, running, task_changed, task_state,
};
use hub_sqlite::SqliteError;
use hub_transport::memory::MemoryBroker;
use rusqlite::Connection;
use support::{file, open};

const DEADLINE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_change_that_violates_a_constraint_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    add(&store, 1, "one", 1).await;
    // The ids of its tasks would collide with those of the first job.
    let clash = JobId::new(uuid::Uuid::from_u128(id(1).uuid().as_u128() + 1));
    let submitted_at = running().submitted_at;
    let changes = vec![
        job_added(2, job("two", 1, None)),
        Change::JobAdded { id: clash, job: job("clash", 1, None), submitted_at },
    ];
    let refused = store.commit(Arc::new(changes)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { change: 1, .. }), "{refused:?}");
    assert!(store.get(id(2)).await.unwrap().is_none(), "a part of the batch was kept");
    add(&store, 2, "two", 1).await;
}

#[tokio::test]
async fn a_file_that_lacks_a_column_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    add(&store, 1, "one", 1).await;
    let drop_column = "DROP VIEW task_list; ALTER TABLE tasks DROP COLUMN log";
    Connection::open(file(directory.path())).unwrap().execute_batch(drop_column).unwrap();
    let read = store.get(id(1)).await.unwrap_err();
    assert!(matches!(SqliteError::of(&read), Some(SqliteError::Damaged { .. })), "{read:?}");
    let changes = vec![task_changed(1, 0, task_state(TaskStatus::Success))];
    let written = store.commit(Arc::new(changes)).await.unwrap_err();
    assert!(matches!(SqliteError::of(&written), Some(SqliteError::Damaged { .. })), "{written:?}");
}

/// Overwrites everything after the first page, in the file and its log.
fn damage(directory: &Path) {
    for name in ["hub.db", "hub.db-wal"] {
        let path = directory.join(name);
        let Ok(length) = std::fs::metadata(&path).map(|metadata| metadata.len()) else { continue };
        let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(4096.min(length))).unwrap();
        file.write_all(&vec![0xa5; usize::try_from(length.saturating_sub(4096)).unwrap()]).unwrap();
    }
}

#[tokio::test]
async fn a_dispatcher_with_a_damaged_store_stops_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 1..50 {
        add(&store, number, "j", 20).await;
        commit(&store, vec![job_changed(number, ended(JobStatus::Success))]).await;
    }
    store.close().await;
    drop(store);
    let broker = MemoryBroker::new();
    let store = Arc::new(open(directory.path()));
    let dispatcher = Dispatcher::start(broker.transport(), store, DispatcherSettings::new("hub")).await.unwrap();
    tokio::time::timeout(DEADLINE, dispatcher.ready()).await.expect("the dispatcher is not ready");
    damage(directory.path());
    let hub = dispatcher.hub();
    let submission = || Submission { text: job("j", 1, None).source().into(), id: Some(id(3)) };
    // It searches the job in the file and finds only damaged pages.
    let refused =
        tokio::time::timeout(DEADLINE, hub.submit(submission())).await.expect("the submission is not answered");
    assert!(refused.is_err(), "{refused:?}");
    let error = tokio::time::timeout(DEADLINE, dispatcher.broken()).await.expect("it goes on with a damaged store");
    let text = error.to_string();
    assert!(text.contains("hub.db") && text.contains("damaged") && text.contains("back-up"), "{text}");
    let refused =
        tokio::time::timeout(DEADLINE, hub.submit(submission())).await.expect("the submission is not answered");
    assert!(refused.is_err(), "{refused:?}");
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_moved_file_is_noticed_and_used_again_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    add(&store, 1, "one", 1).await;
    let (path, aside) = (file(directory.path()), directory.path().join("aside.db"));
    std::fs::rename(&path, &aside).unwrap();
    let mut number = 1;
    let missed = async {
        loop {
            number += 1;
            let added = vec![job_added(number, job("j", 1, None))];
            match store.commit(Arc::new(added)).await {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(DEADLINE, missed).await.expect("the missing file is not noticed");
    assert!(
        matches!(SqliteError::of(&error), Some(SqliteError::Replaced(missing)) if *missing == path)
            && !error.is_final(),
        "{error:?}"
    );
    // Another file in its place is refused and not changed.
    std::fs::write(&path, "").unwrap();
    let changed = vec![task_changed(1, 0, task_state(TaskStatus::Success))];
    let error = store.commit(Arc::new(changed.clone())).await.unwrap_err();
    assert!(error.to_string().contains("restart the dispatcher"), "{error}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    std::fs::rename(&aside, &path).unwrap();
    store.commit(Arc::new(changed)).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap().unwrap().tasks[0].status, TaskStatus::Success);
}

#[tokio::test]
async fn a_normal_stop_leaves_only_the_file_even_during_reads() {
    for _ in 0..60 {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(open(directory.path()));
        for number in 1..=3 {
            add(&*store, number, "j", 300).await;
        }
        let reading: Vec<_> = (0..8)
            .map(|at| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    // Until the store is closed.
                    while store.get(id(at % 3 + 1)).await.is_ok() {}
                })
            })
            .collect();
        tokio::task::yield_now().await;
        store.close().await;
        for name in ["hub.db-wal", "hub.db-shm"] {
            assert!(!directory.path().join(name).exists(), "{name} is left");
        }
        for reader in reading {
            tokio::time::timeout(DEADLINE, reader).await.expect("a reader never ends").unwrap();
        }
        assert!(matches!(store.commit(Arc::new(Vec::new())).await, Err(StoreError::Closed)));
        let count: i64 = Connection::open(file(directory.path()))
            .unwrap()
            .query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 3);
    }
}
