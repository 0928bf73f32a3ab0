//! The Python SDK, embedded in this program and written to a directory for the processes of one runner.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::OFlag;
use tempfile::TempDir;

use super::guard::Guard;

const FILES: [(&str, &str); 18] = [
    ("hub/__init__.py", include_str!("../../python/hub/__init__.py")),
    ("hub/lib/__init__.py", include_str!("../../python/hub/lib/__init__.py")),
    ("hub/lib/api.py", include_str!("../../python/hub/lib/api.py")),
    ("hub/channel.py", include_str!("../../python/hub/channel.py")),
    ("hub/child.py", include_str!("../../python/hub/child.py")),
    ("hub/coroutines.py", include_str!("../../python/hub/coroutines.py")),
    ("hub/failure.py", include_str!("../../python/hub/failure.py")),
    ("hub/importing.py", include_str!("../../python/hub/importing.py")),
    ("hub/interpreter_state.py", include_str!("../../python/hub/interpreter_state.py")),
    ("hub/modules.py", include_str!("../../python/hub/modules.py")),
    ("hub/output.py", include_str!("../../python/hub/output.py")),
    ("hub/process_state.py", include_str!("../../python/hub/process_state.py")),
    ("hub/progress.py", include_str!("../../python/hub/progress.py")),
    ("hub/requests.py", include_str!("../../python/hub/requests.py")),
    ("hub/result.py", include_str!("../../python/hub/result.py")),
    ("hub/stopping.py", include_str!("../../python/hub/stopping.py")),
    ("hub/surroundings.py", include_str!("../../python/hub/surroundings.py")),
    ("hub_tasks/__init__.py", include_str!("../../python/hub_tasks/__init__.py")),
];
/// The file with the path of the task modules, for processes that tasks start.
const NOTE: &str = "hub_tasks/directory";
/// Prefix of the directory's name.
const PREFIX: &str = "hub-sdk-";
/// Directories that are used if the temporary directory is full, not writable or missing.
const OTHER_PARENTS: [&str; 2] = ["/var/tmp", "/dev/shm"];

/// A private directory with the SDK and the files of processes. It is removed when this is dropped. If this program is
/// killed, its guard or the next program that starts removes it.
#[derive(Debug)]
pub(super) struct Sdk {
    // Fields are dropped in this order: the guard must end before the directory is removed.
    _guard: Option<Guard>,
    directory: TempDir,
    note: Vec<u8>,
    /// Number of output files so far.
    processes: AtomicU64,
    /// The lock on the directory. Programs that clean the system's temporary directory respect it.
    in_use: Mutex<File>,
}

/// The file for the output of a process's tasks. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct OutputFile(PathBuf);

impl OutputFile {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        // A process that failed to start has not created it.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Sdk {
    /// Writes the SDK for the task modules of this directory.
    pub(super) fn write(tasks_dir: &Path) -> io::Result<Self> {
        let first = std::env::temp_dir();
        let error = match Self::write_in(&first, tasks_dir) {
            Err(error) => error,
            written => return written,
        };
        for other in OTHER_PARENTS.into_iter().map(Path::new).filter(|other| *other != first) {
            if let Ok(sdk) = Self::write_in(other, tasks_dir) {
                let (full, used) = (first.display(), other.display());
                tracing::warn!(%error, "the temporary directory {full} cannot be used: the files for Python are in {used}");
                return Ok(sdk);
            }
        }
        Err(error)
    }

