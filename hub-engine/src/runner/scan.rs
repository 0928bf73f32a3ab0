//! Finds the tasks in the files of the directory of tasks. Python modules are imported once in separate processes.
//!
//! One process imports one module after another. If the import of a module takes long, another process imports the
//! other modules.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use hub_core::Json;
use hub_core::job::{ModuleDefaults, Problem, Problems};
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

/// Duration after which the import of a module is slow, and another process imports the other modules.
const SLOW_IMPORT: Duration = Duration::from_secs(1);
/// Maximum time a process may take to exit after its last line.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of modules that one process imports. Their names are arguments of its command.
const MAXIMUM_NAMES: usize = 400;
/// Maximum size of one process's output in bytes.
const MAXIMUM_OUTPUT: u64 = 64 * 1024 * 1024;

/// The result of importing the modules.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) catalogue: Catalogue,
    /// Broken modules that must not be imported again, because they end their process or hang, or because there is no
    /// Python.
    pub(super) unusable: BTreeMap<String, String>,
    /// Whether Python cannot be started.
    pub(super) lacks_python: bool,
    /// Modules that are still being imported.
    pub(super) slow: FuturesUnordered<Slow>,
}

/// A slow import and its result.
pub(super) type Slow = Pin<Box<dyn Future<Output = (String, Verdict)> + Send>>;

/// The result of an import.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The module has this task.
    Offers(TaskInfo),
    /// The module raised an exception or has no task. It may be imported again.
    Broken(String),
    /// The module can be imported, and the options of its task are wrong.
    Misconfigured(String),
    /// The module ended its process or hung.
    Unusable(String),
}

/// A line of a scanner's output.
#[derive(Deserialize)]
struct ScannerLine {
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
    /// The options of `@task` that are defaults of its tasks.
    #[serde(default)]
    defaults: Option<Json>,
    #[serde(default)]
    broken: Option<String>,
    /// All modules have been imported.
    #[serde(default)]
    all: bool,
}

/// A process that imports modules.
struct Scanner {
    process: Child,
    /// Kills the processes that the modules have started, when this is dropped.
    group: Group,
    _output: OutputFile,
    lines: Lines<BufReader<Take<ChildStdout>>>,
    /// The current module and its deadline.
    loading: Option<(String, Instant)>,
    limit: Duration,
}

/// An event of a scanner.
enum Event {
    /// The import of the next module begins.
    Loading,
    /// The result of a module.
    Found(String, Verdict),
    /// All modules have been imported.
    All,
    /// The process ended before the first import. Contains how, as the end of a sentence.
    Failed(String),
}

impl Findings {
    /// Records the result of a module.
    pub(super) fn note(&mut self, name: String, verdict: Verdict) {
        let why = match verdict {
            Verdict::Offers(info) => {
                self.catalogue.tasks.insert(name, info);
                return;
            }
            Verdict::Broken(why) => why,
            Verdict::Misconfigured(why) | Verdict::Unusable(why) => {
                self.unusable.insert(name.clone(), why.clone());
                why
            }
        };
        // The module may have been usable before.
        self.catalogue.tasks.remove(&name);
        self.catalogue.broken.insert(name, why);
    }

    fn knows(&self, name: &str) -> bool {
        self.catalogue.tasks.contains_key(name) || self.catalogue.broken.contains_key(name)
    }
}

/// Finds the tasks in the files. Slow imports continue in [`Findings::slow`].
///
/// # Errors
/// If a process cannot be started because of a shortage on this machine.
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
        let part = modules.len().min(MAXIMUM_NAMES);
        match import(&modules[..part], settings, sdk, &mut findings).await? {
            Import::All => drop(modules.drain(..part)),
            Import::Until(last) => modules.retain(|name| *name != last && !findings.knows(name)),
            Import::Impossible(why) => {
                findings.lacks_python = true;
                modules.drain(..).for_each(|name| findings.note(name, Verdict::Unusable(why.clone())));
            }
        }
    }
    Ok(findings)
}

/// How far a process has imported its modules.
enum Import {
    /// All modules have been imported.
    All,
    /// The process died at this module, or is still importing it.
    Until(String),
    /// The process could not start importing.
    Impossible(String),
}

