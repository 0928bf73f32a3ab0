//! The store: one thread that writes, and connections that read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::action::Change;
use hub_core::cache::KeptResult;
use hub_core::definition::{Definition, Reference, VersionSummary};
use hub_core::digest::Digest;
use hub_core::id::Family;
use hub_core::job_details::PauseRecord;
use hub_core::schedule::ScheduleSnapshot;
use hub_core::state::{JobSnapshot, JobSummary};
use hub_core::{JobId, Timestamp};
use hub_engine::operations::{DefinitionPage, JobFilter, JobPage};
use hub_engine::store::{JobPart, Part, Store, StoreError, page_of};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::failure::{failed, meaning};
use super::identity::Identity;
use super::kept_results::kept_results;
use super::known::Known;
use super::lock::Lock;
use super::log::Doubt;
use super::readers::Readers;
use super::search::Search;
use super::settings::SqliteSettings;
use super::writer::{Order, Writer};
use super::{definitions, filesystem, read, schedules, schema};

/// Maximum time to wait for running queries when the store is closed.
const READERS_TIMEOUT: Duration = Duration::from_secs(5);

/// Stores jobs in a file. Dropping it completes operations in progress and closes the file.
#[derive(Debug)]
pub struct SqliteStore {
    orders: Option<mpsc::Sender<Order>>,
    writing: Option<JoinHandle<()>>,
    readers: Readers,
    known: Known,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens or creates the store, and migrates a file of an older version.
    ///
    /// # Errors
    /// If another process has the store open, the file is not a store or has a newer version, or it cannot be read or
    /// written.
    pub fn open(settings: SqliteSettings) -> Result<Self, StoreError> {
        let settings = SqliteSettings { path: resolve(&settings.path), ..settings };
        let lock = Lock::take(&settings.path)?;
        Self::start(settings, lock).map_err(schema::blame_log)
    }

