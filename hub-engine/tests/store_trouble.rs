//! A store that cannot go on: what it can never keep, what is damaged, and what was taken away.

mod store_support;

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hub_core::JobId;
use hub_core::action::Change;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, JobFilter, RequestErrorKind, ResultUpdate, StoreHealth, Submission, UpdateStatus};
use hub_engine::store::{MemoryStore, Store, StoreError};
use hub_engine::wire::{Names, TaskMessage};
use hub_sqlite::{SqliteSettings, SqliteStore};
use hub_transport::SubscribeOptions;
use hub_transport::memory::MemoryBroker;
use rusqlite::Connection;
use serde_json::{Value, json};
use store_support::{Hooked, add, commit, end, id, job, running, sqlite, task_changed};

const DEADLINE: Duration = Duration::from_secs(60);

/// Never keeps jobs, results and outputs that contain this word.
const POISON: &str = "poison";

/// Refuses some changes for good, and counts how often.
fn particular() -> (Hooked, Arc<AtomicUsize>) {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let store = Hooked::new(move |changes| {
        let refused = changes.iter().position(is_poisoned).map(|change| {
            count.fetch_add(1, Ordering::Relaxed);
            StoreError::Refused { change, source: "string or blob too big".into() }
        });
        Box::pin(async move { refused.map_or(Ok(()), Err) })
    });
    (store, refused)
}

fn is_poisoned(change: &Change) -> bool {
    let has = |json: Option<&hub_core::Json>| json.is_some_and(|json| json.get().contains(POISON));
    match change {
        Change::JobAdded { job, .. } => job.source().contains(POISON),
        Change::TaskChanged { state, .. } => has(state.data.as_ref()),
        Change::JobChanged { state, .. } => has(state.output.as_ref()),
        Change::JobRemoved { .. } => false,
    }
}

async fn dispatcher(broker: &MemoryBroker, store: Arc<dyn Store>) -> Dispatcher {
    let dispatcher = Dispatcher::start(broker.transport(), store, DispatcherSettings::new("hub")).await.unwrap();
    tokio::time::timeout(DEADLINE, dispatcher.ready()).await.expect("the dispatcher is not ready");
    dispatcher
}

async fn submit(hub: &dyn Hub, job: &Value) -> JobId {
    hub.submit(Submission { text: job.to_string().into(), id: None }).await.unwrap()
}

/// Ends the next task that is handed out, with this result.
async fn end_next(hub: &dyn Hub, tasks: &mut hub_transport::Subscription, data: &Value) {
    let task = tokio::time::timeout(DEADLINE, tasks.deliveries.recv()).await.unwrap().unwrap();
    let id = TaskMessage::decode(&task.message.body).unwrap().id;
    let data = Some(hub_core::Json::from(data.clone()));
    hub.post_result(ResultUpdate { id, status: UpdateStatus::Success, data, msg: None, v: None }).await.unwrap();
}

#[tokio::test]
async fn what_it_can_never_keep_fails_its_job_and_the_others_go_on() {
    let (broker, (store, refused)) = (MemoryBroker::new(), particular());
    let store = Arc::new(store);
    let dispatcher = dispatcher(&broker, Arc::clone(&store) as _).await;
    let hub = dispatcher.hub();
    let session = broker.transport().connect().await.unwrap();
    let options = SubscribeOptions { prefetch: 10, exclusive: false };
    let mut tasks = session.subscribe(&Names::new("hub").pool_queue("default"), options).await.unwrap();

    // The last task's result: the job ends in the same batch.
    let ends = submit(&*hub, &json!({"name": "ends", "tasks": [{"name": "a"}], "output": "_a.data"})).await;
    end_next(&*hub, &mut tasks, &json!(POISON)).await;
    // A result with others behind it: the job goes on without it.
    let goes_on =
        submit(&*hub, &json!({"name": "goes on", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}]})).await;
    end_next(&*hub, &mut tasks, &json!(POISON)).await;
    let other = submit(&*hub, &json!({"name": "other", "tasks": [{"name": "a"}], "output": "_a.data"})).await;
    loop {
        let task = tokio::time::timeout(DEADLINE, tasks.deliveries.recv()).await.unwrap().unwrap();
        let id = TaskMessage::decode(&task.message.body).unwrap().id;
        // The other's. (That of the job that has failed may have been handed out before.)
        if id == other.task(0) {
            let data = Some(json!(7).into());
            let update = ResultUpdate { id, status: UpdateStatus::Success, data, msg: None, v: None };
            hub.post_result(update).await.unwrap();
            break;
        }
    }
    for failed in [ends, goes_on] {
        let record = hub.job(failed, Some(DEADLINE)).await.unwrap().to_value();
        assert_eq!(record["status"], "FAILED", "{record:#}");
        assert!(record["msg"].as_str().unwrap().contains("cannot keep"), "{record:#}");
        assert!(!record.to_string().contains(POISON) || record["output"].is_null(), "{record:#}");
        let kept = store.get(failed).await.unwrap().unwrap();
        assert_eq!((kept.state.status.as_str(), kept.state.output.as_ref()), ("FAILED", None));
    }
    assert_eq!(hub.job(other, Some(DEADLINE)).await.unwrap().to_value()["output"], 7);
    assert!((2..=6).contains(&refused.load(Ordering::Relaxed)), "{refused:?}");
    assert_eq!(hub.health().await.unwrap().store, StoreHealth::Up);
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_change_that_breaks_a_rule_of_the_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(directory.path());
    add(&*store, 1, "one", 1).await;
    // The ids of its tasks would be the first one's.
    let clash = JobId::new(uuid::Uuid::from_u128(id(1).uuid().as_u128() + 1));
    let submitted_at = running(1).submitted_at;
    let changes = vec![
        Change::JobAdded { id: id(2), job: job("two", 1, None), submitted_at },
        Change::JobAdded { id: clash, job: job("clash", 1, None), submitted_at },
    ];
    let refused = store.commit(Arc::new(changes)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { change: 1, .. }), "{refused:?}");
    assert!(store.get(id(2)).await.unwrap().is_none(), "a part of the batch was kept");
    add(&*store, 2, "two", 1).await;
}

