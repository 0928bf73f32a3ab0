//! The files in the directory of tasks: modules, programs, and the helpers that modules import.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use super::Language;
use super::content::Content;
use super::program::Program;
use super::settings::RunnerSettings;
use super::stamp::Stamp;

/// Extensions of backups and unfinished copies that editors and package managers create.
const BACKUPS: [&str; 17] = [
    "bak",
    "backup",
    "old",
    "orig",
    "rej",
    "save",
    "tmp",
    "temp",
    "part",
    "swp",
    "swo",
    "swx",
    "kate-swp",
    "dpkg-old",
    "dpkg-new",
    "dpkg-dist",
    "rpmsave",
];
/// Extensions of Python files that are neither modules nor programs.
const LIBRARIES: [&str; 5] = ["so", "pyc", "pyo", "pyd", "pyi"];
/// Directories that contain no helpers of task modules.
const IGNORED_DIRECTORIES: [&str; 3] = ["__pycache__", "node_modules", "site-packages"];
/// Maximum depth of directories that are searched for helpers.
const MAXIMUM_DEPTH: usize = 16;
/// Maximum number of directory entries that are searched for helpers.
const MAXIMUM_ENTRIES: usize = 10_000;

/// The files that can be tasks, by task name, and the helpers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    found: BTreeMap<String, Vec<File>>,
    helpers: BTreeMap<PathBuf, Stamp>,
}

/// A file that may be a task.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    path: PathBuf,
    language: Language,
    stamp: Stamp,
    /// Why the file cannot be run, with what to do.
    fault: Option<String>,
    /// Its content, if it can be run.
    content: Option<Content>,
}

impl Files {
    /// Reads the directory of tasks. Files that have not changed since `before` are not read again; `None` when the worker starts.
    /// The directory may be a symbolic link, whose current target is read.
    pub(super) fn look(settings: &RunnerSettings, before: Option<&Self>) -> io::Result<Self> {
        let mut files = Self::default();
        let is_first = before.is_none();
        let counts = |name: &str| settings.only.as_ref().is_none_or(|only| only.contains(name));
        for entry in std::fs::read_dir(&settings.tasks_dir)? {
            let path = entry?.path();
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            if is_helper(name) || is_ignored(&path) || !counts(name) {
                continue;
            }
            let name = name.to_owned();
            // Follows symbolic links, because their targets are run.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if let Some(file) = File::look(
                path,
                &metadata,
                before.and_then(|before| before.found.get(&name)),
                &settings.tasks_dir,
                is_first,
            ) {
                files.found.entry(name).or_default().push(file);
            }
        }
        files.found.values_mut().for_each(|files| files.sort_by(|a, b| a.path.cmp(&b.path)));
        // A runner for one job does not live long enough for changes of helpers.
        if settings.only.is_none() {
            let mut left = MAXIMUM_ENTRIES;
            files.look_for_helpers(&settings.tasks_dir, 0, &mut left);
        }
        Ok(files)
    }

    /// Whether the directory has Python modules.
    pub(super) fn has_python(&self) -> bool {
        self.found.values().flatten().any(|file| file.language == Language::Python)
    }

    /// The names of tasks.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    /// Whether the files of this name and all helpers are the same as in `other`.
    pub(super) fn has_same_source(&self, name: &str, other: &Self) -> bool {
        self.found.get(name) == other.found.get(name) && self.helpers == other.helpers
    }

    /// The language and the file of a task. `Err` with the reason if it cannot be run.
    pub(super) fn get(&self, name: &str) -> Option<Result<(Language, &Path), String>> {
        let files = self.found.get(name)?;
        let mut usable = files.iter().filter(|file| file.fault.is_none());
        Some(match (usable.next(), usable.next(), files.as_slice()) {
            (Some(one), None, _) => Ok((one.language, &one.path)),
            (Some(_), Some(_), several) => Err(clash(several)),
            (None, _, faulty) => Err(faults(faulty)),
        })
    }

    /// The content of the file of a task.
    pub(super) fn content(&self, name: &str) -> Option<&Content> {
        let mut usable = self.found.get(name)?.iter().filter(|file| file.fault.is_none());
        usable.next().filter(|_| usable.next().is_none())?.content.as_ref()
    }

    /// Collects Python sources that modules may import: files that begin with `_`, and packages.
    fn look_for_helpers(&mut self, directory: &Path, level: usize, left: &mut usize) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            if *left == 0 {
                return;
            }
            *left -= 1;
            let path = entry.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let is_source = path.extension().is_some_and(|extension| extension == "py");
            // Every other source in the top directory is a task module.
            if name.starts_with('.')
                || IGNORED_DIRECTORIES.contains(&name)
                || (is_source && level == 0 && !name.starts_with('_'))
            {
                continue;
            }
            let may_be_directory = entry.file_type().is_ok_and(|kind| !kind.is_file());
            if !is_source && !may_be_directory {
                continue;
            }
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if is_source && metadata.is_file() {
                self.helpers.insert(path, Stamp::of(&metadata));
            } else if metadata.is_dir() && level < MAXIMUM_DEPTH && !path.join("pyvenv.cfg").exists() {
                self.look_for_helpers(&path, level + 1, left);
            }
        }
    }
}

