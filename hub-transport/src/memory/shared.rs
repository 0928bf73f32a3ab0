//! The broker's state, behind one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::state::State;

/// The state of a broker. Clones are the same state.
#[derive(Clone, Default)]
pub(super) struct SharedState(Arc<Mutex<State>>);

impl SharedState {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No panic under the lock leaves a change half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