    fn write_in(parent: &Path, tasks_dir: &Path) -> io::Result<Self> {
        remove_abandoned(parent);
        let (directory, in_use) = loop {
            let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            // Before it is locked, another program may remove it as abandoned.
            match claim(directory.path()) {
                Ok(in_use) => break (directory, in_use),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        };
        let note = tasks_dir.as_os_str().as_bytes().to_vec();
        for (file, content) in files(&note) {
            write(directory.path(), Path::new(file), content)?;
        }
        let guard = Guard::start(directory.path());
        Ok(Self { _guard: guard, directory, note, processes: AtomicU64::new(0), in_use: Mutex::new(in_use) })
    }

    /// Restores missing files. Programs that clean the system's temporary directory may remove files that are in use.
    ///
    /// # Errors
    /// If the files cannot be written, or another user has created a directory of this name.
    pub(super) fn restore(&self) -> io::Result<()> {
        let path = self.directory.path();
        let missing = || files(&self.note).filter(|(file, _)| !path.join(file).exists());
        if missing().next().is_none() {
            return Ok(());
        }
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => *in_use = claim(path)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_at(&in_use, path)? => {}
            Err(error) => return Err(error),
        }
        tracing::warn!(path = %path.display(), "the files for Python were removed and are restored");
        missing().try_for_each(|(file, content)| write(path, Path::new(file), content))
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file for the output of a further process.
    pub(super) fn output_file(&self) -> OutputFile {
        let number = self.processes.fetch_add(1, Ordering::Relaxed);
        OutputFile(self.directory.path().join(format!("child-{number}.out")))
    }
}

/// The files of the SDK and the file with the path of the task modules.
fn files(note: &[u8]) -> impl Iterator<Item = (&'static str, &[u8])> {
    FILES.into_iter().map(|(file, text)| (file, text.as_bytes())).chain([(NOTE, note)])
}

/// Makes a new directory private, independent of the umask, and locks it. `NotFound` if it has been removed.
fn claim(directory: &Path) -> io::Result<File> {
    std::fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    let in_use = open_directory(directory)?;
    in_use.lock_shared()?;
    if is_at(&in_use, directory)? { Ok(in_use) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Whether this open directory is the one at the path.
fn is_at(open: &File, directory: &Path) -> io::Result<bool> {
    let (open, found) = (open.metadata()?, std::fs::symlink_metadata(directory)?);
    Ok((open.dev(), open.ino()) == (found.dev(), found.ino()))
}

/// Writes one file and the directories that lead to it.
fn write(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut inner = directory.to_owned();
    for name in path.parent().into_iter().flat_map(Path::iter) {
        inner.push(name);
        match DirBuilder::new().mode(0o700).create(&inner) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => std::fs::set_permissions(&inner, Permissions::from_mode(0o700))?,
        }
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(directory.join(path))?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

/// Removes the directories of this user's killed programs. They are not locked.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    let ours = nix::unistd::geteuid().as_raw();
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_one = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        let Some(directory) = is_one.then(|| open_directory(&path).ok()).flatten() else { continue };
        let is_ours = directory.metadata().is_ok_and(|metadata| metadata.uid() == ours);
        if is_ours && directory.try_lock().is_ok() {
            match std::fs::remove_dir_all(&path) {
                Ok(()) => tracing::debug!(path = %path.display(), "removed the directory of a killed program"),
                Err(error) => tracing::debug!(path = %path.display(), %error, "cannot remove an old directory"),
            }
        }
    }
}

/// Opens a directory without following a symbolic link.
fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The package has further files, for type checkers, for tests and for clients.
    #[test]
    fn no_file_is_forgotten() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("python/hub")];
        let mut left_out = Vec::new();
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.ends_with("hub/client") {
                    continue;
                } else if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "py")
                    && !FILES.iter().any(|(file, _)| path.ends_with(file))
                {
                    left_out.push(path.file_name().unwrap().to_owned());
                }
            }
        }
        assert_eq!(left_out, ["testing.py"]);
    }

    #[test]
    fn removed_files_are_restored_but_not_into_a_foreign_directory() {
        let sdk = Sdk::write(Path::new("/tasks")).unwrap();
        let path = sdk.path().to_owned();
        std::fs::remove_file(path.join("hub/child.py")).unwrap();
        sdk.restore().unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        sdk.restore().unwrap();
        assert!(files(b"/tasks").all(|(file, content)| std::fs::read(path.join(file)).unwrap() == content));
        assert!(open_directory(&path).unwrap().try_lock().is_err(), "it is in use");
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(sdk.restore().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn only_unused_directories_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = parent.path().join(name);
            std::fs::create_dir_all(path.join("hub")).unwrap();
            path
        };
        let (abandoned, used, other) = (make("hub-sdk-a"), make("hub-sdk-b"), make("other"));
        let link = parent.path().join("hub-sdk-link");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let lock = open_directory(&used).unwrap();
        lock.lock_shared().unwrap();
        remove_abandoned(parent.path());
        let there = [&abandoned, &used, &other, &link].map(|path| path.exists());
        assert_eq!(there, [false, true, true, true]);
        drop(lock);
        // A process that another test starts at this moment has the lock for an instant.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while used.exists() {
            assert!(std::time::Instant::now() < deadline, "it is not removed");
            remove_abandoned(parent.path());
            std::thread::yield_now();
        }
    }

    #[test]
    fn other_users_may_neither_read_nor_write_it() {
        let sdk = Sdk::write(Path::new("/tasks")).unwrap();
        let mode = |path: &str| std::fs::metadata(sdk.path().join(path)).unwrap().mode() & 0o7777;
        assert_eq!(["", "hub", "hub/lib"].map(mode), [0o700; 3]);
        assert_eq!(FILES.map(|(path, _)| mode(path)), [0o600; FILES.len()]);
    }
}
