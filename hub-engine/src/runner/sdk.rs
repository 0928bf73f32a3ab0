//! The Python SDK, carried in this program and written out for the children of one runner.

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

const FILES: [(&str, &str); 15] = [
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
    ("hub/result.py", include_str!("../../python/hub/result.py")),
    ("hub/surroundings.py", include_str!("../../python/hub/surroundings.py")),
    ("hub_tasks/__init__.py", include_str!("../../python/hub_tasks/__init__.py")),
];
/// Holds the path of the task modules. Processes that tasks start find them by it.
const NOTE: &str = "hub_tasks/directory";
/// How the directory's name begins.
const PREFIX: &str = "hub-sdk-";
/// Used where the temporary directory is full, cannot be written or is not there.
const OTHER_PARENTS: [&str; 2] = ["/var/tmp", "/dev/shm"];

/// A private directory with the SDK and the children's files. It goes when this goes; where this program is killed, its
/// guard or the next program that starts removes it.
#[derive(Debug)]
pub(super) struct Sdk {
    // Fields go in this order: the guard must not take the end of the directory for the end of this program.
    _guard: Option<Guard>,
    directory: TempDir,
    note: Vec<u8>,
    /// Number of processes that were given a file.
    processes: AtomicU64,
    /// Locked while it is in use. Programs that clear the system's temporary directory respect that.
    in_use: Mutex<File>,
}

/// The file behind standard output of a process. It goes when this goes.
#[derive(Debug)]
pub(super) struct OutputFile(PathBuf);

impl OutputFile {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        // A process that has ended before its start made none.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Sdk {
    /// Writes it for the task modules of this directory.
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
            // Until it is locked, another program may take it for an abandoned one.
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

    /// Writes again what is missing: cleaners of the system's temporary directory may remove files of a program that runs.
    ///
    /// # Errors
    /// Where it cannot be written, or somebody else has made a directory of this name meanwhile.
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
        tracing::warn!(path = %path.display(), "the files for Python were removed: they are written again");
        missing().try_for_each(|(file, content)| write(path, Path::new(file), content))
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file for what one more process prints.
    pub(super) fn output_file(&self) -> OutputFile {
        let number = self.processes.fetch_add(1, Ordering::Relaxed);
        OutputFile(self.directory.path().join(format!("child-{number}.out")))
    }
}

/// The files, with a note where the task modules are.
fn files(note: &[u8]) -> impl Iterator<Item = (&'static str, &[u8])> {
    FILES.into_iter().map(|(file, text)| (file, text.as_bytes())).chain([(NOTE, note)])
}

/// Makes a new directory private, whatever the umask, and locks it. `NotFound` where it has been removed meanwhile.
fn claim(directory: &Path) -> io::Result<File> {
    std::fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    let in_use = open_directory(directory)?;
    in_use.lock_shared()?;
    if is_at(&in_use, directory)? { Ok(in_use) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Whether this open directory is the one that is there.
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

/// Removes the directories of this user's programs that were killed: they are not locked.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    let ours = nix::unistd::geteuid().as_raw();
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_one = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        let Some(directory) = is_one.then(|| open_directory(&path).ok()).flatten() else { continue };
        let is_ours = directory.metadata().is_ok_and(|metadata| metadata.uid() == ours);
        if is_ours && directory.try_lock().is_ok() {
            match std::fs::remove_dir_all(&path) {
                Ok(()) => tracing::debug!(path = %path.display(), "removed what a program that was killed had left"),
                Err(error) => tracing::debug!(path = %path.display(), %error, "cannot remove an old directory"),
            }
        }
    }
}

/// Opens a directory, and never what a symbolic link leads to.
fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cleaner_removes_is_written_again_and_nothing_goes_into_a_directory_of_others() {
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
        remove_abandoned(parent.path());
        assert!(!used.exists());
    }

    #[test]
    fn other_users_may_neither_read_nor_write_it() {
        let sdk = Sdk::write(Path::new("/tasks")).unwrap();
        let mode = |path: &str| std::fs::metadata(sdk.path().join(path)).unwrap().mode() & 0o7777;
        assert_eq!(["", "hub", "hub/lib"].map(mode), [0o700; 3]);
        assert_eq!(FILES.map(|(path, _)| mode(path)), [0o600; FILES.len()]);
    }
}
