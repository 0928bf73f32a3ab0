//! Listings of jobs.

use hub_core::state::JobSummary;
use hub_core::{JobId, JobStatus, TaskStatus, Timestamp};

use super::Fixture;
use super::rows::{add, commit, ended, id, job_changed, job_removed, running, task_changed, task_state};
use super::steps::ok;
use crate::operations::JobFilter;
use crate::store::{Store, StoreError};

pub(super) async fn listings_come_in_pages(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for number in 1..=5 {
        add(&*store, number, "j", 1).await;
    }
    let mut filter = JobFilter { limit: Some(2), sub_jobs: true, ..JobFilter::default() };
    let mut seen = Vec::new();
    loop {
        let page = ok(store.list(&filter)).await;
        assert!(page.jobs.len() <= 2);
        seen.extend(page.jobs.iter().map(|job| job.id));
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(id));
    filter.after = Some("elsewhere".to_owned());
    assert!(matches!(store.list(&filter).await, Err(StoreError::UnknownCursor(_))));
}

pub(super) async fn listings_are_filtered(fixture: &dyn Fixture) {
    let store = &*fixture.open().await;
    for (number, name) in [(1, "a"), (2, "b"), (3, "a")] {
        add(store, number, name, 2).await;
    }
    let changes = vec![
        job_changed(3, ended(JobStatus::Failed)),
        job_changed(2, running()),
        task_changed(2, 0, task_state(TaskStatus::Success)),
    ];
    commit(store, changes).await;
    let with_name = |name: &str| JobFilter { name: Some(name.to_owned()), sub_jobs: true, ..JobFilter::default() };
    let with_status =
        |status: &[JobStatus]| JobFilter { status: status.to_vec(), sub_jobs: true, ..JobFilter::default() };
    assert_eq!(ids(store, with_name("a")).await, [id(3), id(1)]);
    assert_eq!(ids(store, with_status(&[JobStatus::Failed, JobStatus::Running])).await, [id(3), id(2)]);
    assert_eq!(ids(store, JobFilter { status: vec![JobStatus::Failed], ..with_name("b") }).await, []);
    let repeated = [JobStatus::Failed, JobStatus::Running].repeat(20_000);
    assert_eq!(ids(store, with_status(&repeated)).await, [id(3), id(2)], "a status may be repeated");
    let (first, second) = (Some(Timestamp::from_millis(1)), Some(Timestamp::from_millis(2)));
    for (since, until, found) in
        [(first, None, 3), (second, None, 0), (None, first, 0), (None, second, 3), (first, second, 3)]
    {
        assert_eq!(ids(store, JobFilter { since, until, sub_jobs: true, ..JobFilter::default() }).await.len(), found);
    }

    // The state with every field is that of a sub-job of job 5.
    assert_eq!(ids(store, JobFilter::default()).await.len(), 3, "a sub-job whose root is not there is listed");
    add(store, 5, "root", 1).await;
    add(store, 4, "part", 1).await;
    commit(store, vec![job_changed(4, ended(JobStatus::Failed))]).await;
    assert_eq!(
        ids(store, JobFilter::default()).await,
        [5, 3, 2, 1].map(id),
        "sub-jobs are not listed unless asked for"
    );
    commit(store, vec![job_removed(4), job_removed(5)]).await;
    let failed = &list(store, with_status(&[JobStatus::Failed])).await[0];
    let first = failed.first_failure.as_deref().map(|first| (&*first.task, &*first.msg));
    assert_eq!((failed.msg.as_deref(), first), (Some("because"), Some(("t0", "bad"))));
    assert_eq!(ok(store.summary(id(3))).await.as_ref(), Some(failed));
    assert_eq!(ok(store.summary(id(9))).await, None);
    let line = &list(store, with_status(&[JobStatus::Running])).await[0];
    assert_eq!((line.tasks, line.tasks_ended, line.ended_at), (2, 1, None));
}

pub(super) async fn limits_of_pages_are_checked(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for limit in [0, 1001] {
        let filter = JobFilter { limit: Some(limit), sub_jobs: true, ..JobFilter::default() };
        assert!(matches!(store.list(&filter).await, Err(StoreError::BadLimit(_))));
    }
}

async fn list(store: &dyn Store, filter: JobFilter) -> Vec<JobSummary> {
    ok(store.list(&filter)).await.jobs
}

async fn ids(store: &dyn Store, filter: JobFilter) -> Vec<JobId> {
    list(store, filter).await.iter().map(|job| job.id).collect()
}
