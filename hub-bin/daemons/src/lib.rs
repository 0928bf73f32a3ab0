//! The components of `hub-dispatcher` and `hub-worker`: both AMQP clients, the SQLite store, JSON Schema, rotated log files, and an
//! allocator. Their command lines are in `hub-bin`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use hub_bin::parts::{AmqpClients, Parts, Rotation};
use hub_engine::store::{Store, StoreError};
use hub_input_schema::SchemaCheck;
use hub_sqlite::{SqliteSettings, SqliteStore};
use logroller::{LogRollerBuilder, RotationSize};

/// Messages are often allocated in one thread and freed in another one. With glibc's allocator, the freeing thread waits for
/// the allocating thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The components of both programs.
pub const PARTS: Parts = Parts {
    amqp: AmqpClients { lapin: Some(hub_lapin::transport), amqprs: Some(hub_amqprs::transport) },
    open_store,
    inputs: || Arc::new(SchemaCheck::default()),
    open_log,
};

fn open_store(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(SqliteStore::open(SqliteSettings::new(path))?))
}

fn open_log(path: &Path, rotation: Rotation) -> io::Result<Box<dyn io::Write + Send>> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let name = path.file_name().unwrap_or_default();
    let roller = LogRollerBuilder::new(directory, Path::new(name))
        .rotation(logroller::Rotation::SizeBased(RotationSize::Bytes(rotation.max_size)))
        .max_keep_files(rotation.retain)
        .build()
        .map_err(io::Error::other)?;
    Ok(Box::new(roller))
}
