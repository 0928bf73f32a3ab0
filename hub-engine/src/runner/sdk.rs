//! The Python SDK, carried in this program and written out for the children of one runner.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const FILES: [(&str, &str); 13] = [
    ("hub/__init__.py", include_str!("../../python/hub/__init__.py")),
    ("hub/lib/__init__.py", include_str!("../../python/hub/lib/__init__.py")),
    ("hub/lib/api.py", include_str!("../../python/hub/lib/api.py")),
    ("hub/channel.py", include_str!("../../python/hub/channel.py")),
    ("hub/child.py", include_str!("../../python/hub/child.py")),
    ("hub/coroutines.py", include_str!("../../python/hub/coroutines.py")),
    ("hub/failure.py", include_str!("../../python/hub/failure.py")),
    ("hub/importing.py", include_str!("../../python/hub/importing.py")),
    ("hub/modules.py", include_str!("../../python/hub/modules.py")),
    ("hub/output.py", include_str!("../../python/hub/output.py")),
    ("hub/result.py", include_str!("../../python/hub/result.py")),
    ("hub/surroundings.py", include_str!("../../python/hub/surroundings.py")),
    ("hub_tasks/__init__.py", include_str!("../../python/hub_tasks/__init__.py")),
];

/// A private directory with the SDK and the children's files. It goes when this goes.
#[derive(Debug)]
pub(super) struct Sdk {
    directory: TempDir,
    /// Locked: whoever clears old files out of the system's temporary directory leaves what is in use alone.
    _in_use: File,
}

impl Sdk {
    pub(super) fn write() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("hub-sdk-").tempdir()?;
        for (path, text) in FILES {
            let path = directory.path().join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, text)?;
        }
        let in_use = File::open(directory.path())?;
        in_use.lock_shared()?;
        Ok(Self { directory, _in_use: in_use })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file for what a child writes past Python.
    pub(super) fn output_file(&self, number: u64) -> PathBuf {
        self.directory.path().join(format!("child-{number}.out"))
    }
}
