//! Changes that the store refuses permanently: their jobs fail, and all others continue.

mod store_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hub_core::JobId;
use hub_core::action::Change;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, RequestErrorKind, ResultUpdate, StoreHealth, Submission, UpdateStatus};
use hub_engine::store::{Store, StoreError};
use hub_engine::testing::store::rows::id;
use hub_engine::wire::{Names, TaskMessage};
use hub_transport::SubscribeOptions;
use hub_transport::memory::MemoryBroker;
use serde_json::{Value, json};
use store_support::Hooked;

const DEADLINE: Duration = Duration::from_secs(60);

/// The store refuses jobs, results and outputs that contain this word.
const POISON: &str = "poison";

/// A store that refuses some changes permanently, and counts the refusals.
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
        Change::JobRemoved { .. }
        | Change::PoolChanged { .. }
        | Change::ResultKept { .. }
        | Change::DefinitionAdded { .. }
        | Change::AliasChanged { .. }
        | Change::ScheduleSet { .. }
        | Change::ScheduleChanged { .. }
        | Change::ScheduleRemoved { .. } => false,
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
    let id = TaskMessage::decode(&task.message.body).unwrap().issue.task;
    let data = Some(hub_core::Json::from(data.clone()));
    hub.post_result(ResultUpdate { id, status: UpdateStatus::Success, data, msg: None, v: None }).await.unwrap();
}

#[tokio::test]
async fn a_refused_change_fails_its_job_and_others_continue() {
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
    // A result that other tasks depend on: the job continues without it.
    let goes_on =
        submit(&*hub, &json!({"name": "goes on", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}]})).await;
    end_next(&*hub, &mut tasks, &json!(POISON)).await;
    let other = submit(&*hub, &json!({"name": "other", "tasks": [{"name": "a"}], "output": "_a.data"})).await;
    loop {
        let task = tokio::time::timeout(DEADLINE, tasks.deliveries.recv()).await.unwrap().unwrap();
        let id = TaskMessage::decode(&task.message.body).unwrap().issue.task;
        // The task of the other job. (The task of the failed job may have been handed out before.)
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
async fn a_refused_job_is_unknown_afterwards() {
    let broker = MemoryBroker::new();
    let dispatcher = dispatcher(&broker, Arc::new(particular().0)).await;
    let hub = dispatcher.hub();
    let submission = |name: &str, number| {
        let text = json!({"name": name, "tasks": [{"name": "a"}]}).to_string();
        Submission { text: text.into(), id: Some(id(number)) }
    };
    // Immediately after one another, so that some share a batch.
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
    // It does not count as a known job.
    assert_eq!(hub.submit(submission(POISON, 1)).await.unwrap_err().kind, RequestErrorKind::Internal);
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_refused_job_is_refused_again_while_its_tasks_are_being_ended() {
    let broker = MemoryBroker::new();
    let dispatcher = dispatcher(&broker, Arc::new(particular().0)).await;
    // A turn ends 10,000 tasks.
    let tasks: Vec<Value> = (0..60_000).map(|at| json!({"name": format!("t{at}")})).collect();
    let text = json!({"name": POISON, "tasks": tasks}).to_string();
    let (submission, mut asking) = (Submission { text: text.into(), id: Some(id(1)) }, tokio::task::JoinSet::new());
    // They arrive one after another, because each is checked before.
    for _ in 0..12 {
        let (hub, submission) = (dispatcher.hub(), submission.clone());
        asking.spawn(async move { hub.submit(submission).await });
    }
    while let Some(answer) = asking.join_next().await {
        assert_eq!(answer.unwrap().unwrap_err().kind, RequestErrorKind::Internal);
    }
    dispatcher.stop(Duration::from_secs(5)).await;
}
