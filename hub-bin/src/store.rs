//! The arguments of the dispatcher's store, and its default path.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hub_engine::store::{MemoryStore, Store};

use crate::bounds;
use crate::config::{Config, MEMORY};
use crate::exit::{Exit, Failure};
use crate::parts::Parts;

/// Arguments of the store.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// Database file of jobs, or "memory" [default: "memory" with --transport memory, otherwise a file in the state directory
    /// of the system or the user]
    #[arg(long, env = "HUB_STORE", value_name = "FILE")]
    store: Option<PathBuf>,
    /// Maximum number of finished jobs to keep [default: 10000]
    #[arg(long, env = "HUB_RETAIN_JOBS", value_name = "N", value_parser = bounds::RETAIN_JOBS.parser::<u64>())]
    pub(crate) retain_jobs: Option<u64>,
}

impl StoreArgs {
    /// Opens the store of the Hub with this prefix. With `in_memory`, the default is a store in memory.
    pub(crate) fn open(
        &self,
        config: &Config,
        prefix: &str,
        in_memory: bool,
        parts: &Parts,
    ) -> Result<Arc<dyn Store>, Failure> {
        let named = self.store.clone().or_else(|| config.store.clone());
        let path = match named {
            Some(path) if path == Path::new(MEMORY) => return Ok(in_memory_store(in_memory)),
            Some(path) => path,
            None if in_memory => return Ok(in_memory_store(in_memory)),
            None => default_path(prefix),
        };
        let cannot = |error: std::io::Error| {
            let message = format!(
                "cannot keep jobs in {}: give another file with --store, or \"memory\", which loses all jobs at the end",
                path.display()
            );
            Failure::new(Exit::Refused, message).because(error)
        };
        prepare(&path).map_err(cannot)?;
        let store = (parts.open_store)(&path).map_err(|error| {
            Failure::new(Exit::Refused, format!("cannot keep jobs in {}", path.display())).because(error)
        })?;
        tracing::info!("jobs are kept in {}", path.display());
        Ok(store)
    }
}

fn in_memory_store(is_expected: bool) -> Arc<dyn Store> {
    if !is_expected {
        tracing::warn!("jobs are kept in memory only: all of them are lost when this process ends");
    }
    Arc::new(MemoryStore::new())
}

/// Creates the directory and the file. Only their owner can read them, since jobs and results may be confidential.
fn prepare(path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

/// The default file of this Hub. Its directory is the state directory that systemd sets, or else the system's state directory
/// for root, or else the user's.
fn default_path(prefix: &str) -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = variable("STATE_DIRECTORY").unwrap_or_else(|| {
        if nix::unistd::geteuid().is_root() {
            return PathBuf::from("/var/lib/hub");
        }
        let state = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        state.map_or_else(|| PathBuf::from("."), |state| state.join("hub"))
    });
    directory.join(format!("{}.db", prefix.replace('/', "_")))
}
