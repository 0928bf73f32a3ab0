//! An index in memory of the jobs that the file may contain.
//!
//! Before a job is accepted, the store is searched for a job with the same family or key, and nearly always there is
//! none. So the families and keys are also kept in memory, with some twenty bytes each, up to a maximum number.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_core::id::Family;
use hub_engine::store::{Folded, Write};
use rusqlite::Connection;

/// Maximum number of jobs in the index. Larger files are always searched.
const MAXIMUM_JOBS: usize = 1_000_000;

/// The jobs that may be in the file. Clones share the index.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<Mutex<Entries>>);

/// A job that was removed from the file.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) family: Family,
    pub(super) key: Option<Box<str>>,
    /// Whether the same batch has added a job of the family again.
    pub(super) has_returned: bool,
    /// Its serial, if some of its tasks still have to be deleted.
    pub(super) left: Option<i64>,
}

#[derive(Debug, Default)]
struct Entries {
    families: HashSet<Family>,
    /// Number of additions minus removals of each key, at least the number in the file.
    keys: HashMap<Box<str>, u32>,
    /// Whether there were too many jobs, so that the index is empty.
    overflowed: bool,
}

impl Known {
    /// Builds the index of a file.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let known = Self::default();
        let mut statement = connection.prepare("SELECT family, key FROM jobs")?;
        let mut rows = statement.query([])?;
        let mut entries = known.entries();
        while let Some(row) = rows.next()? {
            entries.add(Family::from_bytes(row.get(0)?), row.get_ref(1)?.as_str_or_null()?);
        }
        drop(entries);
        Ok(known)
    }

    /// Adds the jobs of these writes. The writer calls this before it executes them, in the same order.
    pub(super) fn note(&self, writes: &[Folded<'_>]) {
        let mut entries = self.entries();
        for folded in writes {
            if let Write::AddJob { id, job, .. } = folded.write {
                entries.add(id.family(), job.key());
            }
        }
    }

    /// Removes these jobs.
    pub(super) fn forget(&self, jobs: impl IntoIterator<Item = Gone>) {
        let mut entries = self.entries();
        for Gone { family, key, has_returned, .. } in jobs {
            if !has_returned {
                entries.families.remove(&family);
            }
            if let Some(count) = key.as_deref().and_then(|key| entries.keys.get_mut(key)) {
                *count -= 1;
                if *count == 0 {
                    entries.keys.remove(key.as_deref().unwrap_or_default());
                }
            }
        }
    }

    /// Whether the file may contain a job of this family.
    pub(super) fn may_have_family(&self, family: Family) -> bool {
        let entries = self.entries();
        entries.overflowed || entries.families.contains(&family)
    }

    /// Whether the file may contain a job with this key.
    pub(super) fn may_have_key(&self, key: &str) -> bool {
        let entries = self.entries();
        entries.overflowed || entries.keys.contains_key(key)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn add(&mut self, family: Family, key: Option<&str>) {
        if self.overflowed {
            return;
        }
        self.families.insert(family);
        if let Some(key) = key {
            *self.keys.entry(key.into()).or_default() += 1;
        }
        if self.families.len().max(self.keys.len()) > MAXIMUM_JOBS {
            self.families = HashSet::new();
            self.keys = HashMap::new();
            self.overflowed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(number: u8) -> Family {
        Family::from_bytes([number; 12])
    }

    #[test]
    fn existing_jobs_are_found() {
        let known = Known::default();
        known.entries().add(family(1), Some("k"));
        known.entries().add(family(2), Some("k"));
        let gone = |number| Gone { family: family(number), key: Some("k".into()), has_returned: false, left: None };
        known.forget([gone(1)]);
        assert!(!known.may_have_family(family(1)) && known.may_have_family(family(2)));
        assert!(known.may_have_key("k") && !known.may_have_key("l"));
        known.forget([gone(2)]);
        assert!(!known.may_have_key("k"));
    }

    #[test]
    fn an_overflowed_index_excludes_nothing() {
        let known = Known::default();
        let mut entries = known.entries();
        for number in 0..=MAXIMUM_JOBS as u32 {
            let mut bytes = [0; 12];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            entries.add(Family::from_bytes(bytes), None);
        }
        drop(entries);
        assert!(known.may_have_family(family(255)) && known.may_have_key("any"));
    }
}
