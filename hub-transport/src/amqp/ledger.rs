//! Which deliveries of a subscription are unsettled.
//!
//! A broker closes the channel over a tag that it does not know, so what was settled before is found here. And
//! a channel whose subscription has ended is of no more use once the last of its deliveries is settled: whoever
//! settles that one is told to close it, or a program that stops and starts consuming would run out of channels.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, ErrorKind, Operation, Result};

/// The deliveries of one subscription.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    open: BTreeSet<u64>,
    /// How many settlements are on their way to the broker.
    settling: usize,
    /// There will be no more deliveries.
    ended: bool,
    /// Somebody has been told to close the channel.
    told: bool,
}

/// A settlement on its way. It has arrived, or failed, when this is dropped.
#[derive(Debug)]
pub struct Settling(Ledger);

impl Ledger {
    /// Notes a delivery.
    pub fn note(&self, tag: u64) {
        self.entries().open.insert(tag);
    }

    /// Takes a delivery out, with `multiple` every earlier one too.
    ///
    /// # Errors
    /// `Stale` where it is not open.
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

    /// There will be no more deliveries.
    pub fn end(&self) {
        self.entries().ended = true;
    }

    /// Whether the channel is of no more use. True once.
    pub fn is_done(&self) -> bool {
        let mut entries = self.entries();
        let done = entries.ended && entries.open.is_empty() && entries.settling == 0 && !entries.told;
        entries.told |= done;
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
    fn the_channel_is_done_when_the_last_settlement_of_an_ended_subscription_is_out() {
        let ledger = Ledger::default();
        (1..=2).for_each(|tag| ledger.note(tag));
        let first = ledger.take(1, false).unwrap();
        let second = ledger.take(2, false).unwrap();
        assert!(!ledger.is_done());
        ledger.end();
        drop(second);
        assert!(!ledger.is_done(), "the first is still on its way");
        drop(first);
        assert!(ledger.is_done());
        assert!(!ledger.is_done(), "said once");
    }
}
