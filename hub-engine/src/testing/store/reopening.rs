//! Closing and reopening durable stores.

use std::sync::Arc;

use hub_core::{JobStatus, TaskStatus};

use super::Fixture;
use super::rows::{
    NOW, add, commit, ended, id, job_changed, kept_result, pause, pool_changed, result_kept, result_key, task_changed,
    task_state,
};
use super::steps::{found, ok};
use crate::operations::JobFilter;

pub(super) async fn a_durable_store_keeps_its_contents_when_closed(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    if !store.is_durable() {
        return;
    }
    assert_eq!(ok(store.begin_incarnation()).await, 1);
    add(&*store, 1, "one", 2).await;
    add(&*store, 2, "two", 1).await;
    let running = task_state(TaskStatus::Running);
    commit(&*store, vec![task_changed(1, 1, running.clone()), job_changed(2, ended(JobStatus::Success))]).await;
    commit(&*store, vec![pool_changed("gpu", Some(1)), result_kept(1, Some(1))]).await;
    store.close().await;
    drop(store);

    let store = fixture.open().await;
    assert_eq!(ok(store.begin_incarnation()).await, 2);
    let unfinished = ok(store.load_unfinished()).await;
    assert_eq!(ok(store.paused_pools()).await, [("gpu".into(), pause(1))]);
    assert_eq!(ok(store.kept_results()).await, [(result_key(1), kept_result(1))]);
    assert_eq!((unfinished.len(), &*unfinished[0].tasks[1]), (1, &running));
    assert_eq!(found(store.get(id(2))).await.state, ended(JobStatus::Success));
    // The rows are found, although this process has not added them.
    commit(&*store, vec![task_changed(1, 1, task_state(TaskStatus::Success))]).await;
    assert_eq!(found(store.get(id(1))).await.tasks[1].status, TaskStatus::Success);
    assert_eq!(found(store.find_family(id(2).family())).await.id, id(2));
}

pub(super) async fn a_closed_durable_store_refuses_everything(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    if !store.is_durable() {
        return;
    }
    add(&*store, 1, "one", 1).await;
    store.close().await;
    assert!(store.commit(Arc::new(vec![job_changed(1, ended(JobStatus::Success))])).await.is_err());
    assert!(store.get(id(1)).await.is_err());
    assert!(store.list(&JobFilter::default(), NOW).await.is_err());
    assert!(store.begin_incarnation().await.is_err());
    drop(store);
    let store = fixture.open().await;
    assert_eq!(found(store.get(id(1))).await.state.status, JobStatus::Pending);
}