impl File {
    /// `is_first`: no process can have loaded another content of it.
    fn look(
        path: PathBuf,
        metadata: &Metadata,
        before: Option<&Vec<Self>>,
        directory: &Path,
        is_first: bool,
    ) -> Option<Self> {
        if !metadata.is_file() {
            return None;
        }
        let stamp = Stamp::of(metadata);
        let known = before.into_iter().flatten().find(|known| known.path == path && known.stamp == stamp);
        // A faulty file is checked again, because the fault may be fixed without changing it, for example by installing
        // an interpreter.
        if let Some(known) = known.filter(|known| known.fault.is_none()) {
            return Some(known.clone());
        }
        if path.extension().is_some_and(|extension| extension == "py") {
            let content = Content::read(&path, metadata, is_first);
            return Some(Self { path, language: Language::Python, stamp, fault: None, content });
        }
        let fault = match Program::look(&path, metadata, directory) {
            Program::Usable => None,
            Program::Faulty(why) => Some(why),
            Program::None => return None,
        };
        let content = if fault.is_none() { Content::read(&path, metadata, true) } else { None };
        Some(Self { path, language: Language::Executable, stamp, fault, content })
    }

    fn name(&self) -> std::borrow::Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }
}

fn is_helper(name: &str) -> bool {
    name.starts_with(['_', '.'])
}

/// Whether the file is a backup, an unfinished copy or a library, by its name.
fn is_ignored(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    name.ends_with(['~', '#'])
        || name.starts_with('#')
        || extension.ends_with("___")
        || BACKUPS.iter().chain(&LIBRARIES).any(|known| extension.eq_ignore_ascii_case(known))
}

fn clash(files: &[File]) -> String {
    let names: Vec<_> = files.iter().filter(|file| file.fault.is_none()).map(File::name).collect();
    format!("several files have this task name: {}. Rename all but one", names.join(", "))
}

fn faults(files: &[File]) -> String {
    let faults = files.iter().map(|file| format!("{}: {}", file.name(), file.fault.as_deref().unwrap_or_default()));
    faults.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_and_libraries_are_ignored() {
        let none =
            ["greet.sh~", "greet~", "greet.~1~", "greet.sh.bak", "greet.ORIG", "greet.swp", "#greet.sh#", "#greet#"];
        for name in none.into_iter().chain(["greet.sh___jb_tmp___", "greet.cpython-311-x86_64-linux-gnu.so"]) {
            assert!(is_ignored(Path::new(name)), "{name}");
        }
        for name in ["greet", "greet.sh", "greet.py", "bak", "greet.v2.sh"] {
            assert!(!is_ignored(Path::new(name)), "{name}");
        }
    }
}
