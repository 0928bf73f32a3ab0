//! The content of a task module: what a kept result belongs to.
//!
//! A Python process looks for changes at short intervals, so it can run the old content for a moment after the file has
//! changed. A content counts once it has been known for longer than that.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hub_core::digest::Digest;
use tokio::time::Instant;

use super::stamp::Stamp;

/// Maximum size of a module whose content is read, in bytes. It is read whenever the file has changed.
const MAXIMUM_BYTES: u64 = 16 * 1024 * 1024;
/// Time after which every process runs a changed content.
const SETTLING_TIME: Duration = Duration::from_secs(2);

/// The content of the file of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    path: PathBuf,
    stamp: Stamp,
    /// Its digest.
    pub(super) digest: Digest,
    /// Since when every process runs it. `None`: since its process was started.
    settled_at: Option<Instant>,
}

impl Content {
    /// Reads a file that has this metadata. `is_first`: no process can have loaded another content. `None`: it cannot be read, is
    /// too large, or changes meanwhile.
    pub(super) fn read(path: &Path, metadata: &Metadata, is_first: bool) -> Option<Self> {
        let stamp = Stamp::of(metadata);
        let bytes = (metadata.len() <= MAXIMUM_BYTES).then(|| std::fs::read(path).ok()).flatten()?;
        let settled_at = (!is_first).then(|| Instant::now() + SETTLING_TIME);
        let content = Self { path: path.to_owned(), stamp, digest: Digest::of(&bytes), settled_at };
        content.is_unchanged().then_some(content)
    }

    /// Whether a run that begins now runs this content, unless the file changes before its end.
    pub(super) fn is_current(&self) -> bool {
        self.settled_at.is_none_or(|settled_at| settled_at <= Instant::now()) && self.is_unchanged()
    }

    /// Whether the file has not changed.
    pub(super) fn is_unchanged(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| Stamp::of(&metadata) == self.stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_changed_content_counts_after_a_moment_and_until_it_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.py");
        std::fs::write(&path, "1").unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        let first = Content::read(&path, &metadata, true).unwrap();
        assert_eq!((first.digest, first.is_current()), (Digest::of(b"1"), true));
        let changed = Content::read(&path, &metadata, false).unwrap();
        assert!(!changed.is_current());
        tokio::time::advance(SETTLING_TIME).await;
        assert!(changed.is_current());
        std::fs::write(&path, "22").unwrap();
        assert!(!changed.is_current() && !first.is_unchanged());
        assert_eq!(Content::read(&path, &metadata, true), None, "it is not the file of this metadata");
    }
}
