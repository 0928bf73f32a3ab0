//! The unsettled deliveries of a subscription.
//!
//! The broker closes a channel on an unknown delivery tag, so a delivery that was settled before is refused here. When a
//! subscription has ended and its last delivery is settled, the channel has to be closed. Otherwise a program that repeatedly
//! stops and starts consuming would run out of channels.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, ErrorKind, Operation, Result};

/// The unsettled deliveries of one subscription.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    open: BTreeSet<u64>,
    /// Number of settlements in progress.
    settling: usize,
    /// The subscription has ended.
    ended: bool,
    /// `is_done` has returned true.
    reported: bool,
}

/// A settlement in progress. It is dropped when the settlement has been sent or has failed.
#[derive(Debug)]
pub struct Settling(Ledger);

impl Ledger {
    /// Adds a delivery.
    pub fn note(&self, tag: u64) {
        self.entries().open.insert(tag);
    }

    /// Removes a delivery, with `multiple` also all earlier ones.
    ///
    /// # Errors
    /// `Stale` if the delivery is not open.
    pub fn take(&self, tag: u64, multiple: bool) -> Result<Settling> {
        let mut entries = self.entries();
        if !entries.open.contains(&tag) {
            return Err(Error::new(ErrorKind::Stale, Operation::Settle, format!("delivery {tag} is not open")));
        }
        if multiple {
            entries.open = entries.open.split_off(&(tag + 1));
        } else {
            entries.open.remove(&tag);
        }
        entries.settling += 1;
        Ok(Settling(self.clone()))
    }

    /// Marks the subscription as ended.
    pub fn end(&self) {
        self.entries().ended = true;
    }

    /// Whether the channel can be closed. Returns true only once.
    pub fn is_done(&self) -> bool {
        let mut entries = self.entries();
        let done = entries.ended && entries.open.is_empty() && entries.settling == 0 && !entries.reported;
        entries.reported |= done;
        done
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.entries().settling -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_settled_once() {
        let ledger = Ledger::default();
        (1..=5).for_each(|tag| ledger.note(tag));
        drop(ledger.take(3, true).unwrap());
        for tag in [1, 3, 6] {
            assert_eq!(ledger.take(tag, false).unwrap_err().kind(), ErrorKind::Stale);
        }
        drop(ledger.take(5, false).unwrap());
        drop(ledger.take(4, true).unwrap());
        assert!(ledger.take(4, true).is_err());
    }

    #[test]
    fn the_channel_is_done_after_the_last_settlement_of_an_ended_subscription() {
        let ledger = Ledger::default();
        (1..=2).for_each(|tag| ledger.note(tag));
        let first = ledger.take(1, false).unwrap();
        let second = ledger.take(2, false).unwrap();
        assert!(!ledger.is_done());
        ledger.end();
        drop(second);
        assert!(!ledger.is_done(), "the first settlement is in progress");
        drop(first);
        assert!(ledger.is_done());
        assert!(!ledger.is_done(), "reported once");
    }
}
