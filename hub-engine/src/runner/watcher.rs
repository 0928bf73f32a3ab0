//! Keeps an eye on the directory of tasks, and knows where each task is to be run.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::files::Files;
use super::scan::{self, Findings, Slow};
use super::sdk::Sdk;
use super::settings::{RunnerError, RunnerSettings};
use super::{Catalogue, Language, TaskInfo, environment};

/// How often the directory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often Python is tried again where there was none.
const TRY_PYTHON_EVERY: Duration = Duration::from_secs(10);

/// Where a task is to be run.
#[derive(Debug)]
pub(super) enum Place {
    /// Not here, or not yet.
    None,
    /// It cannot be run, for this reason.
    Broken(String),
    /// In a Python process of those that run one task at a time.
    Function,
    /// In the Python process of all coroutines.
    Coroutine,
    /// In a process of this program.
    Program(PathBuf),
}

/// Looks at the directory again and again, as long as this is there.
#[derive(Debug)]
pub(super) struct Watcher {
    known: Arc<Mutex<Known>>,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    requests: mpsc::UnboundedSender<oneshot::Sender<()>>,
    _watching: DropGuard,
}

/// What is known of the directory, beside the catalogue.
#[derive(Debug, Default)]
struct Known {
    files: Files,
    /// Broken modules that are not to be tried again, and why.
    hopeless: BTreeMap<String, String>,
    /// Modules that are being imported for the first time since they changed, and take long.
    slow: BTreeSet<String>,
}

impl Watcher {
    /// Finds out what the directory has, and goes on watching. `prepare` is called when it is known that there are Python
    /// modules, before they are imported.
    pub(super) async fn start(
        settings: Arc<RunnerSettings>,
        sdk: Arc<Sdk>,
        failed: impl Fn(io::Error) -> RunnerError,
        prepare: impl Fn(),
    ) -> Result<Self, RunnerError> {
        let files = Files::look(&settings, &Files::default()).map_err(failed)?;
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

    /// The tasks that there are, now and from now on.
    pub(super) fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.clone()
    }

    /// Whether the directory has a file for this task.
    pub(super) fn has(&self, name: &str) -> bool {
        self.known().files.get(name).is_some()
    }

    /// Where a task is to be run. What is not known to work is looked at again: it may be new, or mended.
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
        if let Some(why) = known.hopeless.get(name) {
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

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What does the watching.
struct Watch {
    settings: Arc<RunnerSettings>,
    sdk: Arc<Sdk>,
    known: Arc<Mutex<Known>>,
    announce: watch::Sender<Arc<Catalogue>>,
    slow: FuturesUnordered<Slow>,
    /// When Python is tried again, where there was none.
    try_python: Option<Instant>,
    /// Why the last look at the directory failed.
    failure: Option<String>,
}

impl Watch {
    async fn run(mut self, mut requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
        let mut next_look = Instant::now() + LOOK_EVERY;
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
            next_look = Instant::now() + LOOK_EVERY;
        }
    }

    /// Looks at the directory, and finds out what it has to offer where something has changed.
    async fn look(&mut self) {
        let failure = match self.look_for_changes().await {
            Ok(()) => None,
            Err(error) => Some(environment::shortage(&error).unwrap_or_else(|| error.to_string())),
        };
        if let Some(why) = failure.as_ref().filter(|why| self.failure.as_ref() != Some(why)) {
            let tasks_dir = self.settings.tasks_dir.display();
            tracing::warn!(why, %tasks_dir, "the task modules cannot be read; those known before are used on");
        }
        self.failure = failure;
    }

    async fn look_for_changes(&mut self) -> io::Result<()> {
        let before = self.known().files.clone();
        let settings = Arc::clone(&self.settings);
        let (before, fresh) = tokio::task::spawn_blocking(move || {
            let fresh = Files::look(&settings, &before);
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
        let Findings { mut catalogue, hopeless, lacks_python, slow } = findings;
        self.try_python = lacks_python.then(|| Instant::now() + TRY_PYTHON_EVERY);
        report_broken(&self.announce.borrow(), &catalogue);
        let is_known = |name: &str| catalogue.tasks.contains_key(name) || catalogue.broken.contains_key(name);
        let mut slow_names: BTreeSet<String> = if slow.is_empty() {
            BTreeSet::new()
        } else {
            files.names().filter(|name| !is_known(name)).map(str::to_owned).collect()
        };
        // What is known of a module stays until its import has ended, unless its own source has changed.
        let known_before: BTreeMap<String, TaskInfo> =
            slow_names.iter().filter_map(|name| Some((name.clone(), self.known_before(name, &files)?))).collect();
        slow_names.retain(|name| !known_before.contains_key(name));
        catalogue.tasks.extend(known_before);
        for name in &slow_names {
            tracing::info!(module = name, "importing this module takes long; the others are ready");
        }
        *self.known() = Known { files, hopeless, slow: slow_names };
        self.slow = slow;
        if **self.announce.borrow() != catalogue {
            self.announce.send_replace(Arc::new(catalogue));
        }
    }

    /// What is known of a task whose source has not changed since.
    fn known_before(&self, name: &str, files: &Files) -> Option<TaskInfo> {
        let is_same = files.has_same_source(name, &self.known().files);
        is_same.then(|| self.announce.borrow().tasks.get(name).cloned()).flatten()
    }

    fn take_in_slow(&mut self, name: String, verdict: scan::Verdict) {
        let mut findings = Findings { catalogue: Catalogue::clone(&self.announce.borrow()), ..Findings::default() };
        findings.note(name.clone(), verdict);
        let Findings { catalogue, hopeless, .. } = findings;
        report_broken(&self.announce.borrow(), &catalogue);
        {
            let mut known = self.known();
            known.slow.remove(&name);
            known.hopeless.extend(hopeless);
        }
        self.announce.send_replace(Arc::new(catalogue));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says which modules cannot be used that could be before, or could not for another reason.
fn report_broken(before: &Catalogue, now: &Catalogue) {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, why) in &now.broken {
        if before.broken.get(name) != Some(why) {
            reasons.entry(why).or_default().push(name);
        }
    }
    for (why, modules) in reasons {
        let modules = modules.join(", ");
        tracing::warn!(modules, "these task modules cannot be used; the others can:\n{why}");
    }
}