    fn start(settings: SqliteSettings, lock: Lock) -> Result<Self, StoreError> {
        let connection = schema::open_to_write(&settings.path, settings.max_bytes)?;
        filesystem::warn_of_network(&settings.path);
        filesystem::warn_of_hard_links(&settings.path);
        let path: Arc<Path> = settings.path.clone().into();
        let known = Known::read(&connection).map_err(|error| meaning("read which jobs there are", &path, error))?;
        let identity = Identity::of(&path).map_err(failed("look at the file"))?;
        let (orders, inbox) = mpsc::channel();
        let doubt = Doubt::default();
        let writer = Writer::new(settings, connection, identity.clone(), known.clone(), doubt.clone())?;
        let writing = std::thread::Builder::new()
            .name("hub-store".to_owned())
            .spawn(move || writer.run(&inbox))
            .map_err(failed("start the writer"))?;
        Ok(Self {
            orders: Some(orders),
            writing: Some(writing),
            readers: Readers::new(path, identity, doubt),
            known,
            _lock: lock,
        })
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Order,
    ) -> Result<T, StoreError> {
        let (done, outcome) = oneshot::channel();
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send(order(done)).is_ok());
        match outcome.await {
            Ok(outcome) if sent => outcome,
            _ => Err(StoreError::Closed),
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.readers.close(READERS_TIMEOUT);
        drop(self.orders.take());
        if let Some(writing) = self.writing.take()
            && writing.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn is_durable(&self) -> bool {
        true
    }

    async fn begin_incarnation(&self) -> Result<u64, StoreError> {
        self.order(Order::Begin).await
    }

    async fn commit(&self, changes: Arc<Vec<Change>>) -> Result<(), StoreError> {
        self.order(|done| Order::Commit(changes, done)).await
    }

    async fn load_unfinished(&self) -> Result<Vec<JobSnapshot>, StoreError> {
        self.readers.read("read the unfinished jobs", read::unfinished).await
    }

    async fn paused_pools(&self) -> Result<Vec<(Arc<str>, PauseRecord)>, StoreError> {
        self.readers.read("read the paused pools", read::paused_pools).await
    }

    async fn kept_results(&self) -> Result<Vec<(Digest, KeptResult)>, StoreError> {
        self.readers.read("read the kept results", kept_results).await
    }

    async fn schedules(&self) -> Result<Vec<ScheduleSnapshot>, StoreError> {
        self.readers.read("read the schedules", schedules::all).await
    }

    async fn definition(&self, reference: &Reference) -> Result<Option<Arc<Definition>>, StoreError> {
        let reference = reference.clone();
        self.readers.read("read a definition", move |connection| definitions::find(connection, &reference)).await
    }

    async fn definition_versions(
        &self,
        name: &str,
        before: u32,
        limit: usize,
    ) -> Result<Vec<VersionSummary>, StoreError> {
        let name = name.to_owned();
        let read = move |connection: &mut Connection| definitions::versions(connection, &name, before, limit);
        self.readers.read("read the versions of a definition", read).await
    }

    async fn definitions(&self, after: Option<&str>, limit: usize) -> Result<DefinitionPage, StoreError> {
        let after = after.map(str::to_owned);
        let read = move |connection: &mut Connection| definitions::page(connection, after.as_deref(), limit);
        self.readers.read("list the definitions", read).await
    }

    async fn get(&self, id: JobId) -> Result<Option<JobSnapshot>, StoreError> {
        self.readers.read("read a job", move |connection| read::by_id(connection, id, false)).await
    }

    async fn get_with_items(&self, id: JobId) -> Result<Option<JobSnapshot>, StoreError> {
        self.readers.read("read a job", move |connection| read::by_id(connection, id, true)).await
    }

    async fn summary(&self, id: JobId) -> Result<Option<JobSummary>, StoreError> {
        self.readers.read("read a job", move |connection| read::summary(connection, id)).await
    }

    async fn weight(&self, id: JobId, data: bool) -> Result<Option<usize>, StoreError> {
        self.readers.read("read how large a job is", move |connection| read::weight(connection, id, data)).await
    }

    async fn get_part(&self, id: JobId, part: Part) -> Result<Option<JobPart>, StoreError> {
        self.readers.read("read tasks of a job", move |connection| read::part(connection, id, &part)).await
    }

    async fn find_family(&self, family: Family) -> Result<Option<JobSnapshot>, StoreError> {
        if !self.known.may_have_family(family) {
            return Ok(None);
        }
        self.readers.read("look for a job by a task's id", move |connection| read::by_family(connection, family)).await
    }

    async fn find_key(&self, key: &str) -> Result<Option<JobSnapshot>, StoreError> {
        if !self.known.may_have_key(key) {
            return Ok(None);
        }
        let key = key.to_owned();
        self.readers.read("look for a job by its key", move |connection| read::by_key(connection, &key)).await
    }

    async fn list(&self, filter: &JobFilter, now: Timestamp) -> Result<JobPage, StoreError> {
        let (before, limit) = page_of(filter)?;
        let search = Search::new(filter, now);
        self.readers.read("list jobs", move |connection| search.page(connection, before, limit)).await
    }

    async fn prune(&self, keep: u64, limit: u32) -> Result<u64, StoreError> {
        let mut pruned = 0;
        loop {
            let limit = u64::from(limit) - pruned;
            if limit == 0 {
                return Ok(pruned);
            }
            match self.order(|done| Order::Prune { keep, limit, done }).await? {
                0 => return Ok(pruned),
                more => pruned += more,
            }
        }
    }

    async fn close(&self) {
        let readers = self.readers.clone();
        let _ = tokio::task::spawn_blocking(move || readers.close(READERS_TIMEOUT)).await;
        // If the writer has ended, there is nothing to close.
        let _ = self.order(Order::Close).await;
    }
}

/// Resolves symbolic links to the path of the store, also if it does not exist yet. So one store has one set of files
/// and one lock.
fn resolve(path: &Path) -> PathBuf {
    match (std::fs::canonicalize(path), std::fs::read_link(path)) {
        (Ok(path), _) => path,
        // Chains of such links end; a cycle of links is another error.
        (Err(error), Ok(target)) if error.kind() == ErrorKind::NotFound => {
            resolve(&path.parent().unwrap_or(path).join(target))
        }
        _ => path.to_owned(),
    }
}
