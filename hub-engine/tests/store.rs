//! What every store promises: the same cases for the one in memory and the one in a file.

mod store_support;

use hub_core::action::Change;
use hub_core::{JobStatus, Json, TaskStatus, Timestamp};
use hub_engine::operations::JobFilter;
use hub_engine::store::{Part, Store, StoreError};
use store_support::{add, changed, commit, end, id, job, memory, running, sqlite, task_changed};

/// Runs a case on every store.
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test] async fn $case() { super::$case(&*super::memory()).await; })+
        }
        mod in_a_file {
            $(#[tokio::test] async fn $case() {
                let directory = tempfile::tempdir().unwrap();
                super::$case(&*super::sqlite(directory.path())).await;
            })+
        }
    };
}

on_every_store![
    incarnations_are_counted,
    a_job_is_there_after_its_commit,
    everything_about_a_task_is_kept,
    of_many_changes_the_last_counts,
    a_batch_can_be_committed_again,
    unfinished_jobs_are_loaded_oldest_first,
    jobs_are_found_by_their_tasks_and_keys,
    listings_come_in_pages,
    listings_are_filtered,
    parts_have_what_is_asked_for,
    the_oldest_finished_jobs_are_forgotten,
    a_removed_job_leaves_nothing_behind,
    changes_of_unknown_jobs_change_nothing,
    values_are_kept_to_the_letter,
];

async fn incarnations_are_counted(store: &dyn Store) {
    assert_eq!(store.begin_incarnation().await.unwrap(), 1);
    assert_eq!(store.begin_incarnation().await.unwrap(), 2);
}

async fn a_job_is_there_after_its_commit(store: &dyn Store) {
    assert!(store.get(id(1)).await.unwrap().is_none());
    add(store, 1, "one", 2).await;
    let kept = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!((kept.id, kept.job.name(), kept.state.status), (id(1), "one", JobStatus::Pending));
    assert_eq!(kept.job.source(), job("one", 2, None).source());
    assert!(kept.tasks.iter().all(|task| task.status == TaskStatus::Pending) && kept.tasks.len() == 2);
}

async fn everything_about_a_task_is_kept(store: &dyn Store) {
    add(store, 1, "one", 3).await;
    let state = changed(TaskStatus::Failed);
    commit(store, vec![task_changed(1, 1, state.clone())]).await;
    let kept = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!(*kept.tasks[1], state);
    assert_eq!(kept.tasks[0].status, TaskStatus::Pending);
}

async fn of_many_changes_the_last_counts(store: &dyn Store) {
    let statuses = [TaskStatus::Submitted, TaskStatus::Running, TaskStatus::Success];
    let mut changes =
        vec![Change::JobAdded { id: id(1), job: job("one", 1, None), submitted_at: running(1).submitted_at }];
    changes.extend(statuses.map(|status| task_changed(1, 0, changed(status))));
    changes.push(Change::JobChanged { id: id(1), state: running(1) });
    changes.push(Change::JobChanged { id: id(1), state: end(running(1), JobStatus::Success) });
    commit(store, changes).await;
    let kept = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!(kept.tasks[0].status, TaskStatus::Success);
    assert_eq!(kept.state, end(running(1), JobStatus::Success));
}

async fn a_batch_can_be_committed_again(store: &dyn Store) {
    let changes = vec![
        Change::JobAdded { id: id(1), job: job("one", 1, Some("k")), submitted_at: running(1).submitted_at },
        task_changed(1, 0, changed(TaskStatus::Submitted)),
        Change::JobChanged { id: id(1), state: running(1) },
    ];
    commit(store, changes.clone()).await;
    commit(store, changes).await;
    let kept = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!((kept.state.status, kept.tasks[0].status), (JobStatus::Running, TaskStatus::Submitted));
    assert_eq!(store.list(&JobFilter::default()).await.unwrap().jobs.len(), 1);
}

