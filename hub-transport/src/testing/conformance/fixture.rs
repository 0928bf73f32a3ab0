//! The fixture that a backend implements for the suite.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Topology, Transport};

/// A broker under test, with operations that disturb it.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A transport to the broker.
    fn transport(&self) -> Arc<dyn Transport>;
    /// Stops the broker and starts it again.
    async fn restart(&self);
    /// Ends all connections from the broker's side.
    async fn drop_connections(&self);
    /// Makes the broker block publishing, as under a memory alarm.
    async fn block(&self);
    /// Makes the broker accept messages again.
    async fn unblock(&self);
    /// Deletes a queue.
    async fn delete_queue(&self, name: &str);
    /// Creates `topology` as the broker's operators would. Needed only for a backend without [`crate::Capabilities::declares`].
    async fn provide(&self, topology: &Topology) {
        panic!("the fixture of a backend that cannot declare must create {topology:?}");
    }
}
