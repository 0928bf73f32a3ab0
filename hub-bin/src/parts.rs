//! What a program is put together from. `hub-client` needs neither a store on disk nor log files nor a second AMQP client, so
//! none of them is built for it: each program hands in what it was built with.

use std::io;
use std::path::Path;
use std::sync::Arc;

use hub_engine::store::{Store, StoreError};
use hub_transport::Transport;
use hub_transport::amqp::AmqpSettings;

/// Makes a transport of an AMQP client library.
pub type AmqpTransport = fn(AmqpSettings) -> hub_transport::Result<Arc<dyn Transport>>;

/// The AMQP client libraries that the program was built with.
#[derive(Clone, Copy, Debug, Default)]
pub struct AmqpClients {
    /// lapin.
    pub lapin: Option<AmqpTransport>,
    /// amqprs.
    pub amqprs: Option<AmqpTransport>,
}

/// When a log file is put aside, and how many such files are kept.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Size at which the file is put aside, in bytes.
    pub max_size: u64,
    /// Maximum number of files that were put aside.
    pub retain: u64,
}

/// What the dispatcher and the worker consist of beside the engine.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// The AMQP client libraries.
    pub amqp: AmqpClients,
    /// Opens the store in a file.
    pub open_store: fn(&Path) -> Result<Arc<dyn Store>, StoreError>,
    /// Opens a log file.
    pub open_log: fn(&Path, Rotation) -> io::Result<Box<dyn io::Write + Send>>,
}
