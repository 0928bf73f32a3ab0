//! Listings of jobs.

use std::sync::Arc;

use hub_core::job::{Job, Limits};
use hub_core::job_details::JobDetails;
use hub_core::state::{JobState, JobSummary};
use hub_core::{JobId, JobStatus, TaskStatus, Timestamp};

use super::Fixture;
use super::rows::{
    NOW, add, commit, ended, id, job_added, job_changed, job_removed, running, task_changed, task_state,
};
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
        let page = ok(store.list(&filter, NOW)).await;
        assert!(page.jobs.len() <= 2);
        seen.extend(page.jobs.iter().map(|job| job.id));
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(id));
    filter.after = Some("elsewhere".to_owned());
    assert!(matches!(store.list(&filter, NOW).await, Err(StoreError::UnknownCursor(_))));
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

pub(super) async fn filters_find_jobs(fixture: &dyn Fixture) {
    let store = &*fixture.open().await;
    let texts = [
        r#"{"name": "etl sales", "labels": {"team": "data", "env": "prod"}, "tasks": [{"name": "t0"}]}"#,
        r#"{"name": "etl [x]", "key": "k", "labels": {"team": "data*", "env": ""}, "tasks": [{"name": "t0"}]}"#,
        r#"{"name": "report", "labels": {"team": "ops"}, "tasks": [{"name": "t0"}]}"#,
        r#"{"name": "plain", "tasks": [{"name": "t0"}]}"#,
    ];
    for (number, text) in (1..).zip(texts) {
        let job = Job::parse(text, &Limits::default()).expect("the job is valid");
        commit(store, vec![job_added(number, Arc::new(job))]).await;
    }
    let failed = JobState { details: None, ..ended(JobStatus::Failed) };
    commit(store, vec![job_changed(2, failed), job_changed(3, running())]).await;
    let found = async |text: &str, status: &[JobStatus]| {
        let filter = Some(text.parse().unwrap_or_else(|error| panic!("{text}: {error}")));
        ids(store, JobFilter { filter, status: status.to_vec(), ..JobFilter::default() }).await
    };
    let expected: &[(&str, &[u128])] = &[
        ("", &[4, 3, 2, 1]),
        ("status:failed,running", &[3, 2]),
        ("-status:failed,running", &[4, 1]),
        ("name:plain", &[4]),
        ("name:plain,report", &[4, 3]),
        ("name:etl*", &[2, 1]),
        ("name:*[x]", &[2]),
        ("-name:*a*", &[3, 2]),
        ("key:k", &[2]),
        ("-key:k", &[4, 3, 1]),
        ("task:t0", &[2]),
        ("error:ValueError", &[2]),
        ("error:TASK_FAILED", &[2]),
        ("-error:*", &[4, 3, 1]),
        ("label.team:data", &[1]),
        ("label.team:data*", &[2, 1]),
        ("label.team:\"data\\*\"", &[2]),
        ("label.team:data,ops", &[3, 1]),
        ("label.team:*", &[3, 2, 1]),
        ("-label.team:*", &[4]),
        ("-label.team:data", &[4, 3, 2]),
        ("label.env:\"\"", &[2]),
        ("label.env:*", &[2, 1]),
        ("submitted>=1970-01-01T00:00:00.001Z", &[4, 3, 2, 1]),
        ("submitted>1970-01-01T00:00:00.001Z", &[]),
        // Asked at 1,000 s.
        ("submitted>-16m", &[]),
        ("submitted>-17m", &[4, 3, 2, 1]),
        ("started<=1970-01-01T00:00:00.002Z", &[3, 2]),
        ("ended>1970-01-01", &[2]),
        ("-ended>1970-01-01", &[4, 3, 1]),
        ("label.team:* -status:failed name:etl*", &[1]),
        ("label.team:data name:report", &[]),
    ];
    for (text, numbers) in expected {
        assert_eq!(found(text, &[]).await, numbers.iter().copied().map(id).collect::<Vec<_>>(), "{text}");
    }
    assert_eq!(found("name:etl*", &[JobStatus::Failed]).await, [id(2)], "both count");
    commit(store, vec![job_removed(1)]).await;
    assert_eq!(found("label.team:data", &[]).await, []);
    // A job that is added again has the labels of its new text.
    let job = Job::parse(texts[2], &Limits::default()).expect("the job is valid");
    commit(store, vec![job_added(1, Arc::new(job))]).await;
    assert_eq!(found("label.team:ops", &[]).await, [id(1), id(3)]);
    // Inherited labels are stored with the state in which a job is added.
    let inherited = [("team".into(), "ops".into()), ("env".into(), "dev".into())].into_iter().collect();
    let details = JobDetails { labels: Some(Arc::new(inherited)), ..JobDetails::default() };
    let state = JobState { details: Some(Arc::new(details)), ..running() };
    let job = Job::parse(texts[0], &Limits::default()).expect("the job is valid");
    commit(store, vec![job_added(5, Arc::new(job)), job_changed(5, state)]).await;
    assert_eq!(found("label.team:data", &[]).await, [id(5)], "its own label counts");
    assert_eq!(found("label.env:prod", &[]).await, [id(5)]);
    assert_eq!(found("label.env:dev", &[]).await, []);
}

pub(super) async fn limits_of_pages_are_checked(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for limit in [0, 1001] {
        let filter = JobFilter { limit: Some(limit), sub_jobs: true, ..JobFilter::default() };
        assert!(matches!(store.list(&filter, NOW).await, Err(StoreError::BadLimit(_))));
    }
}

async fn list(store: &dyn Store, filter: JobFilter) -> Vec<JobSummary> {
    ok(store.list(&filter, NOW)).await.jobs
}

async fn ids(store: &dyn Store, filter: JobFilter) -> Vec<JobId> {
    list(store, filter).await.iter().map(|job| job.id).collect()
}
