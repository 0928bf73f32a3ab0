//! Finds out what the files of the directory of tasks have to offer: Python modules are imported once, in processes
//! that do nothing else.
//!
//! One process imports one module after the other. A module that takes long keeps that process for itself, and another
//! one goes on with the rest.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use hub_core::Json;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines, Take};
use tokio::process::{Child, ChildStdout};
use tokio::time::Instant;

use super::environment::Group;
use super::files::Files;
use super::protocol::{self, ChildSettings, describe_exit};
use super::sdk::{OutputFile, Sdk};
use super::settings::RunnerSettings;
use super::{Catalogue, Language, TaskInfo, environment, interpreter};

/// A module that takes longer than this to import is imported apart from the others.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a process that has said all may take to end.
const TIDYING: Duration = Duration::from_secs(30);
/// Maximum number of modules that one process imports: their names are an argument of its command.
const MOST_NAMES: usize = 400;
/// Maximum size of all that one process says, in bytes.
const MAXIMUM_SAID: u64 = 64 * 1024 * 1024;

/// What the files have to offer.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) catalogue: Catalogue,
    /// Those of the broken modules that are not to be tried again: they would take their process with them, or hang, or
    /// there is no Python.
    pub(super) hopeless: BTreeMap<String, String>,
    /// Whether there is no Python for the modules.
    pub(super) lacks_python: bool,
    /// Modules that are still being imported.
    pub(super) slow: FuturesUnordered<Slow>,
}

/// A module that is being imported apart from the others, and what comes of it.
pub(super) type Slow = Pin<Box<dyn Future<Output = (String, Verdict)> + Send>>;

/// What an import has shown.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It has this task.
    Offers(TaskInfo),
    /// It raised an exception, or has no task. The next import may go better.
    Broken(String),
    /// It ended its process, or did not come to an end.
    Hopeless(String),
}

/// A line of a scanner.
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

/// A process that imports modules.
struct Scanner {
    process: Child,
    /// Ends what the modules have started, when this goes.
    group: Group,
    _output: OutputFile,
    lines: Lines<BufReader<Take<ChildStdout>>>,
    /// What it imports now, and when it is given up.
    loading: Option<(String, Instant)>,
    limit: Duration,
}

/// What a scanner has come to.
enum Event {
    /// The next module.
    Loading,
    /// A verdict.
    Found(String, Verdict),
    /// It has said all.
    All,
    /// It ended without having imported anything; how completes a sentence.
    Failed(String),
}

impl Findings {
    /// What became of a module.
    pub(super) fn note(&mut self, name: String, verdict: Verdict) {
        let why = match verdict {
            Verdict::Offers(info) => {
                self.catalogue.tasks.insert(name, info);
                return;
            }
            Verdict::Broken(why) => why,
            Verdict::Hopeless(why) => {
                self.hopeless.insert(name.clone(), why.clone());
                why
            }
        };
        // It may have been usable before.
        self.catalogue.tasks.remove(&name);
        self.catalogue.broken.insert(name, why);
    }

    fn knows(&self, name: &str) -> bool {
        self.catalogue.tasks.contains_key(name) || self.catalogue.broken.contains_key(name)
    }
}

/// Finds out what the files have to offer. Modules that take long are left to [`Findings::slow`].
///
/// # Errors
/// Where this machine is short of something that a process needs.
pub(super) async fn look(files: &Files, settings: &Arc<RunnerSettings>, sdk: &Sdk) -> io::Result<Findings> {
    let mut findings = Findings::default();
    let mut modules = Vec::new();
    for name in files.names() {
        match files.get(name) {
            Some(Ok((Language::Python, _))) => modules.push(name.to_owned()),
            Some(Ok(_)) => findings.note(name.to_owned(), Verdict::Offers(TaskInfo::plain(Language::Executable))),
            Some(Err(why)) => findings.note(name.to_owned(), Verdict::Broken(why)),
            None => {}
        }
    }
    while !modules.is_empty() {
        let part = modules.len().min(MOST_NAMES);
        match import(&modules[..part], settings, sdk, &mut findings).await? {
            Import::All => drop(modules.drain(..part)),
            Import::Until(last) => modules.retain(|name| *name != last && !findings.knows(name)),
            Import::Impossible(why) => {
                findings.lacks_python = true;
                modules.drain(..).for_each(|name| findings.note(name, Verdict::Hopeless(why.clone())));
            }
        }
    }
    Ok(findings)
}

/// How far a process came with its modules.
enum Import {
    /// It has said all.
    All,
    /// It did not survive this one, or is still at it.
    Until(String),
    /// It could not begin.
    Impossible(String),
}

