//! What a backend brings to its tests.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Topology, Transport};

/// A broker to be tested, and the means to disturb it.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A way to the broker.
    fn transport(&self) -> Arc<dyn Transport>;
    /// Stops the broker and starts it again.
    async fn restart(&self);
    /// Ends every connection from the broker's side.
    async fn drop_connections(&self);
    /// Has the broker take no messages, as under a memory alarm.
    async fn block(&self);
    /// Has the broker take messages again.
    async fn unblock(&self);
    /// Deletes a queue.
    async fn delete_queue(&self, name: &str);
    /// Makes what is in `topology` exist, as the broker's operators do. Asked only of a backend that cannot declare.
    async fn provide(&self, topology: &Topology) {
        panic!("a fixture of a backend that cannot declare has to make {topology:?}");
    }
}
