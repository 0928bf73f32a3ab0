//! The guarantees of a commit.

use hub_core::{JobStatus, Json, TaskStatus};

use super::Fixture;
use super::rows::{
    NOW, add, commit, ended, id, job, job_added, job_changed, job_removed, kept_result, pause, pool_changed,
    result_kept, result_key, running, task_changed, task_state,
};
use super::steps::{found, ok};
use crate::operations::JobFilter;

pub(super) async fn incarnations_are_counted(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert_eq!(ok(store.begin_incarnation()).await, 1);
    assert_eq!(ok(store.begin_incarnation()).await, 2);
}

pub(super) async fn a_job_exists_after_its_commit(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert!(ok(store.get(id(1))).await.is_none());
    add(&*store, 1, "one", 2).await;
    let kept = found(store.get(id(1))).await;
    assert_eq!((kept.id, kept.job.name(), kept.state.status), (id(1), "one", JobStatus::Pending));
    assert_eq!(kept.job.source(), job("one", 2, None).source());
    assert!(kept.tasks.iter().all(|task| task.status == TaskStatus::Pending) && kept.tasks.len() == 2);
}

pub(super) async fn all_fields_of_a_task_are_stored(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    add(&*store, 1, "one", 3).await;
    let state = task_state(TaskStatus::Failed);
    commit(&*store, vec![task_changed(1, 1, state.clone())]).await;
    let kept = found(store.get(id(1))).await;
    assert_eq!(*kept.tasks[1], state);
    assert_eq!(kept.tasks[0].status, TaskStatus::Pending);
}

pub(super) async fn values_are_stored_unchanged(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    add(&*store, 1, "\u{1f600} 'quoted\"", 1).await;
    let mut state = task_state(TaskStatus::Success);
    let data = "{\"b\": 1.0, \"a\" :123456789012345678901234567890, \"n\": \"\\u0000\u{e9}\"}";
    state.data = Some(Json::from_checked(data));
    state.log = Some("line\r\n\u{0}\u{7f}\u{fffd}".into());
    commit(&*store, vec![task_changed(1, 0, state.clone())]).await;
    let kept = found(store.get(id(1))).await;
    assert_eq!(*kept.tasks[0], state);
    assert_eq!(kept.job.name(), "\u{1f600} 'quoted\"");
}

pub(super) async fn the_last_of_several_changes_counts(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let mut changes = vec![job_added(1, job("one", 1, None))];
    let statuses = [TaskStatus::Submitted, TaskStatus::Running, TaskStatus::Success];
    changes.extend(statuses.map(|status| task_changed(1, 0, task_state(status))));
    changes.push(job_changed(1, running()));
    changes.push(job_changed(1, ended(JobStatus::Success)));
    commit(&*store, changes).await;
    let kept = found(store.get(id(1))).await;
    assert_eq!(kept.tasks[0].status, TaskStatus::Success);
    assert_eq!(kept.state, ended(JobStatus::Success));
}

pub(super) async fn a_batch_can_be_committed_again(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let changes = vec![
        job_added(1, job("one", 1, Some("k"))),
        task_changed(1, 0, task_state(TaskStatus::Submitted)),
        job_changed(1, running()),
    ];
    commit(&*store, changes.clone()).await;
    commit(&*store, changes).await;
    let kept = found(store.get(id(1))).await;
    assert_eq!((kept.state.status, kept.tasks[0].status), (JobStatus::Running, TaskStatus::Submitted));
    assert_eq!(ok(store.list(&JobFilter { sub_jobs: true, ..JobFilter::default() }, NOW)).await.jobs.len(), 1);
}

pub(super) async fn paused_pools_are_kept_until_they_are_resumed(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert_eq!(ok(store.paused_pools()).await, []);
    let changes = vec![pool_changed("gpu", Some(1)), pool_changed("default", Some(2)), pool_changed("gpu", Some(3))];
    commit(&*store, changes).await;
    assert_eq!(ok(store.paused_pools()).await, [("default".into(), pause(2)), ("gpu".into(), pause(3))]);
    commit(&*store, vec![pool_changed("gpu", None), pool_changed("never", None)]).await;
    assert_eq!(ok(store.paused_pools()).await, [("default".into(), pause(2))]);
}

pub(super) async fn results_are_kept_until_they_are_removed(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert_eq!(ok(store.kept_results()).await, []);
    let changes = vec![result_kept(1, Some(1)), result_kept(2, Some(2)), result_kept(1, Some(3))];
    commit(&*store, changes).await;
    let mut expected = vec![(result_key(1), kept_result(3)), (result_key(2), kept_result(2))];
    expected.sort_by_key(|(key, _)| *key);
    assert_eq!(ok(store.kept_results()).await, expected);
    commit(&*store, vec![result_kept(1, None), result_kept(3, None)]).await;
    assert_eq!(ok(store.kept_results()).await, [(result_key(2), kept_result(2))]);
}

pub(super) async fn changes_of_unknown_jobs_have_no_effect(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    commit(&*store, vec![task_changed(1, 0, task_state(TaskStatus::Success)), job_changed(1, running())]).await;
    assert!(ok(store.get(id(1))).await.is_none());
    commit(&*store, vec![job_removed(1)]).await;
    assert!(ok(store.get(id(1))).await.is_none());
}
