//! What tests of stores have in common: stores, jobs and changes to put into them.

#![allow(dead_code, reason = "each test program uses a part")]

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use hub_core::action::Change;
use hub_core::id::Family;
use hub_core::job::{Job, Limits};
use hub_core::state::{ErrorKind, FirstFailure, JobSnapshot, JobState, TaskError, TaskState};
use hub_core::{Issue, JobId, JobStatus, Json, TaskStatus, Timestamp};
use hub_engine::operations::{JobFilter, JobPage};
use hub_engine::store::{MemoryStore, Store, StoreError};
use hub_sqlite::{SqliteSettings, SqliteStore};
use serde_json::json;
use uuid::Uuid;

/// The store in memory.
pub(crate) fn memory() -> Box<dyn Store> {
    Box::new(MemoryStore::new())
}

/// The store in a file of this directory.
pub(crate) fn sqlite(directory: &Path) -> Box<dyn Store> {
    Box::new(SqliteStore::open(SqliteSettings::new(directory.join("hub.db"))).unwrap())
}

/// What a crash leaves: the files as they are while the store is open.
pub(crate) fn crash(from: &Path, to: &Path) {
    for name in ["hub.db", "hub.db-wal"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// The id of the test's n-th job.
pub(crate) fn id(number: u128) -> JobId {
    JobId::new(Uuid::from_u128(0x0190_b4c2_7b1a_7000_8000_0000_0000_0000 | number << 32 | 0xffff_fff0))
}

/// A job of so many independent tasks.
pub(crate) fn job(name: &str, tasks: usize, key: Option<&str>) -> Arc<Job> {
    let tasks: Vec<_> = (0..tasks).map(|at| json!({"name": format!("t{at}"), "task_name": "run"})).collect();
    let mut text = json!({"name": name, "tasks": tasks});
    if let Some(key) = key {
        text["key"] = key.into();
    }
    Arc::new(Job::parse(&text.to_string(), &Limits::default()).unwrap())
}

/// The state of a job that runs since then.
pub(crate) fn running(since: u64) -> JobState {
    JobState {
        status: JobStatus::Running,
        started_at: Some(Timestamp::from_millis(since + 1)),
        ..JobState::pending(Timestamp::from_millis(since))
    }
}

/// The same, ended.
pub(crate) fn end(state: JobState, status: JobStatus) -> JobState {
    let (output, msg) = (Some(Json::parse("[1]").unwrap()), Some("because".into()));
    let first_failure = Some(Arc::new(FirstFailure { task: "t0".into(), msg: "bad".into() }));
    JobState { status, output, msg, first_failure, ended_at: Some(Timestamp::from_millis(9)), ..state }
}

/// A task's state with something in every place.
pub(crate) fn changed(status: TaskStatus) -> TaskState {
    let error = TaskError {
        kind: ErrorKind::TaskFailed,
        type_name: Some("ValueError".into()),
        traceback: Some("File \"x\"\n".into()),
    };
    TaskState {
        status,
        issue: Some(Issue { number: 3, incarnation: u64::MAX }),
        confirmed: true,
        launched: true,
        deaths: 2,
        worker: Some("host-1".into()),
        data: Some(Json::parse("[1, 2]").unwrap()),
        msg: Some("no".into()),
        error: Some(Arc::new(error)),
        log: Some("printed".into()),
        submitted_at: Some(Timestamp::from_millis(1)),
        started_at: Some(Timestamp::from_millis(2)),
        ended_at: status.is_terminal().then(|| Timestamp::from_millis(3)),
    }
}

/// A task of the n-th job now stands like this.
pub(crate) fn task_changed(number: u128, index: u32, state: TaskState) -> Change {
    Change::TaskChanged { job: id(number), index, state: Arc::new(state) }
}

/// Adds the n-th job.
pub(crate) async fn add(store: &dyn Store, number: u128, name: &str, tasks: usize) {
    let submitted_at = Timestamp::from_millis(1);
    commit(store, vec![Change::JobAdded { id: id(number), job: job(name, tasks, None), submitted_at }]).await;
}

/// Commits.
pub(crate) async fn commit(store: &dyn Store, changes: Vec<Change>) {
    store.commit(Arc::new(changes)).await.unwrap();
}

/// What happens before a commit.
type BeforeCommit = Box<dyn Fn(&[Change]) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// A store in memory that does something before each commit, or refuses it.
pub(crate) struct Hooked {
    kept: MemoryStore,
    before_commit: BeforeCommit,
}

impl Hooked {
    pub(crate) fn new(
        before_commit: impl Fn(&[Change]) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync + 'static,
    ) -> Self {
        Self { kept: MemoryStore::new(), before_commit: Box::new(before_commit) }
    }
}

#[async_trait]
impl Store for Hooked {
    fn is_durable(&self) -> bool {
        true
    }

    async fn begin_incarnation(&self) -> Result<u64, StoreError> {
        self.kept.begin_incarnation().await
    }

    async fn commit(&self, changes: Arc<Vec<Change>>) -> Result<(), StoreError> {
        (self.before_commit)(&changes).await?;
        self.kept.commit(changes).await
    }

    async fn load_unfinished(&self) -> Result<Vec<JobSnapshot>, StoreError> {
        self.kept.load_unfinished().await
    }

    async fn get(&self, id: JobId) -> Result<Option<JobSnapshot>, StoreError> {
        self.kept.get(id).await
    }

    async fn find_family(&self, family: Family) -> Result<Option<JobSnapshot>, StoreError> {
        self.kept.find_family(family).await
    }

    async fn find_key(&self, key: &str) -> Result<Option<JobSnapshot>, StoreError> {
        self.kept.find_key(key).await
    }

    async fn list(&self, filter: &JobFilter) -> Result<JobPage, StoreError> {
        self.kept.list(filter).await
    }

    async fn prune(&self, keep: u64, limit: u32) -> Result<u64, StoreError> {
        self.kept.prune(keep, limit).await
    }
}