/// Has one process import modules, as long as none of them takes long.
async fn import(names: &[String], settings: &RunnerSettings, sdk: &Sdk, findings: &mut Findings) -> io::Result<Import> {
    let mut scanner = match Scanner::start(names, settings, sdk).await {
        Ok(scanner) => scanner,
        Err(error) if environment::shortage(&error).is_some() => return Err(error),
        Err(error) => return Ok(Import::Impossible(interpreter::not_started(&settings.python, &error))),
    };
    let deadline = Instant::now() + settings.import_limit;
    loop {
        let patience = (Instant::now() + PATIENCE).min(scanner.deadline().unwrap_or(deadline));
        match tokio::time::timeout_at(patience, scanner.next()).await {
            Ok(Event::Loading) => {}
            Ok(Event::Found(name, verdict)) => {
                let is_end = matches!(verdict, Verdict::Hopeless(_)).then(|| name.clone());
                findings.note(name, verdict);
                if let Some(name) = is_end {
                    return Ok(Import::Until(name));
                }
            }
            Ok(Event::All) => {
                scanner.let_tidy_up();
                return Ok(Import::All);
            }
            Ok(Event::Failed(how)) => {
                return Ok(Import::Impossible(interpreter::diagnose(&settings.python, &how).await));
            }
            Err(_) => match scanner.loading.clone() {
                Some((name, _)) => {
                    findings.slow.push(Box::pin(scanner.finish()));
                    return Ok(Import::Until(name));
                }
                None if Instant::now() < deadline => {}
                None => {
                    let how = format!("did not begin within {} s", settings.import_limit.as_secs());
                    return Ok(Import::Impossible(interpreter::diagnose(&settings.python, &how).await));
                }
            },
        }
    }
}

impl Scanner {
    async fn start(names: &[String], settings: &RunnerSettings, sdk: &Sdk) -> io::Result<Self> {
        let output = sdk.output_file();
        let child_settings = ChildSettings {
            tasks_dir: &settings.tasks_dir,
            output: output.path(),
            log_limit: settings.log_limit_bytes,
            result_limit: settings.result_limit_bytes,
            max_depth: Json::MAX_DEPTH,
            coroutines: false,
            scan: Some(names),
        };
        sdk.restore()?;
        let mut process = environment::start(&mut protocol::python(&settings.python, sdk, &child_settings)).await?;
        let group = Group::of(&process);
        let stdout = process.stdout.take().ok_or_else(|| io::Error::other("the process has no pipes"))?;
        let lines = BufReader::new(stdout.take(MAXIMUM_SAID)).lines();
        Ok(Self { process, group, _output: output, lines, loading: None, limit: settings.import_limit })
    }

    /// When the module that it imports now is given up.
    fn deadline(&self) -> Option<Instant> {
        self.loading.as_ref().map(|(_, deadline)| *deadline)
    }

    /// Waits for what it says next. Nothing is lost where this is given up halfway.
    async fn next(&mut self) -> Event {
        while let Ok(Some(line)) = self.lines.next_line().await {
            let Ok(said) = serde_json::from_str::<Said>(&line) else { continue };
            if said.all {
                return Event::All;
            }
            if let Some(name) = said.loading {
                self.loading = Some((name, Instant::now() + self.limit));
                return Event::Loading;
            }
            if let Some(name) = said.name.clone() {
                self.loading = None;
                return Event::Found(name, said.verdict());
            }
        }
        let how = if self.lines.get_ref().get_ref().limit() == 0 {
            self.group.kill();
            format!("wrote more than {} MiB where the worker reads", MAXIMUM_SAID >> 20)
        } else {
            self.process.wait().await.map_or_else(|_| "ended".to_owned(), describe_exit)
        };
        match self.loading.take() {
            Some((name, _)) => Event::Found(name, Verdict::Hopeless(format!("the process that imported it {how}"))),
            None => Event::Failed(how),
        }
    }

    /// Waits for the verdict on the module that it imports now, and ends it.
    async fn finish(mut self) -> (String, Verdict) {
        let (name, deadline) = self.loading.clone().unwrap_or_else(|| (String::new(), Instant::now()));
        loop {
            match tokio::time::timeout_at(deadline, self.next()).await {
                Ok(Event::Found(found, verdict)) if found == name => return (name, verdict),
                Ok(Event::Loading | Event::Found(..)) => {}
                Ok(Event::All | Event::Failed(_)) => return (name, Verdict::Hopeless("it is not there".to_owned())),
                Err(_) => {
                    let why = format!(
                        "importing it took longer than {} s. Code outside functions runs during import. Move blocking \
                         calls into the task function",
                        self.limit.as_secs()
                    );
                    return (name, Verdict::Hopeless(why));
                }
            }
        }
    }

    /// Lets it come to its end: modules may have exit handlers.
    fn let_tidy_up(self) {
        let Self { mut process, group, .. } = self;
        tokio::spawn(async move {
            let _ = tokio::time::timeout(TIDYING, process.wait()).await;
            drop(group);
        });
    }
}

impl Said {
    fn verdict(self) -> Verdict {
        self.broken.map_or_else(
            || {
                Verdict::Offers(TaskInfo {
                    language: Language::Python,
                    signature: self.signature,
                    doc: self.doc,
                    asynchronous: self.asynchronous,
                    coroutine: self.coroutine,
                })
            },
            Verdict::Broken,
        )
    }
}
