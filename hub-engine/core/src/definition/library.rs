//! The definitions that the parser of a job knows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::reference::{Pin, Reference};
use super::version::Definition;
use crate::job::{Job, SubJob};

/// The definitions that the parser of a job knows. It is pure, so it cannot look for the others: it notes which ones it has missed
/// ([`Library::take_missing`]). The caller adds these, and parses again. Clones share their state.
#[derive(Clone, Default)]
pub struct Library(Arc<Mutex<Shelves>>);

#[derive(Default)]
struct Shelves {
    /// `None`: there is no such definition.
    known: BTreeMap<Reference, Option<Arc<Definition>>>,
    missing: Vec<Reference>,
    /// What may be meant by references that stand for nothing.
    hints: BTreeMap<Reference, String>,
    parsed: BTreeMap<Pin, Parsed>,
}

/// A definition that was parsed, or is being parsed.
#[derive(Clone)]
pub(crate) enum Parsed {
    /// It is being parsed. A reference to it at this point means that it runs itself.
    Begun,
    /// Too many definitions are being parsed, each because of the one before.
    TooDeep,
    /// The job, or the first of its problems.
    Done(Result<Arc<Job>, String>),
}

impl Library {
    /// Adds what a reference stands for. `None`: there is no such definition.
    pub fn insert(&self, reference: Reference, definition: Option<Arc<Definition>>) {
        self.shelves().known.insert(reference, definition);
    }

    /// Adds a reference that stands for nothing, and what may be meant by it.
    pub fn insert_unknown(&self, reference: Reference, hint: String) {
        let mut shelves = self.shelves();
        shelves.hints.insert(reference.clone(), hint);
        shelves.known.insert(reference, None);
    }

    /// The references that the parser has met since the last call and that were not in the library. Forgets the parsed definitions.
    #[must_use]
    pub fn take_missing(&self) -> Vec<Reference> {
        let mut shelves = self.shelves();
        // A definition is parsed again, with those that it refers to.
        shelves.parsed.clear();
        std::mem::take(&mut shelves.missing)
    }

    /// What a reference stands for. `None` if that is not known.
    pub(crate) fn find(&self, reference: &Reference) -> Option<Arc<Definition>> {
        let mut shelves = self.shelves();
        if let Some(known) = shelves.known.get(reference) {
            return known.clone();
        }
        if !shelves.missing.contains(reference) {
            shelves.missing.push(reference.clone());
        }
        None
    }

    /// What may be meant by a reference that stands for nothing.
    pub(crate) fn hint(&self, reference: &Reference) -> Option<String> {
        self.shelves().hints.get(reference).cloned()
    }

    /// Notes that a definition is being parsed, or returns what is known of it.
    pub(crate) fn begin(&self, pin: &Pin) -> Option<Parsed> {
        let mut shelves = self.shelves();
        if let Some(known) = shelves.parsed.get(pin) {
            return Some(known.clone());
        }
        let open = shelves.parsed.values().filter(|parsed| matches!(parsed, Parsed::Begun)).count();
        if open > SubJob::MAXIMUM_LEVELS as usize {
            return Some(Parsed::TooDeep);
        }
        shelves.parsed.insert(pin.clone(), Parsed::Begun);
        None
    }

    /// Keeps a parsed definition, so that every task that runs it shares it.
    pub(crate) fn finish(&self, pin: Pin, outcome: Result<Arc<Job>, String>) {
        self.shelves().parsed.insert(pin, Parsed::Done(outcome));
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        // No code panics while holding this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Library").field(&self.shelves().known.keys()).finish()
    }
}