#[tokio::test]
async fn a_job_that_it_can_never_keep_is_refused_and_unknown_afterwards() {
    let broker = MemoryBroker::new();
    let dispatcher = dispatcher(&broker, Arc::new(particular().0)).await;
    let hub = dispatcher.hub();
    let submission = |name: &str, number| {
        let text = json!({"name": name, "tasks": [{"name": "a"}]}).to_string();
        Submission { text: text.into(), id: Some(id(number)) }
    };
    // One right behind the other: some share a batch.
    let (first, waits, other, again) = tokio::join!(
        hub.submit(submission(POISON, 1)),
        hub.submit_and_wait(submission(POISON, 2), DEADLINE),
        hub.submit(submission("other", 3)),
        hub.submit(submission(POISON, 1)),
    );
    for refused in [first.unwrap_err(), waits.unwrap_err(), again.unwrap_err()] {
        assert_eq!(refused.kind, RequestErrorKind::Internal);
        assert!(refused.message.contains("cannot keep the job"), "{refused}");
    }
    assert_eq!(other.unwrap(), id(3));
    for (number, is_known) in [(1, false), (2, false), (3, true)] {
        assert_eq!(hub.job(id(number), None).await.is_ok(), is_known, "job {number}");
    }
    // It is not taken for a job that is known.
    assert_eq!(hub.submit(submission(POISON, 1)).await.unwrap_err().kind, RequestErrorKind::Internal);
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_job_that_it_can_never_keep_is_refused_as_long_as_its_tasks_are_being_ended() {
    let broker = MemoryBroker::new();
    let dispatcher = dispatcher(&broker, Arc::new(particular().0)).await;
    // A turn ends 10,000 tasks.
    let tasks: Vec<Value> = (0..60_000).map(|at| json!({"name": format!("t{at}")})).collect();
    let text = json!({"name": POISON, "tasks": tasks}).to_string();
    let (submission, mut asking) = (Submission { text: text.into(), id: Some(id(1)) }, tokio::task::JoinSet::new());
    // They come one after the other, as each is checked before.
    for _ in 0..12 {
        let (hub, submission) = (dispatcher.hub(), submission.clone());
        asking.spawn(async move { hub.submit(submission).await });
    }
    while let Some(answer) = asking.join_next().await {
        assert_eq!(answer.unwrap().unwrap_err().kind, RequestErrorKind::Internal);
    }
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_file_that_lacks_a_column_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(directory.path());
    add(&*store, 1, "one", 1).await;
    let drop_column = "DROP VIEW task_list; ALTER TABLE tasks DROP COLUMN log";
    Connection::open(file(directory.path())).unwrap().execute_batch(drop_column).unwrap();
    let read = store.get(id(1)).await.unwrap_err();
    assert!(matches!(read, StoreError::Damaged { .. }), "{read:?}");
    let changes = vec![task_changed(1, 0, store_support::changed(hub_core::TaskStatus::Success))];
    let written = store.commit(Arc::new(changes)).await.unwrap_err();
    assert!(matches!(written, StoreError::Damaged { .. }), "{written:?}");
}

fn file(directory: &Path) -> PathBuf {
    directory.join("hub.db")
}

/// Overwrites everything behind the first page, in the file and its log.
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
async fn a_dispatcher_whose_store_is_damaged_gives_up_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(directory.path());
    for number in 1..50 {
        add(&*store, number, "j", 20).await;
        commit(
            &*store,
            vec![Change::JobChanged { id: id(number), state: end(running(1), hub_core::JobStatus::Success) }],
        )
        .await;
    }
    store.close().await;
    drop(store);
    let broker = MemoryBroker::new();
    let store = SqliteStore::open(SqliteSettings::new(file(directory.path()))).unwrap();
    let dispatcher = dispatcher(&broker, Arc::new(store)).await;
    damage(directory.path());
    let hub = dispatcher.hub();
    let submission = || {
        let text = json!({"name": "j", "tasks": [{"name": "a"}]}).to_string();
        Submission { text: text.into(), id: Some(id(3)) }
    };
    // It looks for the job in the file, and finds no page of it whole.
    let refused = tokio::time::timeout(DEADLINE, hub.submit(submission())).await.expect("who asks waits for ever");
    assert!(refused.is_err(), "{refused:?}");
    let error = tokio::time::timeout(DEADLINE, dispatcher.broken()).await.expect("it goes on with a damaged store");
    let text = error.to_string();
    assert!(text.contains("hub.db") && text.contains("damaged") && text.contains("back-up"), "{text}");
    let refused = tokio::time::timeout(DEADLINE, hub.submit(submission())).await.expect("who asks waits for ever");
    assert!(refused.is_err(), "{refused:?}");
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_file_that_was_taken_away_is_missed_and_taken_up_again_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(directory.path());
    add(&*store, 1, "one", 1).await;
    let (path, aside) = (file(directory.path()), directory.path().join("aside.db"));
    std::fs::rename(&path, &aside).unwrap();
    let mut number = 1;
    let missed = async {
        loop {
            number += 1;
            let submitted_at = running(1).submitted_at;
            let added = vec![Change::JobAdded { id: id(number), job: job("j", 1, None), submitted_at }];
            match store.commit(Arc::new(added)).await {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(DEADLINE, missed).await.expect("nobody misses the file");
    assert!(matches!(&error, StoreError::Replaced(missing) if *missing == path) && !error.is_final(), "{error:?}");
    // Another one in its place is no better, and is left alone.
    std::fs::write(&path, "").unwrap();
    let changed = vec![task_changed(1, 0, store_support::changed(hub_core::TaskStatus::Success))];
    let error = store.commit(Arc::new(changed.clone())).await.unwrap_err();
    assert!(error.to_string().contains("restart the dispatcher"), "{error}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    std::fs::rename(&aside, &path).unwrap();
    store.commit(Arc::new(changed)).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap().unwrap().tasks[0].status, hub_core::TaskStatus::Success);
}

#[tokio::test]
async fn a_good_stop_leaves_nothing_beside_the_file_whatever_is_being_read() {
    for _ in 0..60 {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = sqlite(directory.path()).into();
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

/// Jobs that have ended, in the order of their submission.
async fn ended(store: &dyn Store) -> usize {
    store.list(&JobFilter { limit: Some(1000), ..JobFilter::default() }).await.unwrap().jobs.len()
}

#[tokio::test]
async fn never_more_than_a_tenth_above_the_number_stay_however_often_it_starts() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for round in 0..4 {
        let broker = MemoryBroker::new();
        let settings = DispatcherSettings { retain_jobs: 20, ..DispatcherSettings::new("hub") };
        let dispatcher = Dispatcher::start(broker.transport(), Arc::clone(&store), settings).await.unwrap();
        let hub = dispatcher.hub();
        for at in 0..18 {
            let job = submit(&*hub, &json!({"name": format!("{round} {at}"), "tasks": [{"name": "a"}]})).await;
            hub.cancel(job).await.unwrap();
        }
        let pruned = async {
            while ended(&*store).await > 22 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, pruned).await.expect("too many jobs stay");
        dispatcher.stop(Duration::from_secs(5)).await;
    }
    // At the start, too, of what another one has left there.
    for number in 1..=30 {
        add(&*store, number, "j", 1).await;
        commit(
            &*store,
            vec![Change::JobChanged { id: id(number), state: end(running(1), hub_core::JobStatus::Success) }],
        )
        .await;
    }
    let settings = DispatcherSettings { retain_jobs: 20, ..DispatcherSettings::new("hub") };
    let dispatcher = Dispatcher::start(MemoryBroker::new().transport(), Arc::clone(&store), settings).await.unwrap();
    let pruned = async {
        while ended(&*store).await > 20 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, pruned).await.expect("nothing is forgotten at the start");
    dispatcher.stop(Duration::from_secs(5)).await;
}
