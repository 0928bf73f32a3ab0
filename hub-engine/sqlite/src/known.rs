//! Which jobs the file may have, known without looking into it.
//!
//! Before a job is let in the store is asked for another of its family or key, and nearly always there is none. So the
//! families and keys of the file are kept in memory too: a dozen bytes and a few for each, and only up to a number.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_core::id::Family;
use hub_engine::store::{Folded, Write};
use rusqlite::Connection;

/// Files with more jobs are looked into.
const MOST: usize = 1_000_000;

/// What may be in the file. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<Mutex<Entries>>);

/// A job that was taken out of the file.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) family: Family,
    pub(super) key: Option<Box<str>>,
    /// The same batch has added a job of the family again.
    pub(super) has_returned: bool,
    /// Where it was, if tasks of it are still to be deleted.
    pub(super) left: Option<i64>,
}

#[derive(Debug, Default)]
struct Entries {
    families: HashSet<Family>,
    /// How often each key was added and not taken out: at least as often as the file has it.
    keys: HashMap<Box<str>, u32>,
    /// There were too many, and nothing is known.
    overflown: bool,
}

impl Known {
    /// What this file has.
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

    /// These writes are about to be carried out. The writer calls this, so the order is the same.
    pub(super) fn note(&self, writes: &[Folded<'_>]) {
        let mut entries = self.entries();
        for folded in writes {
            if let Write::AddJob { id, job, .. } = folded.write {
                entries.add(id.family(), job.key());
            }
        }
    }

    /// These jobs are gone.
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

    /// Whether a job of this family may be there.
    pub(super) fn may_have_family(&self, family: Family) -> bool {
        let entries = self.entries();
        entries.overflown || entries.families.contains(&family)
    }

    /// Whether a job with this key may be there.
    pub(super) fn may_have_key(&self, key: &str) -> bool {
        let entries = self.entries();
        entries.overflown || entries.keys.contains_key(key)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn add(&mut self, family: Family, key: Option<&str>) {
        if self.overflown {
            return;
        }
        self.families.insert(family);
        if let Some(key) = key {
            *self.keys.entry(key.into()).or_default() += 1;
        }
        if self.families.len().max(self.keys.len()) > MOST {
            self.families = HashSet::new();
            self.keys = HashMap::new();
            self.overflown = true;
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
    fn what_may_be_there_is_not_denied() {
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
    fn of_too_many_nothing_is_said() {
        let known = Known::default();
        let mut entries = known.entries();
        for number in 0..=MOST as u32 {
            let mut bytes = [0; 12];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            entries.add(Family::from_bytes(bytes), None);
        }
        drop(entries);
        assert!(known.may_have_family(family(255)) && known.may_have_key("any"));
    }
}
