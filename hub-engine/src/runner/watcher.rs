//! Watches the directory of tasks, and decides where each task is run.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hub_core::digest::Digest;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::content::Content;
use super::files::Files;
use super::scan::{self, Findings, Slow};
use super::sdk::Sdk;
use super::settings::{RunnerError, RunnerSettings};
use super::{Catalogue, Language, TaskInfo, environment};

/// Interval at which the directory is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Interval at which Python is tried again if it could not be started.
const PYTHON_RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// Where a task is run.
#[derive(Debug)]
pub(super) enum Place {
    /// There is no such task, or its first import has not ended.
    None,
    /// The task cannot be run, for this reason.
    Broken(String),
    /// In a Python process that runs one task at a time.
    Function,
    /// In the Python process of all coroutines.
    Coroutine,
    /// As a process of this executable.
    Program(PathBuf),
}

/// A handle to the task that watches the directory. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    known: Arc<Mutex<Known>>,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    requests: mpsc::UnboundedSender<oneshot::Sender<()>>,
    _watching: DropGuard,
}

/// The known state of the directory besides the catalogue.
#[derive(Debug, Default)]
struct Known {
    files: Files,
    /// Broken modules that must not be imported again, and why.
    unusable: BTreeMap<String, String>,
    /// Modules with a slow import that is the first since they changed.
    slow: BTreeSet<String>,
}

impl Watcher {
    /// Imports the modules of the directory, and continues to watch it. `prepare` is called before the import if there
    /// are Python modules.
    pub(super) async fn start(
        settings: Arc<RunnerSettings>,
        sdk: Arc<Sdk>,
        failed: impl Fn(io::Error) -> RunnerError,
        prepare: impl Fn(),
    ) -> Result<Self, RunnerError> {
        let files = Files::look(&settings, None).map_err(failed)?;
        if files.has_python() {
            prepare();
        }
        let findings = scan::look(&files, &settings, &sdk).await.map_err(|error| {
            RunnerError::Shortage(environment::shortage(&error).unwrap_or_else(|| error.to_string()))
        })?;
        let known = Arc::<Mutex<Known>>::default();
        let (announce, catalogue) = watch::channel(Arc::default());
        let (requests, from_requests) = mpsc::unbounded_channel();
        let mut watch = Watch {
            settings,
            sdk,
            known: Arc::clone(&known),
            announce,
            slow: FuturesUnordered::new(),
            try_python: None,
            failure: None,
        };
        watch.take_in(files, findings);
        let watching = CancellationToken::new();
        tokio::spawn(watching.clone().run_until_cancelled_owned(watch.run(from_requests)));
        Ok(Self { known, catalogue, requests, _watching: watching.drop_guard() })
    }

