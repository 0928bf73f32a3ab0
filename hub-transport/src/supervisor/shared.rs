//! The state that a link shares with its tasks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::event::LinkHealth;
use crate::{Session, Settler};

/// The state that a link shares with its tasks.
pub(super) struct Shared {
    pub(super) health: watch::Sender<LinkHealth>,
    /// The current session, if there is one.
    pub(super) session: Mutex<Option<Arc<dyn Session>>>,
    /// Settlers of the current session, by epoch.
    pub(super) settlers: Mutex<HashMap<u64, Arc<dyn Settler>>>,
    /// Number of publishes without an outcome.
    pub(super) open: watch::Sender<usize>,
    pub(super) open_count: AtomicUsize,
}

impl Shared {
    /// Adds publishes without an outcome.
    pub(super) fn add_open(&self, count: usize) {
        let before = self.open_count.fetch_add(count, Ordering::SeqCst);
        self.note_open(before, before + count);
    }

    /// Removes publishes with an outcome.
    pub(super) fn sub_open(&self, count: usize) {
        let before = self.open_count.fetch_sub(count, Ordering::SeqCst);
        self.note_open(before, before - count);
    }

    fn note_open(&self, before: usize, after: usize) {
        // Only changes to and from zero wake the receivers. The count is read when it is sent, because another thread may have
        // sent a later change already.
        if (before == 0) != (after == 0) {
            self.open.send_modify(|open| *open = self.open_count.load(Ordering::SeqCst));
        }
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            health: watch::channel(LinkHealth::Down(None)).0,
            session: Mutex::default(),
            settlers: Mutex::default(),
            open: watch::channel(0).0,
            open_count: AtomicUsize::new(0),
        }
    }
}
