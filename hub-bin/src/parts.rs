//! The components that each program passes to this crate. `hub-client` needs no store on disk, no log files and no second AMQP
//! client, and few of its users need JSON Schemas, so it is built without them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use hub_core::job::InputCheck;
use hub_engine::store::{Store, StoreError};
use hub_transport::Transport;
use hub_transport::amqp::AmqpSettings;

/// Creates the transport of an AMQP client library.
pub type AmqpTransport = fn(AmqpSettings) -> hub_transport::Result<Arc<dyn Transport>>;

/// The AMQP client libraries that the program was built with.
#[derive(Clone, Copy, Debug, Default)]
pub struct AmqpClients {
    /// lapin.
    pub lapin: Option<AmqpTransport>,
    /// amqprs.
    pub amqprs: Option<AmqpTransport>,
}

/// Settings of log rotation.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Size at which the log file is rotated, in bytes.
    pub max_size: u64,
    /// Maximum number of rotated files that are kept.
    pub retain: u64,
}

/// The components of `hub-client` besides the engine.
#[derive(Clone, Copy, Debug)]
pub struct ClientParts {
    /// The AMQP client libraries.
    pub amqp: AmqpClients,
    /// Compares inputs with JSON Schemas, for `hub-client run`.
    pub inputs: fn() -> Arc<dyn InputCheck>,
}

/// The components of the dispatcher and the worker besides the engine.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// The AMQP client libraries.
    pub amqp: AmqpClients,
    /// Opens the store in a file.
    pub open_store: fn(&Path) -> Result<Arc<dyn Store>, StoreError>,
    /// Compares inputs with JSON Schemas.
    pub inputs: fn() -> Arc<dyn InputCheck>,
    /// Opens a log file.
    pub open_log: fn(&Path, Rotation) -> io::Result<Box<dyn io::Write + Send>>,
}