    /// The catalogue of tasks, with future changes.
    pub(super) fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.clone()
    }

    /// Whether the directory has a file for this task.
    pub(super) fn has(&self, name: &str) -> bool {
        self.known().files.get(name).is_some()
    }

    /// Where a task is run. The directory is read again if the task is not known to work, because it may be new or
    /// repaired.
    pub(super) async fn place(&self, name: &str) -> Place {
        if !self.catalogue.borrow().tasks.contains_key(name) {
            let (answer, answered) = oneshot::channel();
            let _ = self.requests.send(answer);
            let _ = answered.await;
        }
        let known = self.known();
        if known.slow.contains(name) {
            return Place::None;
        }
        if let Some(why) = known.unusable.get(name) {
            return Place::Broken(why.clone());
        }
        match known.files.get(name) {
            None => Place::None,
            Some(Err(why)) => Place::Broken(why),
            Some(Ok((Language::Python, _))) => {
                let is_coroutine = self.catalogue.borrow().tasks.get(name).is_some_and(|info| info.coroutine);
                if is_coroutine { Place::Coroutine } else { Place::Function }
            }
            Some(Ok((_, path))) => Place::Program(path.to_owned()),
        }
    }

    /// The content of the module that a run begins with now, if it is known.
    pub(super) fn content(&self, name: &str) -> Option<Content> {
        self.known().files.content(name).filter(|content| content.is_current()).cloned()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of the task that watches the directory.
struct Watch {
    settings: Arc<RunnerSettings>,
    sdk: Arc<Sdk>,
    known: Arc<Mutex<Known>>,
    announce: watch::Sender<Arc<Catalogue>>,
    slow: FuturesUnordered<Slow>,
    /// When Python is tried again, if it could not be started.
    try_python: Option<Instant>,
    /// Why the directory could not be read the last time.
    failure: Option<String>,
}

impl Watch {
    async fn run(mut self, mut requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
        let mut next_look = Instant::now() + POLL_INTERVAL;
        loop {
            let mut waiting = Vec::new();
            tokio::select! {
                Some((name, verdict)) = self.slow.next() => {
                    self.take_in_slow(name, verdict);
                    continue;
                }
                Some(request) = requests.recv() => waiting.push(request),
                () = tokio::time::sleep_until(next_look) => {}
            }
            while let Ok(request) = requests.try_recv() {
                waiting.push(request);
            }
            self.look().await;
            for request in waiting {
                let _ = request.send(());
            }
            next_look = Instant::now() + POLL_INTERVAL;
        }
    }

    /// Reads the directory, and imports the modules again if something has changed.
    async fn look(&mut self) {
        let failure = match self.look_for_changes().await {
            Ok(()) => None,
            Err(error) => Some(environment::shortage(&error).unwrap_or_else(|| error.to_string())),
        };
        if let Some(why) = failure.as_ref().filter(|why| self.failure.as_ref() != Some(why)) {
            let tasks_dir = self.settings.tasks_dir.display();
            tracing::warn!(why, %tasks_dir, "the task modules cannot be read; the previous ones stay in use");
        }
        self.failure = failure;
    }

    async fn look_for_changes(&mut self) -> io::Result<()> {
        let before = self.known().files.clone();
        let settings = Arc::clone(&self.settings);
        let (before, fresh) = tokio::task::spawn_blocking(move || {
            let fresh = Files::look(&settings, Some(&before));
            (before, fresh)
        })
        .await
        .map_err(io::Error::other)?;
        let fresh = fresh?;
        let is_due = self.try_python.is_some_and(|due| due <= Instant::now());
        if fresh == before && !is_due {
            return Ok(());
        }
        let findings = scan::look(&fresh, &self.settings, &self.sdk).await?;
        let changed = fresh != before || !findings.lacks_python;
        self.take_in(fresh, findings);
        if changed {
            tracing::info!("task modules have changed");
        }
        Ok(())
    }

    fn take_in(&mut self, files: Files, findings: Findings) {
        let Findings { mut catalogue, unusable, lacks_python, slow } = findings;
        self.try_python = lacks_python.then(|| Instant::now() + PYTHON_RETRY_INTERVAL);
        report_broken(&self.announce.borrow(), &catalogue);
        let is_known = |name: &str| catalogue.tasks.contains_key(name) || catalogue.broken.contains_key(name);
        let mut slow_names: BTreeSet<String> = if slow.is_empty() {
            BTreeSet::new()
        } else {
            files.names().filter(|name| !is_known(name)).map(str::to_owned).collect()
        };
        // The information about a module with a slow import is kept until the import has ended, unless its own source
        // has changed.
        let known_before: BTreeMap<String, TaskInfo> =
            slow_names.iter().filter_map(|name| Some((name.clone(), self.known_before(name, &files)?))).collect();
        slow_names.retain(|name| !known_before.contains_key(name));
        catalogue.tasks.extend(known_before);
        for name in &slow_names {
            tracing::info!(module = name, "the import of this module is slow; the other modules are ready");
        }
        catalogue.contents = contents(&files, &catalogue);
        *self.known() = Known { files, unusable, slow: slow_names };
        self.slow = slow;
        if **self.announce.borrow() != catalogue {
            self.announce.send_replace(Arc::new(catalogue));
        }
    }

    /// The previous information about a task whose source has not changed.
    fn known_before(&self, name: &str, files: &Files) -> Option<TaskInfo> {
        let is_same = files.has_same_source(name, &self.known().files);
        is_same.then(|| self.announce.borrow().tasks.get(name).cloned()).flatten()
    }

    fn take_in_slow(&mut self, name: String, verdict: scan::Verdict) {
        let mut findings = Findings { catalogue: Catalogue::clone(&self.announce.borrow()), ..Findings::default() };
        findings.note(name.clone(), verdict);
        let Findings { mut catalogue, unusable, .. } = findings;
        report_broken(&self.announce.borrow(), &catalogue);
        {
            let mut known = self.known();
            catalogue.contents = contents(&known.files, &catalogue);
            known.slow.remove(&name);
            known.unusable.extend(unusable);
        }
        self.announce.send_replace(Arc::new(catalogue));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The content of the modules of the catalogue.
fn contents(files: &Files, catalogue: &Catalogue) -> BTreeMap<String, Digest> {
    let known = catalogue.tasks.keys().filter_map(|name| Some((name.clone(), files.content(name)?.digest)));
    known.collect()
}

/// Logs the modules that are newly broken, or broken for another reason.
fn report_broken(before: &Catalogue, now: &Catalogue) {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, why) in &now.broken {
        if before.broken.get(name) != Some(why) {
            reasons.entry(why).or_default().push(name);
        }
    }
    for (why, modules) in reasons {
        let modules = modules.join(", ");
        tracing::warn!(modules, "these task modules are broken:\n{why}");
    }
}
