//! Reading jobs and parts of jobs.

use std::sync::Arc;

use hub_core::job::{Job, Limits};
use hub_core::{JobStatus, TaskStatus};

use super::Fixture;
use super::rows::{add, commit, ended, id, job, job_added, job_changed, retry, task_changed, task_state};
use super::steps::{found, ok};
use crate::store::Part;

pub(super) async fn unfinished_jobs_are_loaded_oldest_first(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for number in [3, 1, 2] {
        add(&*store, number, "j", 2).await;
    }
    let running = task_state(TaskStatus::Running);
    commit(&*store, vec![task_changed(2, 1, running.clone()), job_changed(1, ended(JobStatus::Failed))]).await;
    let unfinished = ok(store.load_unfinished()).await;
    assert_eq!(unfinished.iter().map(|job| job.id).collect::<Vec<_>>(), [id(3), id(2)]);
    assert_eq!(*unfinished[1].tasks[1], running);
    assert_eq!(unfinished[0].tasks.len(), 2);
}

pub(super) async fn jobs_are_found_by_their_tasks_and_keys(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    commit(&*store, vec![job_added(1, job("j", 1, Some("a"))), job_added(2, job("j", 1, Some("b")))]).await;
    assert_eq!(found(store.find_key("b")).await.id, id(2));
    assert!(ok(store.find_key("c")).await.is_none());
    assert_eq!(found(store.find_family(id(1).task(0).family())).await.id, id(1));
    assert!(ok(store.find_family(id(3).family())).await.is_none());
    // The values of the tasks may be large and are not read.
    commit(&*store, vec![task_changed(2, 0, task_state(TaskStatus::Success))]).await;
    for job in [found(store.find_key("b")).await, found(store.find_family(id(2).family())).await] {
        assert_eq!((job.tasks.len(), job.tasks[0].status), (1, TaskStatus::Pending));
    }
}

pub(super) async fn a_retry_is_added_with_its_kept_tasks_and_items_and_without_its_key(fixture: &dyn Fixture) {
    let store = &*fixture.open().await;
    let text = r#"{"name": "j", "key": "k", "tasks": [{"name": "a"}, {"name": "b", "for_each": 2}]}"#;
    let job = Arc::new(Job::parse(text, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}")));
    let item = job.first_item(1).expect("the task has items") + 1;
    let success = task_state(TaskStatus::Success);
    let retried = vec![
        job_added(1, job.without_key()),
        job_changed(1, retry()),
        task_changed(1, 0, success.clone()),
        task_changed(1, item, success.clone()),
    ];
    commit(store, retried).await;
    let whole = found(store.get_with_items(id(1))).await;
    assert_eq!((&*whole.tasks[0], whole.tasks[1].status), (&success, TaskStatus::Pending));
    assert_eq!(whole.items.iter().map(|(at, state)| (*at, &**state)).collect::<Vec<_>>(), [(item, &success)]);
    assert_eq!((whole.state, whole.job.key(), whole.job.source()), (retry(), None, text));
    assert!(ok(store.find_key("k")).await.is_none());
    assert_eq!(found(store.find_family(id(1).family())).await.job.key(), None);
    assert!(ok(store.get_with_items(id(7))).await.is_none());
}

pub(super) async fn parts_contain_the_selected_tasks(fixture: &dyn Fixture) {
    let store = &*fixture.open().await;
    add(store, 1, "j", 4).await;
    let success = task_state(TaskStatus::Success);
    commit(store, (0..3).map(|index| task_changed(1, index, success.clone())).collect()).await;
    let part = |tasks, data| async move { found(store.get_part(id(1), Part { tasks, bytes: usize::MAX, data })).await };
    let whole = part(0..9, true).await;
    assert_eq!((whole.end, whole.job.tasks), (4, found(store.get(id(1))).await.tasks));
    let some = part(1..3, true).await;
    let expected = [success.clone(), success].map(Arc::new);
    assert_eq!((some.end, &some.job.tasks[1..3]), (3, &expected[..]));
    let without = part(0..9, false).await.job;
    let task = &without.tasks[2];
    assert_eq!((task.status, task.msg.as_deref(), &task.data), (TaskStatus::Success, Some("no"), &None));
    let none = Part { tasks: 0..1, bytes: 0, data: true };
    assert!(ok(store.get_part(id(7), none)).await.is_none());
    let weight = found(store.weight(id(1), true)).await;
    assert!(weight > found(store.get(id(1))).await.job.source().len(), "{weight}");
    assert_eq!(ok(store.weight(id(1), false)).await, Some(without.weight()));
    assert_eq!(ok(store.weight(id(7), true)).await, None);
}
