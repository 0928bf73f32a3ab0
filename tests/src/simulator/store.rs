//! The store of a process: it takes time, can fail, and can be read again after a crash.

use std::sync::Arc;

use async_trait::async_trait;
use hub_core::action::Change;
use hub_core::cache::KeptResult;
use hub_core::definition::{Definition, Library, Reference, VersionSummary, Which};
use hub_core::digest::Digest;
use hub_core::id::Family;
use hub_core::job::Job;
use hub_core::job_details::PauseRecord;
use hub_core::schedule::{ScheduleSnapshot, ScheduleState};
use hub_core::state::{JobSnapshot, TaskState};
use hub_core::{JobId, Timestamp};
use hub_engine::operations::{DefinitionPage, JobFilter, JobPage};
use hub_engine::store::{Store, StoreError};

use super::event::Event;
use super::process::Process;
use super::sabotage::{self, Sabotage};

/// The store of a process.
pub struct SimStore(Arc<Process>);

impl SimStore {
    /// Creates it for this process.
    #[must_use]
    pub fn new(process: &Arc<Process>) -> Arc<Self> {
        Arc::new(Self(Arc::clone(process)))
    }

    async fn keep(&self, changes: &Arc<Vec<Change>>) -> Result<(), StoreError> {
        let world = self.0.world();
        let changes = sabotage::kept(world.sabotage, changes);
        world.kept.commit(Arc::clone(&changes)).await?;
        world.tell(Event::Kept(Arc::clone(&self.0.name), changes));
        Ok(())
    }

    /// Delays a read, which may fail.
    async fn read(&self, operation: &'static str) -> Result<(), StoreError> {
        let world = self.0.world();
        self.0.step().await;
        world.pass(world.dice.millis(0, world.weather.commit_ms)).await;
        self.0.step().await;
        if world.falls(world.weather.read_fails) {
            world.tell(Event::Fault(format!("{} cannot {operation} in the store", self.0.name)));
            return Err(failed(operation));
        }
        Ok(())
    }
}

impl SimStore {
    /// The same job with the newest versions of its definitions.
    async fn with_newest_definitions(&self, job: &Arc<Job>) -> Result<Arc<Job>, StoreError> {
        let library = Library::default();
        for reference in job.pins().references.keys() {
            let newest = Reference { name: Arc::clone(&reference.name), which: Which::Newest };
            library.insert(reference.clone(), self.0.world().kept.definition(&newest).await?);
        }
        let newest = Job::parse_accepted(job.source(), job.pins(), &library);
        Ok(newest.map_or_else(|_| Arc::clone(job), Arc::new))
    }
}

#[async_trait]
impl Store for SimStore {
    fn is_durable(&self) -> bool {
        true
    }

    async fn begin_incarnation(&self) -> Result<u64, StoreError> {
        self.read("begin an incarnation").await?;
        let incarnation = self.0.world().kept.begin_incarnation().await?;
        Ok(if self.0.world().sabotage == Some(Sabotage::OneIncarnation) { 1 } else { incarnation })
    }

    async fn commit(&self, changes: Arc<Vec<Change>>) -> Result<(), StoreError> {
        let world = Arc::clone(self.0.world());
        self.0.step().await;
        if world.sabotage == Some(Sabotage::AcknowledgeBeforeCommit) {
            let later = Self(Arc::clone(&self.0));
            tokio::spawn(async move {
                later.0.world().pass(sabotage::LATE).await;
                later.0.step().await;
                later.keep(&changes).await
            });
            return Ok(());
        }
        // The process may be killed between the write and its confirmation, before or after the delay.
        let takes = world.dice.millis(0, world.weather.commit_ms);
        if world.falls(world.weather.commit_fails) {
            world.tell(Event::Fault(format!("a commit of {} fails", self.0.name)));
            if world.dice.falls(0.5) {
                self.keep(&changes).await?;
            }
            world.pass(takes).await;
            self.0.step().await;
            return Err(failed("commit"));
        }
        if world.dice.falls(0.5) {
            self.keep(&changes).await?;
            world.pass(takes).await;
        } else {
            world.pass(takes).await;
            self.0.step().await;
            self.keep(&changes).await?;
        }
        self.0.step().await;
        Ok(())
    }