async fn unfinished_jobs_are_loaded_oldest_first(store: &dyn Store) {
    for number in [3, 1, 2] {
        add(store, number, "j", 2).await;
    }
    commit(
        store,
        vec![
            task_changed(2, 1, changed(TaskStatus::Running)),
            Change::JobChanged { id: id(1), state: end(running(1), JobStatus::Failed) },
        ],
    )
    .await;
    let unfinished = store.load_unfinished().await.unwrap();
    assert_eq!(unfinished.iter().map(|job| job.id).collect::<Vec<_>>(), [id(3), id(2)]);
    assert_eq!(*unfinished[1].tasks[1], changed(TaskStatus::Running));
    assert_eq!(unfinished[0].tasks.len(), 2);
}

async fn jobs_are_found_by_their_tasks_and_keys(store: &dyn Store) {
    let with_key = |number, key| Change::JobAdded {
        id: id(number),
        job: job("j", 1, Some(key)),
        submitted_at: running(1).submitted_at,
    };
    commit(store, vec![with_key(1, "a"), with_key(2, "b")]).await;
    assert_eq!(store.find_key("b").await.unwrap().unwrap().id, id(2));
    assert!(store.find_key("c").await.unwrap().is_none());
    assert_eq!(store.find_family(id(1).task(0).family()).await.unwrap().unwrap().id, id(1));
    assert!(store.find_family(id(3).family()).await.unwrap().is_none());
    // What has come of its tasks may be large, and is not read.
    commit(store, vec![task_changed(2, 0, changed(TaskStatus::Success))]).await;
    let found = [store.find_key("b").await, store.find_family(id(2).family()).await];
    for job in found.map(|job| job.unwrap().unwrap()) {
        assert_eq!((job.tasks.len(), job.tasks[0].status), (1, TaskStatus::Pending));
    }
}

