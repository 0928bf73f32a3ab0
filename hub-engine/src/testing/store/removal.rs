//! Pruning and removing jobs.

use hub_core::state::JobState;
use hub_core::{JobStatus, TaskStatus};

use super::Fixture;
use super::rows::{
    NOW, add, commit, ended, id, job, job_added, job_changed, job_removed, sub_job, task_changed, task_state,
};
use super::steps::{found, ok};
use crate::operations::JobFilter;

pub(super) async fn the_oldest_finished_jobs_are_pruned(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for number in 1..=6 {
        add(&*store, number, "j", 1).await;
        if number != 2 {
            let state = JobState { details: None, ..ended(JobStatus::Success) };
            commit(&*store, vec![job_changed(number, state)]).await;
        }
    }
    assert_eq!(ok(store.prune(3, 1)).await, 1);
    assert_eq!(ok(store.prune(3, 100)).await, 1);
    assert_eq!(ok(store.prune(3, 100)).await, 0);
    let left: Vec<_> = ok(store.list(&JobFilter { sub_jobs: true, ..JobFilter::default() }, NOW))
        .await
        .jobs
        .iter()
        .map(|job| job.id)
        .collect();
    assert_eq!(left, [6, 5, 4, 2].map(id));
}

/// The state with every field is that of a sub-job of job 5.
pub(super) async fn sub_jobs_go_with_their_root(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (root, other) = (5, 6);
    for number in [root, other] {
        add(&*store, number, "j", 1).await;
    }
    for number in 10..20 {
        commit(&*store, vec![job_added(number, job("part", 1, None)), job_changed(number, ended(JobStatus::Failed))])
            .await;
    }
    let live = 20;
    commit(&*store, vec![job_added(live, job("part", 1, None)), job_changed(live, sub_job(root))]).await;
    for number in [root, other] {
        commit(&*store, vec![job_changed(number, JobState { details: None, ..ended(JobStatus::Success) })]).await;
    }
    assert_eq!(ok(store.prune(2, 100)).await, 0, "sub-jobs do not count");
    let listed = |sub_jobs| {
        let store = &store;
        async move {
            let filter = JobFilter { sub_jobs, ..JobFilter::default() };
            ok(store.list(&filter, NOW)).await.jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
        }
    };
    assert_eq!((listed(false).await, listed(true).await.len()), ([other, root].map(id).to_vec(), 13));
    while ok(store.prune(1, 4)).await > 0 {}
    assert_eq!(listed(true).await, [live, other].map(id), "the root has gone, and its parts that had ended with it");
    assert_eq!(listed(false).await, [live, other].map(id), "what runs on is a job like any other");
    commit(&*store, vec![job_changed(live, ended(JobStatus::Success))]).await;
    while ok(store.prune(1, 4)).await > 0 {}
    assert_eq!(listed(true).await, [live].map(id));
}

pub(super) async fn a_removed_job_leaves_no_rows(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let added = job_added(1, job("one", 1, Some("k")));
    let changed = task_changed(1, 0, task_state(TaskStatus::Success));
    let removed = job_removed(1);
    for batches in
        [vec![vec![added.clone(), changed.clone(), removed.clone()]], vec![vec![added.clone(), changed], vec![removed]]]
    {
        for batch in batches {
            commit(&*store, batch).await;
        }
        assert!(ok(store.get(id(1))).await.is_none());
        assert!(ok(store.find_key("k")).await.is_none());
        assert!(ok(store.find_family(id(1).family())).await.is_none());
    }
    // The same id again is a new job.
    commit(&*store, vec![added]).await;
    assert_eq!(found(store.get(id(1))).await.tasks[0].status, TaskStatus::Pending);
}

pub(super) async fn a_job_removed_and_added_in_one_batch_is_the_new_one(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let before = vec![job_added(1, job("before", 2, Some("k"))), task_changed(1, 0, task_state(TaskStatus::Success))];
    commit(&*store, before).await;
    commit(
        &*store,
        vec![job_removed(1), job_added(1, job("after", 1, Some("k"))), job_changed(1, ended(JobStatus::Failed))],
    )
    .await;
    let kept = found(store.get(id(1))).await;
    assert_eq!((kept.job.name(), kept.state), ("after", ended(JobStatus::Failed)));
    assert_eq!(kept.tasks.iter().map(|task| task.status).collect::<Vec<_>>(), [TaskStatus::Pending]);
    for job in [found(store.find_key("k")).await, found(store.find_family(id(1).family())).await] {
        assert_eq!(job.job.name(), "after");
    }
}