/// Imports modules in one process, until one is slow.
async fn import(names: &[String], settings: &RunnerSettings, sdk: &Sdk, findings: &mut Findings) -> io::Result<Import> {
    let mut scanner = match Scanner::start(names, settings, sdk).await {
        Ok(scanner) => scanner,
        Err(error) if environment::shortage(&error).is_some() => return Err(error),
        Err(error) => return Ok(Import::Impossible(interpreter::not_started(&settings.python, &error))),
    };
    let deadline = Instant::now() + settings.import_limit;
    loop {
        let until = (Instant::now() + SLOW_IMPORT).min(scanner.deadline().unwrap_or(deadline));
        match tokio::time::timeout_at(until, scanner.next()).await {
            Ok(Event::Loading) => {}
            Ok(Event::Found(name, verdict)) => {
                let is_end = matches!(verdict, Verdict::Unusable(_)).then(|| name.clone());
                findings.note(name, verdict);
                if let Some(name) = is_end {
                    return Ok(Import::Until(name));
                }
            }
            Ok(Event::All) => {
                scanner.let_exit();
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
                    let how = format!("did not start within {} s", settings.import_limit.as_secs());
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
        let lines = BufReader::new(stdout.take(MAXIMUM_OUTPUT)).lines();
        Ok(Self { process, group, _output: output, lines, loading: None, limit: settings.import_limit })
    }

    /// The deadline of the current module.
    fn deadline(&self) -> Option<Instant> {
        self.loading.as_ref().map(|(_, deadline)| *deadline)
    }

    /// Waits for the next event. Cancellation-safe.
    async fn next(&mut self) -> Event {
        while let Ok(Some(line)) = self.lines.next_line().await {
            let Ok(said) = serde_json::from_str::<ScannerLine>(&line) else { continue };
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
            format!("wrote more than {} MiB to its standard output", MAXIMUM_OUTPUT >> 20)
        } else {
            self.process.wait().await.map_or_else(|_| "ended".to_owned(), describe_exit)
        };
        match self.loading.take() {
            Some((name, _)) => Event::Found(name, Verdict::Unusable(format!("the process that imported it {how}"))),
            None => Event::Failed(how),
        }
    }

    /// Waits for the result of the current module, and ends the process.
    async fn finish(mut self) -> (String, Verdict) {
        let (name, deadline) = self.loading.clone().unwrap_or_else(|| (String::new(), Instant::now()));
        loop {
            match tokio::time::timeout_at(deadline, self.next()).await {
                Ok(Event::Found(found, verdict)) if found == name => return (name, verdict),
                Ok(Event::Loading | Event::Found(..)) => {}
                Ok(Event::All | Event::Failed(_)) => {
                    return (name, Verdict::Unusable("the module does not exist".to_owned()));
                }
                Err(_) => {
                    let why = format!(
                        "importing it took longer than {} s. Code outside functions runs during import. Move blocking \
                         calls into the task function",
                        self.limit.as_secs()
                    );
                    return (name, Verdict::Unusable(why));
                }
            }
        }
    }

    /// Lets the process exit by itself, because modules may have exit handlers.
    fn let_exit(self) {
        let Self { mut process, group, .. } = self;
        tokio::spawn(async move {
            let _ = tokio::time::timeout(EXIT_TIMEOUT, process.wait()).await;
            drop(group);
        });
    }
}

impl ScannerLine {
    fn verdict(self) -> Verdict {
        if let Some(why) = self.broken {
            return Verdict::Broken(why);
        }
        let defaults = match self.defaults.map(ModuleDefaults::read).transpose() {
            Ok(defaults) => defaults.map(Arc::new),
            Err(problems) => return Verdict::Misconfigured(wrong_options(&problems)),
        };
        Verdict::Offers(TaskInfo {
            language: Language::Python,
            signature: self.signature,
            doc: self.doc,
            asynchronous: self.asynchronous,
            coroutine: self.coroutine,
            defaults,
        })
    }
}

/// Why the options of `@task` cannot be used.
fn wrong_options(problems: &Problems) -> String {
    let option = |problem: &Problem| {
        let advice = problem.suggestion.as_ref().map(|advice| format!(" ({advice})")).unwrap_or_default();
        let place = problem.path.strip_prefix("$.").map(|place| format!("{place}: ")).unwrap_or_default();
        format!("{place}{}{advice}", problem.message)
    };
    let all: Vec<String> = problems.iter().map(option).collect();
    format!("the options of @task are wrong: {}", all.join("; "))
}
