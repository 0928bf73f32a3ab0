//! A damaged WAL file: the readable part is read, the file is copied, and the damage is logged.

mod support;

use std::sync::Arc;

use hub_core::state::TaskState;
use hub_core::{JobStatus, TaskStatus};
use hub_engine::store::Store;
use hub_engine::testing::store::rows::{add, commit, ended, id, job, job_added, job_changed, task_changed, task_state};
use hub_sqlite::SqliteError;
use rusqlite::{Connection, OpenFlags};
use support::{crash, file, log, open, try_open};

const JOBS: u128 = 20;

/// A store after a crash, with jobs that are only in the log.
async fn crashed() -> tempfile::TempDir {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(before.path());
    for number in 1..=JOBS {
        add(&store, number, "j", 3).await;
    }
    crash(before.path(), after.path());
    after
}

/// The number of jobs in the store, which are the first ones.
async fn jobs(store: &dyn Store) -> u128 {
    let found = store.load_unfinished().await.unwrap();
    let count = found.len() as u128;
    assert_eq!(found.iter().map(|job| job.id).collect::<Vec<_>>(), (1..=count).map(id).collect::<Vec<_>>());
    count
}

#[tokio::test]
async fn the_intact_part_of_a_damaged_log_is_read_and_the_log_is_copied() {
    let crashed = crashed().await;
    let whole = std::fs::read(log(crashed.path())).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // In the middle and in its header.
    for (number, at) in [(1, whole.len() / 2), (2, 5)] {
        crash(crashed.path(), directory.path());
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        std::fs::write(log(directory.path()), &damaged).unwrap();
        let store = open(directory.path());
        let found = jobs(&store).await;
        assert!(found < JOBS && (found > 0) == (number == 1), "{found} jobs");
        let kept = std::fs::read(directory.path().join(format!("hub.db-wal.damaged-{number}"))).unwrap();
        assert!(kept == damaged, "the copy differs from the log");
        add(&store, 99, "later", 1).await;
        store.close().await;
        drop(store);
        // It is logged once.
        assert!(open(directory.path()).get(id(99)).await.unwrap().is_some());
        assert!(!directory.path().join(format!("hub.db-wal.damaged-{}", number + 1)).exists());
    }
}

#[tokio::test]
async fn a_log_truncated_by_a_crash_is_not_damaged() {
    let directory = crashed().await;
    let whole = std::fs::read(log(directory.path())).unwrap();
    std::fs::write(log(directory.path()), &whole[..whole.len() - 1000]).unwrap();
    assert_eq!(jobs(&open(directory.path())).await, JOBS - 1);
    let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.contains("damaged")), "{names:?}");
}

