//! The definitions that are found for a job while it is parsed.

use hub_core::definition::Library;

use super::definition_hints::hint;
use super::room::{ParsePermit, Room};
use crate::store::{Store, StoreError};

/// Maximum number of definitions that a job can refer to, directly and through others.
const MAXIMUM_DEFINITIONS: usize = 1000;
/// Maximum size of these definitions together in bytes.
const MAXIMUM_DEFINITION_BYTES: usize = 64 * 1024 * 1024;
/// The definitions that were found for a job.
#[derive(Debug, Default)]
pub(super) struct Found {
    library: Library,
    count: usize,
    /// Their size together in bytes.
    bytes: usize,
}

/// What became of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookedUp {
    /// The parser has missed no definition.
    NothingMissed,
    /// What it has missed is in the library now.
    Added,
    /// The job refers to too many definitions, or to too large ones.
    TooMuch,
}

impl Found {
    /// The library with the definitions.
    pub(super) fn library(&self) -> Library {
        self.library.clone()
    }

    /// The size of the definitions together in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Looks up the definitions that the parser has missed.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) async fn look_up(
        &mut self,
        store: &dyn Store,
        room: &Room,
        permit: &mut ParsePermit,
    ) -> Result<LookedUp, StoreError> {
        let missing = self.library.take_missing();
        if missing.is_empty() {
            return Ok(LookedUp::NothingMissed);
        }
        for reference in missing {
            let definition = store.definition(&reference).await?;
            self.count += 1;
            self.bytes += definition.as_ref().map_or(0, |definition| definition.text.len());
            if self.count > MAXIMUM_DEFINITIONS || self.bytes > MAXIMUM_DEFINITION_BYTES {
                return Ok(LookedUp::TooMuch);
            }
            match definition {
                Some(_) => self.library.insert(reference, definition),
                None => {
                    let hint = hint(store, &reference).await?;
                    self.library.insert_unknown(reference, hint);
                }
            }
        }
        room.note_definitions(permit, self.bytes).await;
        Ok(LookedUp::Added)
    }

    /// The message about a job that refers to too much.
    pub(super) fn too_much() -> String {
        format!(
            "the job refers to more than {MAXIMUM_DEFINITIONS} definitions, or to definitions with more than \
             {MAXIMUM_DEFINITION_BYTES} bytes together"
        )
    }
}
