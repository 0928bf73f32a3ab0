//! Where the dispatcher keeps its jobs: the arguments, and the file where nothing is said.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hub_engine::store::{MemoryStore, Store};

use crate::bounds;
use crate::config::{Config, MEMORY};
use crate::exit::{Exit, Failure};
use crate::parts::Parts;

/// Where jobs are kept.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// Keep jobs in this file, or only in "memory" [default: with --transport memory "memory", otherwise a file
    /// of the system's state directory]
    #[arg(long, env = "HUB_STORE", value_name = "FILE")]
    store: Option<PathBuf>,
    /// How many finished jobs are kept [default: 10000]
    #[arg(long, env = "HUB_RETAIN_JOBS", value_name = "N", value_parser = bounds::RETAIN_JOBS.parser::<u64>())]
    pub(crate) retain_jobs: Option<u64>,
}

impl StoreArgs {
    /// Opens the store. `prefix` names the Hub whose jobs it has; with `in_memory`, nothing outlives the process
    /// unless a file is named.
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
                "cannot keep jobs in {}: name another file with --store, or \"memory\" to lose them at the end",
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
        tracing::warn!("jobs are kept in memory only: when this process ends, those that have not ended are lost");
    }
    Arc::new(MemoryStore::new())
}

/// Jobs and results may be confidential: what is created here is its owner's alone.
fn prepare(path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

/// The file of this Hub in the directory that the system has for such things: systemd's choice, the system's
/// for root, the user's otherwise.
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