async fn listings_come_in_pages(store: &dyn Store) {
    for number in 1..=5 {
        add(store, number, "j", 1).await;
    }
    let mut filter = JobFilter { limit: Some(2), ..JobFilter::default() };
    let mut seen = Vec::new();
    loop {
        let page = store.list(&filter).await.unwrap();
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

async fn listings_are_filtered(store: &dyn Store) {
    for (number, name) in [(1, "a"), (2, "b"), (3, "a")] {
        add(store, number, name, 2).await;
    }
    commit(
        store,
        vec![
            Change::JobChanged { id: id(3), state: end(running(1), JobStatus::Failed) },
            Change::JobChanged { id: id(2), state: running(1) },
            task_changed(2, 0, changed(TaskStatus::Success)),
        ],
    )
    .await;
    let list = |status: Vec<JobStatus>, name: Option<&str>| {
        let filter = JobFilter { status, name: name.map(str::to_owned), ..JobFilter::default() };
        async move { store.list(&filter).await.unwrap().jobs }
    };
    let ids = |jobs: Vec<hub_core::state::JobSummary>| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(list(vec![], Some("a")).await), [id(3), id(1)]);
    assert_eq!(ids(list(vec![JobStatus::Failed, JobStatus::Running], None).await), [id(3), id(2)]);
    assert_eq!(ids(list(vec![JobStatus::Failed], Some("b")).await), []);
    let often = [JobStatus::Failed, JobStatus::Running].repeat(20_000);
    assert_eq!(ids(list(often, None).await), [id(3), id(2)], "a status may be repeated");
    let times = |since: Option<u64>, until: Option<u64>| {
        let (since, until) = (since.map(Timestamp::from_millis), until.map(Timestamp::from_millis));
        let filter = JobFilter { since, until, ..JobFilter::default() };
        async move { store.list(&filter).await.unwrap().jobs.len() }
    };
    assert_eq!((times(Some(1), None).await, times(Some(2), None).await, times(None, Some(1)).await), (3, 0, 0));
    assert_eq!(times(Some(1), Some(2)).await, 3);
    let failed = &list(vec![JobStatus::Failed], None).await[0];
    let first = failed.first_failure.as_deref().map(|first| (&*first.task, &*first.msg));
    assert_eq!((failed.msg.as_deref(), first), (Some("because"), Some(("t0", "bad"))));
    assert_eq!(store.summary(id(3)).await.unwrap().as_ref(), Some(failed));
    assert_eq!(store.summary(id(9)).await.unwrap(), None);
    for limit in [0, 1001] {
        let filter = JobFilter { limit: Some(limit), ..JobFilter::default() };
        assert!(matches!(store.list(&filter).await, Err(StoreError::BadLimit(_))));
    }
    let line = &list(vec![JobStatus::Running], None).await[0];
    assert_eq!((line.tasks, line.tasks_ended, line.ended_at), (2, 1, None));
}

async fn parts_have_what_is_asked_for(store: &dyn Store) {
    add(store, 1, "j", 4).await;
    commit(store, (0..3).map(|index| task_changed(1, index, changed(TaskStatus::Success))).collect()).await;
    let part = |tasks, data| async move {
        store.get_part(id(1), Part { tasks, bytes: usize::MAX, data }).await.unwrap().unwrap()
    };
    let whole = part(0..9, true).await;
    assert_eq!((whole.end, whole.job.tasks), (4, store.get(id(1)).await.unwrap().unwrap().tasks));
    let some = part(1..3, true).await;
    assert_eq!(
        (some.end, &some.job.tasks[1..3]),
        (3, &[changed(TaskStatus::Success), changed(TaskStatus::Success)].map(std::sync::Arc::new)[..])
    );
    let without = part(0..9, false).await.job;
    let task = &without.tasks[2];
    assert_eq!((task.status, task.msg.as_deref(), &task.data), (TaskStatus::Success, Some("no"), &None));
    let none = Part { tasks: 0..1, bytes: 0, data: true };
    assert!(store.get_part(id(7), none).await.unwrap().is_none());
    let weight = store.weight(id(1), true).await.unwrap().unwrap();
    assert!(weight > store.get(id(1)).await.unwrap().unwrap().job.source().len(), "{weight}");
    assert_eq!(store.weight(id(1), false).await.unwrap(), Some(without.weight()));
    assert_eq!(store.weight(id(7), true).await.unwrap(), None);
}

async fn the_oldest_finished_jobs_are_forgotten(store: &dyn Store) {
    for number in 1..=6 {
        add(store, number, "j", 1).await;
        if number != 2 {
            commit(store, vec![Change::JobChanged { id: id(number), state: end(running(1), JobStatus::Success) }])
                .await;
        }
    }
    assert_eq!(store.prune(3, 1).await.unwrap(), 1);
    assert_eq!(store.prune(3, 100).await.unwrap(), 1);
    assert_eq!(store.prune(3, 100).await.unwrap(), 0);
    let left: Vec<_> = store.list(&JobFilter::default()).await.unwrap().jobs.iter().map(|job| job.id).collect();
    assert_eq!(left, [6, 5, 4, 2].map(id));
}

async fn a_removed_job_leaves_nothing_behind(store: &dyn Store) {
    let added = Change::JobAdded { id: id(1), job: job("one", 1, Some("k")), submitted_at: running(1).submitted_at };
    commit(
        store,
        vec![added.clone(), task_changed(1, 0, changed(TaskStatus::Success)), Change::JobRemoved { id: id(1) }],
    )
    .await;
    assert!(store.get(id(1)).await.unwrap().is_none());
    assert!(store.find_key("k").await.unwrap().is_none());
    assert!(store.find_family(id(1).family()).await.unwrap().is_none());
    // The same id again is a new job.
    commit(store, vec![added]).await;
    assert_eq!(store.get(id(1)).await.unwrap().unwrap().tasks[0].status, TaskStatus::Pending);
}

async fn changes_of_unknown_jobs_change_nothing(store: &dyn Store) {
    commit(
        store,
        vec![
            task_changed(1, 0, changed(TaskStatus::Success)),
            Change::JobChanged { id: id(1), state: running(1) },
            Change::JobRemoved { id: id(1) },
        ],
    )
    .await;
    assert!(store.get(id(1)).await.unwrap().is_none());
}

async fn values_are_kept_to_the_letter(store: &dyn Store) {
    add(store, 1, "\u{1f600} 'quoted\"", 1).await;
    let mut state = changed(TaskStatus::Success);
    state.data =
        Some(Json::parse("{\"b\": 1.0, \"a\" :123456789012345678901234567890, \"n\": \"\\u0000\u{e9}\"}").unwrap());
    state.log = Some("line\r\n\u{0}\u{7f}\u{fffd}".into());
    commit(store, vec![task_changed(1, 0, state.clone())]).await;
    let kept = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!(*kept.tasks[0], state);
    assert_eq!(kept.job.name(), "\u{1f600} 'quoted\"");
}