#[tokio::test]
async fn a_log_damaged_while_another_program_has_the_store_open_is_reported() {
    let directory = crashed().await;
    let shell = Connection::open_with_flags(file(directory.path()), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let count = |shell: &Connection| shell.query_row("SELECT count(*) FROM jobs", [], |row| row.get::<_, i64>(0));
    assert_eq!(count(&shell).unwrap(), i64::try_from(JOBS).unwrap());
    let whole = std::fs::read(log(directory.path())).unwrap();
    for damaged in [vec![0; whole.len()], Vec::new()] {
        // In place, because the other program has this file open.
        std::fs::write(log(directory.path()), damaged).unwrap();
        let refused = try_open(directory.path()).unwrap_err();
        assert!(
            matches!(SqliteError::of(&refused), Some(SqliteError::DamagedLog { .. })) && refused.is_final(),
            "{refused:?}"
        );
        let text = refused.to_string();
        assert!(text.contains("hub.db-wal is damaged") && text.contains("end other programs"), "{text}");
    }
    std::fs::write(log(directory.path()), whole).unwrap();
    assert_eq!(jobs(&open(directory.path())).await, JOBS);
}

#[tokio::test]
async fn a_store_that_is_only_in_its_damaged_log_is_not_recreated() {
    let directory = tempfile::tempdir().unwrap();
    let connection = Connection::open(file(directory.path())).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    connection.execute_batch(include_str!("../src/schema.sql")).unwrap();
    let after = tempfile::tempdir().unwrap();
    crash(directory.path(), after.path());
    let mut damaged = std::fs::read(log(after.path())).unwrap();
    damaged[5] ^= 0xff;
    std::fs::write(log(after.path()), &damaged).unwrap();
    let refused = try_open(after.path()).unwrap_err();
    assert!(matches!(SqliteError::of(&refused), Some(SqliteError::DamagedLog { .. })), "{refused:?}");
    assert!(std::fs::read(after.path().join("hub.db-wal.damaged-1")).unwrap() == damaged, "the copy differs");
}

#[tokio::test]
async fn a_new_store_is_complete_without_its_log() {
    let (directory, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(directory.path());
    add(&store, 1, "j", 1).await;
    std::fs::copy(file(directory.path()), file(after.path())).unwrap();
    let version: i64 =
        Connection::open(file(after.path())).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 9);
}

#[tokio::test]
async fn a_log_that_is_damaged_while_it_is_used_is_not_written_into_the_store() {
    let directory = tempfile::tempdir().unwrap();
    for number in 1..=3 {
        // Each opening checkpoints the log.
        add(&open(directory.path()), number, "before", 3).await;
    }
    for damage in ["zeros", "cut off", "cut off and written on"] {
        let store = open(directory.path());
        for number in 11..=15 {
            add(&store, number, "after", 3).await;
        }
        let file = std::fs::File::options().write(true).open(log(directory.path())).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(0).unwrap();
        if damage == "zeros" {
            file.set_len(length).unwrap();
            // It is noticed by a read.
            store.get(id(11)).await.unwrap_err();
        } else if damage == "cut off and written on" {
            let added = job_added(16, job("j", 3, None));
            let error = store.commit(Arc::new(vec![added])).await.unwrap_err();
            assert!(matches!(SqliteError::of(&error), Some(SqliteError::DamagedLog { .. })), "{error:?}");
        }
        drop(store);
        let store = open(directory.path());
        assert_eq!(jobs(&store).await, 3, "{damage}");
        store.close().await;
    }
    assert!(directory.path().join("hub.db-wal.damaged-1").exists(), "what was written behind the hole");
}

#[tokio::test]
async fn nothing_is_written_after_any_write_has_found_a_damaged_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 1..=3 {
        add(&store, number, "j", 3).await;
        commit(&store, vec![job_changed(number, ended(JobStatus::Success))]).await;
    }
    std::fs::File::options().write(true).open(log(directory.path())).unwrap().set_len(0).unwrap();
    let error = store.prune(1, u32::MAX).await.unwrap_err();
    assert!(matches!(SqliteError::of(&error), Some(SqliteError::DamagedLog { .. })), "{error:?}");
    let found = std::fs::read(log(directory.path())).unwrap();
    for _ in 0..2 {
        let error = store.begin_incarnation().await.unwrap_err();
        assert!(matches!(SqliteError::of(&error), Some(SqliteError::DamagedLog { .. })), "{error:?}");
    }
    store.close().await;
    assert!(std::fs::read(log(directory.path())).unwrap() == found, "something was written");
}

#[tokio::test]
async fn a_log_truncated_by_sqlite_is_not_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    add(&store, 1, "j", 9).await;
    // The log grows as long as it is being read.
    let shell = Connection::open(file(directory.path())).unwrap();
    shell.execute_batch("BEGIN; SELECT * FROM jobs").unwrap();
    for index in 0..9 {
        let state = TaskState { log: Some("x".repeat(8_000_000).into()), ..task_state(TaskStatus::Running) };
        commit(&store, vec![task_changed(1, index, state)]).await;
    }
    shell.execute_batch("COMMIT").unwrap();
    drop(shell);
    let large = std::fs::metadata(log(directory.path())).unwrap().len();
    // The first commit checkpoints the log, and the second one restarts it.
    for number in 2..=3 {
        add(&store, number, "j", 1).await;
    }
    let small = std::fs::metadata(log(directory.path())).unwrap().len();
    assert!(small < large, "{small} and {large} bytes");
    store.close().await;
    assert!(!log(directory.path()).exists());
}

#[tokio::test]
async fn another_program_may_checkpoint_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 1..=5 {
        add(&store, number, "j", 3).await;
        let shell = Connection::open(file(directory.path())).unwrap();
        shell.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        assert_eq!(std::fs::metadata(log(directory.path())).unwrap().len(), 0);
    }
    drop(store);
    assert!(!log(directory.path()).exists());
    assert_eq!(jobs(&open(directory.path())).await, 5);
}
