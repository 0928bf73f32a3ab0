//! The kept results of tasks, within limits. They are in memory, because a task must not wait for the store at its gate; the
//! store has the same ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::Timestamp;
use crate::action::{Action, Change};
use crate::cache::KeptResult;
use crate::digest::Digest;

/// Number of expired results that are removed when another one is kept.
const MAXIMUM_EXPIRED_AT_ONCE: usize = 64;
/// Approximate memory of a result without its value, in bytes.
const RESULT_BYTES: usize = 400;
/// Part of the memory that one result may take.
const MAXIMUM_PART: usize = 64;

/// The kept results.
#[derive(Debug)]
pub(super) struct KeptResults {
    maximum_results: usize,
    maximum_bytes: usize,
    results: BTreeMap<Digest, KeptResult>,
    /// In the order in which they were kept.
    by_age: BTreeSet<(Timestamp, Digest)>,
    /// In the order in which they expire.
    by_end: BTreeSet<(Timestamp, Digest)>,
    bytes: usize,
}

impl KeptResults {
    pub(super) const fn new(maximum_results: usize, maximum_bytes: usize) -> Self {
        Self {
            maximum_results,
            maximum_bytes,
            results: BTreeMap::new(),
            by_age: BTreeSet::new(),
            by_end: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// The result under this key, unless it has expired.
    pub(super) fn get(&self, key: Digest, now: Timestamp) -> Option<&KeptResult> {
        self.results.get(&key).filter(|kept| now < kept.until)
    }

    /// Maximum size of a result that is kept, in bytes.
    pub(super) const fn maximum_value(&self) -> usize {
        self.maximum_bytes / MAXIMUM_PART
    }

    /// Keeps a result in place of the one before. Removes expired results, and the oldest ones beyond the limits.
    pub(super) fn keep(&mut self, key: Digest, kept: KeptResult, now: Timestamp, actions: &mut Vec<Action>) {
        self.remove_expired(MAXIMUM_EXPIRED_AT_ONCE, now, actions);
        if self.maximum_results == 0 {
            return;
        }
        self.insert(key, kept.clone());
        actions.push(persist(key, Some(kept)));
        self.remove_oldest(actions);
    }

    /// Takes in the results that the store has. Removes those that have expired or are beyond the limits.
    pub(super) fn restore(&mut self, kept: Vec<(Digest, KeptResult)>, now: Timestamp, actions: &mut Vec<Action>) {
        kept.into_iter().for_each(|(key, kept)| self.insert(key, kept));
        self.remove_expired(usize::MAX, now, actions);
        self.remove_oldest(actions);
    }

    /// All results, by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Digest, &KeptResult)> {
        self.results.iter()
    }

    fn insert(&mut self, key: Digest, kept: KeptResult) {
        self.take(key);
        self.bytes += bytes_of(&kept);
        self.by_age.insert((kept.kept_at, key));
        self.by_end.insert((kept.until, key));
        self.results.insert(key, kept);
    }

    fn take(&mut self, key: Digest) {
        let Some(kept) = self.results.remove(&key) else { return };
        self.bytes -= bytes_of(&kept);
        self.by_age.remove(&(kept.kept_at, key));
        self.by_end.remove(&(kept.until, key));
    }

    fn remove_expired(&mut self, at_once: usize, now: Timestamp, actions: &mut Vec<Action>) {
        for _ in 0..at_once {
            let Some((_, key)) = self.by_end.first().copied().filter(|(until, _)| *until <= now) else { return };
            self.take(key);
            actions.push(persist(key, None));
        }
    }

    fn remove_oldest(&mut self, actions: &mut Vec<Action>) {
        while (self.results.len() > self.maximum_results || self.bytes > self.maximum_bytes)
            && let Some((_, key)) = self.by_age.first().copied()
        {
            self.take(key);
            actions.push(persist(key, None));
        }
    }
}

fn bytes_of(kept: &KeptResult) -> usize {
    RESULT_BYTES + kept.data.get().len()
}

const fn persist(key: Digest, kept: Option<KeptResult>) -> Action {
    Action::Persist(Change::ResultKept { key, kept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::CachedFrom;
    use crate::{JobId, Json};

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn kept(kept_at: u64, until: u64, bytes: usize) -> KeptResult {
        let job = JobId::new(uuid::Uuid::from_u128(1 << 64));
        let data = Json::string(&"x".repeat(bytes.saturating_sub(2)));
        KeptResult { from: CachedFrom { job, task: job.task(0) }, kept_at: at(kept_at), until: at(until), data }
    }

    fn key(number: u8) -> Digest {
        Digest::of(&[number])
    }

    /// The keys of the results that are kept (`true`) or removed.
    fn changes(actions: &[Action]) -> Vec<(Digest, bool)> {
        let change = |action: &Action| match action {
            Action::Persist(Change::ResultKept { key, kept }) => (*key, kept.is_some()),
            other => panic!("{other:?}"),
        };
        actions.iter().map(change).collect()
    }

    #[test]
    fn the_oldest_results_are_removed_beyond_the_limits() {
        let mut results = KeptResults::new(2, usize::MAX);
        let mut actions = Vec::new();
        for number in 1..=3 {
            results.keep(key(number), kept(u64::from(number), 1000, 10), at(3), &mut actions);
        }
        assert_eq!(changes(&actions), [(key(1), true), (key(2), true), (key(3), true), (key(1), false)]);
        assert_eq!([1, 2, 3].map(|number| results.get(key(number), at(3)).is_some()), [false, true, true]);

        let mut results = KeptResults::new(100, 3 * RESULT_BYTES + 20);
        let mut actions = Vec::new();
        results.keep(key(1), kept(1, 1000, 10), at(1), &mut actions);
        results.keep(key(2), kept(2, 1000, 10), at(2), &mut actions);
        results.keep(key(1), kept(3, 1000, 10), at(3), &mut actions);
        results.keep(key(3), kept(4, 1000, 10), at(4), &mut actions);
        let expected = [(key(1), true), (key(2), true), (key(1), true), (key(3), true), (key(2), false)];
        assert_eq!(changes(&actions), expected, "a result that is kept again is a new one");
        assert_eq!(results.bytes, 2 * (RESULT_BYTES + 10));
    }

    #[test]
    fn expired_results_are_not_found_and_removed_later() {
        let mut results = KeptResults::new(1000, usize::MAX);
        let mut actions = Vec::new();
        for number in 0..=MAXIMUM_EXPIRED_AT_ONCE as u8 {
            results.keep(key(number), kept(1, 10, 2), at(1), &mut actions);
        }
        assert!(results.get(key(0), at(9)).is_some() && results.get(key(0), at(10)).is_none());
        actions.clear();
        results.keep(key(200), kept(10, 20, 2), at(10), &mut actions);
        assert_eq!((actions.len(), results.results.len()), (MAXIMUM_EXPIRED_AT_ONCE + 1, 2));
        let stored = results.iter().map(|(key, kept)| (*key, kept.clone())).collect();
        let mut restored = KeptResults::new(1000, usize::MAX);
        actions.clear();
        restored.restore(stored, at(19), &mut actions);
        assert_eq!((actions.len(), restored.results.len(), restored.by_age.len(), restored.by_end.len()), (1, 1, 1, 1));
        actions.clear();
        KeptResults::new(0, 0).restore(vec![(key(1), kept(1, 50, 2))], at(19), &mut actions);
        assert_eq!(changes(&actions), [(key(1), false)], "the limits may be lower than before");
    }
}