    async fn load_unfinished(&self) -> Result<Vec<JobSnapshot>, StoreError> {
        self.read("load").await?;
        let mut jobs = self.0.world().kept.load_unfinished().await?;
        self.0.world().tell(Event::Loaded(Arc::clone(&self.0.name)));
        if self.0.world().sabotage == Some(Sabotage::ForgetConfirmed) {
            jobs.iter_mut().flat_map(|job| &mut job.tasks).for_each(|task| Arc::make_mut(task).confirmed = false);
        }
        if self.0.world().sabotage == Some(Sabotage::ForgetFailures) {
            for task in jobs.iter_mut().flat_map(|job| &mut job.tasks).filter(|task| task.details.is_some()) {
                Arc::make_mut(task).details_mut().failures = 0;
            }
        }
        if self.0.world().sabotage == Some(Sabotage::ForgetDefaults) {
            for task in jobs.iter_mut().flat_map(|job| &mut job.tasks).filter(|task| task.details.is_some()) {
                Arc::make_mut(task).details_mut().defaults = None;
            }
        }
        if self.0.world().sabotage == Some(Sabotage::ForgetKept) {
            for task in jobs.iter_mut().flat_map(|job| &mut job.tasks) {
                if task.details.as_ref().is_some_and(|details| details.rare().kept_from.is_some()) {
                    *task = Arc::new(TaskState::pending());
                }
            }
        }
        if self.0.world().sabotage == Some(Sabotage::ForgetPins) {
            for job in &mut jobs {
                job.job = self.with_newest_definitions(&job.job).await?;
            }
        }
        for details in jobs.iter_mut().filter_map(|job| job.state.details.as_mut()).map(Arc::make_mut) {
            match self.0.world().sabotage {
                Some(Sabotage::ForgetPauses) => (details.pauses, details.clock) = Default::default(),
                Some(Sabotage::ForgetPhases) => (details.phase, details.verdict) = Default::default(),
                Some(Sabotage::ForgetParents) => details.parent = None,
                Some(Sabotage::ForgetRuns) => details.run = None,
                Some(Sabotage::ForgetSignals) => (details.signals, details.signal_keys) = Default::default(),
                _ => {}
            }
        }
        Ok(jobs)
    }

    async fn paused_pools(&self) -> Result<Vec<(Arc<str>, PauseRecord)>, StoreError> {
        self.read("load the paused pools").await?;
        self.0.world().kept.paused_pools().await
    }

    async fn kept_results(&self) -> Result<Vec<(Digest, KeptResult)>, StoreError> {
        self.read("load the kept results").await?;
        self.0.world().kept.kept_results().await
    }

    async fn schedules(&self) -> Result<Vec<ScheduleSnapshot>, StoreError> {
        self.read("load the schedules").await?;
        let mut schedules = self.0.world().kept.schedules().await?;
        if self.0.world().sabotage == Some(Sabotage::ForgetTimes) {
            for schedule in &mut schedules {
                let next_at = schedule.kept.schedule.next_after(schedule.kept.created_at);
                schedule.state = Arc::new(ScheduleState { next_at, ..ScheduleState::default() });
            }
        }
        Ok(schedules)
    }

    async fn definition(&self, reference: &Reference) -> Result<Option<Arc<Definition>>, StoreError> {
        self.read("read a definition").await?;
        self.0.world().kept.definition(reference).await
    }

    async fn definition_versions(
        &self,
        name: &str,
        before: u32,
        limit: usize,
    ) -> Result<Vec<VersionSummary>, StoreError> {
        self.read("read a definition").await?;
        self.0.world().kept.definition_versions(name, before, limit).await
    }

    async fn definitions(&self, after: Option<&str>, limit: usize) -> Result<DefinitionPage, StoreError> {
        self.read("read a definition").await?;
        self.0.world().kept.definitions(after, limit).await
    }

    async fn get(&self, id: JobId) -> Result<Option<JobSnapshot>, StoreError> {
        self.read("get").await?;
        self.0.world().kept.get(id).await
    }

    async fn find_family(&self, family: Family) -> Result<Option<JobSnapshot>, StoreError> {
        // The result may be outdated when it is used.
        let found = self.0.world().kept.find_family(family).await;
        self.read("find").await?;
        found
    }

    async fn find_key(&self, key: &str) -> Result<Option<JobSnapshot>, StoreError> {
        let found = self.0.world().kept.find_key(key).await;
        self.read("find").await?;
        found
    }

    async fn list(&self, filter: &JobFilter, now: Timestamp) -> Result<JobPage, StoreError> {
        self.read("list").await?;
        self.0.world().kept.list(filter, now).await
    }

    async fn prune(&self, keep: u64, limit: u32) -> Result<u64, StoreError> {
        self.0.step().await;
        self.0.world().kept.prune(keep, limit).await
    }
}

fn failed(operation: &'static str) -> StoreError {
    StoreError::Failed { operation, source: "a simulated fault".into() }
}
