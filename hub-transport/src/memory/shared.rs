//! The broker's state, behind one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::state::State;

/// The state of a broker. Clones refer to the same state.
#[derive(Clone, Default)]
pub(super) struct SharedState(Arc<Mutex<State>>);

impl SharedState {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Code under the lock does not panic within a change, so a poisoned lock is safe to use.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
