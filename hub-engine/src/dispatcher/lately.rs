//! Recently accepted jobs, which a look-up in the store may have missed.
//!
//! Before a job is accepted, it is looked up in the store outside the loop. Before the answer arrives, the same job may
//! have been accepted from another submission, and may even have ended. So a job is remembered from its acceptance
//! until its end is stored and all look-ups that began before have finished.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_core::JobId;
use hub_core::id::Family;
use hub_core::job::Job;

use super::discard::discard;

/// Tracks look-ups. Clones share their state.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookups(Arc<Mutex<Tickets>>);

#[derive(Debug, Default)]
struct Tickets {
    next: u64,
    open: BTreeSet<u64>,
}

/// A look-up in progress, until this is dropped.
#[derive(Debug)]
pub(super) struct Lookup {
    lookups: Lookups,
    ticket: u64,
}

/// The recently accepted jobs.
#[derive(Debug)]
pub(super) struct Lately {
    lookups: Lookups,
    jobs: HashMap<Family, (JobId, Arc<Job>)>,
    keys: HashMap<String, Family>,
    /// Jobs whose end is stored, and the first look-up that finds it.
    kept: VecDeque<(u64, Family)>,
}

impl Lookups {
    /// Begins a look-up.
    pub(super) fn begin(&self) -> Lookup {
        let mut tickets = self.tickets();
        let ticket = tickets.next;
        tickets.next += 1;
        tickets.open.insert(ticket);
        Lookup { lookups: self.clone(), ticket }
    }

    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        // No code panics while holding this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.lookups.tickets().open.remove(&self.ticket);
    }
}

impl Lately {
    /// Creates an empty set.
    pub(super) fn new(lookups: Lookups) -> Self {
        Self { lookups, jobs: HashMap::new(), keys: HashMap::new(), kept: VecDeque::new() }
    }

    /// Adds an accepted job.
    pub(super) fn let_in(&mut self, id: JobId, job: &Arc<Job>) {
        self.jobs.insert(id.family(), (id, Arc::clone(job)));
        if let Some(key) = job.key() {
            self.keys.insert(key.to_owned(), id.family());
        }
    }

    /// The job with this id, a colliding id, or this key.
    pub(super) fn find(&self, id: JobId, key: Option<&str>) -> Option<&(JobId, Arc<Job>)> {
        self.jobs.get(&id.family()).or_else(|| self.jobs.get(self.keys.get(key?)?))
    }

    /// The end of a job is stored.
    pub(super) fn keep(&mut self, id: JobId) {
        self.kept.push_back((self.lookups.tickets().next, id.family()));
    }

    /// Removes the jobs that every look-up finds in the store.
    pub(super) fn forget_old(&mut self) {
        let oldest = self.lookups.tickets().open.first().copied().unwrap_or(u64::MAX);
        while let Some((_, family)) = self.kept.pop_front_if(|(first, _)| *first <= oldest) {
            self.forget(family);
        }
    }

    /// Removes a job.
    pub(super) fn forget(&mut self, family: Family) {
        let Some((_, job)) = self.jobs.remove(&family) else { return };
        if let Some(key) = job.key() {
            self.keys.remove(key);
        }
        let tasks = job.tasks().len();
        discard(job, tasks);
    }
}

#[cfg(test)]
mod tests {
    use hub_core::job::Limits;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_job_is_remembered_until_every_lookup_finds_it() {
        let text = r#"{"name": "j", "key": "k", "tasks": [{"name": "a"}]}"#;
        let job = Arc::new(Job::parse(text, &Limits::default()).unwrap());
        let (id, other) = (JobId::new(Uuid::from_u128(1 << 64)), JobId::new(Uuid::from_u128(2 << 64)));
        let lookups = Lookups::default();
        let mut lately = Lately::new(lookups.clone());
        let before = lookups.begin();
        lately.let_in(id, &job);
        lately.keep(id);
        let after = lookups.begin();
        lately.forget_old();
        assert_eq!(lately.find(id, None).map(|(id, _)| *id), Some(id));
        assert_eq!(lately.find(other, Some("k")).map(|(id, _)| *id), Some(id));
        drop(before);
        lately.forget_old();
        assert!(lately.find(id, Some("k")).is_none());
        drop(after);
        assert!(lookups.tickets().open.is_empty());
    }
}
