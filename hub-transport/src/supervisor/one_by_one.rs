//! Settles deliveries one by one on a broker without the capability `acknowledges_many`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::{DeliveryTag, Error, ErrorKind, Operation, Result, Settlement, Settler};

/// A settler that keeps the tags of open deliveries.
pub(super) struct OneByOne {
    inner: Arc<dyn Settler>,
    open: Mutex<BTreeSet<DeliveryTag>>,
}

impl OneByOne {
    pub(super) fn new(inner: Arc<dyn Settler>) -> Self {
        Self { inner, open: Mutex::default() }
    }

    /// Adds a delivery, before it is passed to the owner.
    pub(super) fn note(&self, tag: DeliveryTag) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(tag);
    }

    /// Removes `tag`, with `multiple` also all earlier tags, and returns them in order.
    fn take(&self, tag: DeliveryTag, multiple: bool) -> Result<Vec<DeliveryTag>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.contains(&tag) {
            return Err(Error::new(ErrorKind::Stale, Operation::Settle, format!("delivery {} is not open", tag.0)));
        }
        if !multiple {
            open.remove(&tag);
            return Ok(vec![tag]);
        }
        let later = open.split_off(&DeliveryTag(tag.0 + 1));
        Ok(std::mem::replace(&mut *open, later).into_iter().collect())
    }
}

#[async_trait]
impl Settler for OneByOne {
    async fn settle(&self, tag: DeliveryTag, settlement: Settlement, multiple: bool) -> Result<()> {
        for tag in self.take(tag, multiple)? {
            self.inner.settle(tag, settlement, false).await?;
        }
        Ok(())
    }

    async fn cancel(&self) -> Result<()> {
        self.inner.cancel().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records the settled tags.
    #[derive(Default)]
    struct Recorder(Mutex<Vec<u64>>);

    #[async_trait]
    impl Settler for Recorder {
        async fn settle(&self, tag: DeliveryTag, settlement: Settlement, multiple: bool) -> Result<()> {
            assert_eq!((settlement, multiple), (Settlement::Ack, false));
            self.0.lock().unwrap().push(tag.0);
            Ok(())
        }

        async fn cancel(&self) -> Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_multiple_settlement_settles_each_open_delivery() {
        let recorder = Arc::new(Recorder::default());
        let settler = OneByOne::new(Arc::clone(&recorder) as Arc<dyn Settler>);
        (1..=6).for_each(|tag| settler.note(DeliveryTag(tag)));
        let settle = |tag, multiple| settler.settle(DeliveryTag(tag), Settlement::Ack, multiple);
        settle(2, false).await.unwrap();
        settle(4, true).await.unwrap();
        assert_eq!(*recorder.0.lock().unwrap(), [2, 1, 3, 4]);
        for tag in [2, 4, 7] {
            assert_eq!(settle(tag, true).await.unwrap_err().kind(), ErrorKind::Stale);
        }
        settle(6, true).await.unwrap();
        assert_eq!(*recorder.0.lock().unwrap(), [2, 1, 3, 4, 5, 6]);
    }
}
