//! A store in memory with injected faults.

#![allow(dead_code, reason = "each test program uses a part")]

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use hub_core::action::Change;
use hub_core::cache::KeptResult;
use hub_core::definition::{Definition, Reference, VersionSummary};
use hub_core::digest::Digest;
use hub_core::id::Family;
use hub_core::job_details::PauseRecord;
use hub_core::schedule::ScheduleSnapshot;
use hub_core::state::JobSnapshot;
use hub_core::{JobId, Timestamp};
use hub_engine::operations::{DefinitionPage, JobFilter, JobPage};
use hub_engine::store::{MemoryStore, Store, StoreError};

/// A hook before each commit.
type BeforeCommit = Box<dyn Fn(&[Change]) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// A store in memory with a hook before each commit, which can refuse it or lose changes.
pub(crate) struct Hooked {
    kept: MemoryStore,
    is_durable: bool,
    before_commit: BeforeCommit,
    loses: fn(&Change) -> bool,
}

impl Hooked {
    pub(crate) fn new(
        before_commit: impl Fn(&[Change]) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync + 'static,
    ) -> Self {
        Self { kept: MemoryStore::new(), is_durable: true, before_commit: Box::new(before_commit), loses: |_| false }
    }

    /// Not durable, and loses these changes.
    pub(crate) fn losing(loses: fn(&Change) -> bool) -> Self {
        Self { is_durable: false, loses, ..Self::new(|_| Box::pin(async { Ok(()) })) }
    }
}

#[async_trait]
impl Store for Hooked {
    fn is_durable(&self) -> bool {
        self.is_durable
    }

    async fn begin_incarnation(&self) -> Result<u64, StoreError> {
        self.kept.begin_incarnation().await
    }

    async fn commit(&self, changes: Arc<Vec<Change>>) -> Result<(), StoreError> {
        (self.before_commit)(&changes).await?;
        self.kept.commit(Arc::new(changes.iter().filter(|change| !(self.loses)(change)).cloned().collect())).await
    }

    async fn load_unfinished(&self) -> Result<Vec<JobSnapshot>, StoreError> {
        self.kept.load_unfinished().await
    }

    async fn paused_pools(&self) -> Result<Vec<(Arc<str>, PauseRecord)>, StoreError> {
        self.kept.paused_pools().await
    }

    async fn kept_results(&self) -> Result<Vec<(Digest, KeptResult)>, StoreError> {
        self.kept.kept_results().await
    }

    async fn schedules(&self) -> Result<Vec<ScheduleSnapshot>, StoreError> {
        self.kept.schedules().await
    }

    async fn definition(&self, reference: &Reference) -> Result<Option<Arc<Definition>>, StoreError> {
        self.kept.definition(reference).await
    }

    async fn definition_versions(
        &self,
        name: &str,
        before: u32,
        limit: usize,
    ) -> Result<Vec<VersionSummary>, StoreError> {
        self.kept.definition_versions(name, before, limit).await
    }

    async fn definitions(&self, after: Option<&str>, limit: usize) -> Result<DefinitionPage, StoreError> {
        self.kept.definitions(after, limit).await
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

    async fn list(&self, filter: &JobFilter, now: Timestamp) -> Result<JobPage, StoreError> {
        self.kept.list(filter, now).await
    }

    async fn prune(&self, keep: u64, limit: u32) -> Result<u64, StoreError> {
        self.kept.prune(keep, limit).await
    }
}
