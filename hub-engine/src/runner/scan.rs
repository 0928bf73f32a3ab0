//! What is in the directory of tasks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hub_core::Json;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use super::modules::RunnerSettings;
use super::protocol::{self, ChildSettings, describe_exit};
use super::sdk::Sdk;
use super::{Catalogue, Language, TaskInfo, environment};

/// How long a module may take to import before it counts as broken.
const IMPORT_LIMIT: Duration = Duration::from_secs(30);
/// The number of the scanner's output file.
const OUTPUT: u64 = u64::MAX - 1;

/// The files of a directory that can be tasks, by task name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    found: BTreeMap<String, Vec<File>>,
}

/// One such file, and what tells that it has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    path: PathBuf,
    language: Language,
    modified: Option<SystemTime>,
    size: u64,
}

/// What the scanner says of a module.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    loading: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    doc: Option<String>,
    #[serde(default)]
    asynchronous: bool,
    #[serde(default)]
    coroutine: bool,
    #[serde(default)]
    broken: Option<String>,
    /// It has said all.
    #[serde(default)]
    all: bool,
}

impl Files {
    /// Looks at the directory of tasks. Files that begin with `_` or `.` are helpers.
    pub(super) fn look(settings: &RunnerSettings) -> std::io::Result<Self> {
        let mut files = Self::default();
        let counts = |name: &str| settings.only.as_ref().is_none_or(|only| only.contains(name));
        for entry in std::fs::read_dir(&settings.tasks_dir)? {
            let path = entry?.path();
            // Through symbolic links: what counts is what would be run.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let Some(language) = language(&path, &metadata) else { continue };
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            if name.starts_with(['_', '.']) || !counts(name) {
                continue;
            }
            let file = File { language, modified: metadata.modified().ok(), size: metadata.len(), path: path.clone() };
            files.found.entry(name.to_owned()).or_default().push(file);
        }
        files.found.values_mut().for_each(|files| files.sort_by(|a, b| a.path.cmp(&b.path)));
        Ok(files)
    }

    /// Whether there are Python modules.
    pub(super) fn has_python(&self) -> bool {
        self.found.values().flatten().any(|file| file.language == Language::Python)
    }

    /// What runs a task of this name, and the file. `Err` where several files claim it.
    pub(super) fn get(&self, name: &str) -> Option<Result<(Language, &Path), String>> {
        match self.found.get(name)?.as_slice() {
            [one] => Some(Ok((one.language, &one.path))),
            several => Some(Err(clash(several))),
        }
    }
}

fn clash(files: &[File]) -> String {
    let names: Vec<_> =
        files.iter().filter_map(|file| file.path.file_name()).map(|name| name.to_string_lossy()).collect();
    format!("several files claim this name: {}. Rename all but one", names.join(", "))
}

fn language(path: &Path, metadata: &std::fs::Metadata) -> Option<Language> {
    use std::os::unix::fs::PermissionsExt;
    if !metadata.is_file() {
        return None;
    }
    if path.extension().is_some_and(|extension| extension == "py") {
        return Some(Language::Python);
    }
    (metadata.permissions().mode() & 0o111 != 0).then_some(Language::Executable)
}

/// Finds out what the files have to offer.
pub(super) async fn catalogue(files: &Files, settings: &RunnerSettings, sdk: &Sdk) -> Catalogue {
    let mut catalogue = Catalogue::default();
    let mut modules = Vec::new();
    for (name, found) in &files.found {
        match found.as_slice() {
            [one] if one.language == Language::Python => modules.push(name.clone()),
            [_] => drop(catalogue.tasks.insert(name.clone(), TaskInfo::plain(Language::Executable))),
            several => drop(catalogue.broken.insert(name.clone(), clash(several))),
        }
    }
    // A module that takes the scanner with it is noted, and the rest is looked at by another one.
    while !modules.is_empty() {
        match scan(&modules, settings, sdk, &mut catalogue).await {
            Ok(None) => break,
            Ok(Some((culprit, why))) => {
                catalogue.broken.insert(culprit.clone(), why);
                modules.retain(|name| {
                    *name != culprit && !catalogue.tasks.contains_key(name) && !catalogue.broken.contains_key(name)
                });
            }
            Err(error) => {
                let why = format!(
                    "Python cannot be started ({}: {error}). Install Python 3.8 or later, or name it in the \
                     configuration (python = …)",
                    settings.python.display()
                );
                modules.drain(..).for_each(|name| drop(catalogue.broken.insert(name, why.clone())));
            }
        }
    }
    catalogue
}

/// Has one process import the modules. Returns the one that it did not survive, and why.
async fn scan(
    modules: &[String],
    settings: &RunnerSettings,
    sdk: &Sdk,
    catalogue: &mut Catalogue,
) -> std::io::Result<Option<(String, String)>> {
    let output = sdk.output_file(OUTPUT);
    let child_settings = ChildSettings {
        tasks_dir: &settings.tasks_dir,
        output: &output,
        log_limit: settings.log_limit_bytes,
        result_limit: settings.result_limit_bytes,
        max_depth: Json::MAX_DEPTH,
        coroutines: false,
        scan: Some(modules),
    };
    let mut child = protocol::python(&settings.python, sdk, &child_settings).spawn()?;
    let Some(stdout) = child.stdout.take() else { return Ok(None) };
    let mut lines = BufReader::new(stdout).lines();
    let mut loading = None;
    loop {
        let line = match tokio::time::timeout(IMPORT_LIMIT, lines.next_line()).await {
            Ok(line) => line?,
            Err(_) => {
                environment::kill(&mut child).await;
                let why = format!("importing it took longer than {} s", IMPORT_LIMIT.as_secs());
                return Ok(loading.map(|name| (name, why)));
            }
        };
        let Some(line) = line else { break };
        let said: Said = serde_json::from_str(&line)?;
        if said.all {
            tokio::spawn(end(child));
            return Ok(None);
        }
        match (said.loading, said.name, said.broken) {
            (Some(name), ..) => loading = Some(name),
            (None, Some(name), Some(why)) => {
                loading = None;
                catalogue.broken.insert(name, why);
            }
            (None, Some(name), None) => {
                loading = None;
                let info = TaskInfo {
                    language: Language::Python,
                    signature: said.signature,
                    doc: said.doc,
                    asynchronous: said.asynchronous,
                    coroutine: said.coroutine,
                };
                catalogue.tasks.insert(name, info);
            }
            (None, None, _) => {}
        }
    }
    let status = child.wait().await?;
    if let Some(name) = loading.filter(|_| !status.success()) {
        return Ok(Some((name, format!("the process that imported it {}", describe_exit(status)))));
    }
    if !status.success() {
        return Err(std::io::Error::other(format!("the interpreter {}", describe_exit(status))));
    }
    Ok(None)
}

/// Lets a scanner that has said all come to its end, for which modules may have wishes of their own.
async fn end(mut child: Child) {
    if tokio::time::timeout(IMPORT_LIMIT, child.wait()).await.is_err() {
        environment::kill(&mut child).await;
    }
}
