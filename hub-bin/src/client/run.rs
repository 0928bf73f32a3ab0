//! `hub-client run`: a complete Hub in this process, for one job.

use std::collections::{BTreeSet, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hub_core::job::{InputCheck, Job, Limits, Task};
use hub_core::text::Shown;
use hub_core::{JobId, TaskKinds, TaskStatus};
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::http::{self, HttpSettings};
use hub_engine::operations::{Hub, JobCancel, Submission, TaskQuery, View};
use hub_engine::runner::Catalogue;
use hub_engine::store::MemoryStore;
use hub_transport::memory::MemoryBroker;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::arguments::RunArgs;
use super::job_file::JobFile;
use super::output::Output;
use super::progress::Progress;
use super::{definitions, follow};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::reach::DEFAULT_PREFIX;
use crate::signals::Signals;
use crate::worker::Work;

/// Maximum time for the dispatcher and the worker to stop after the end of the job.
const GRACE: Duration = Duration::from_secs(5);
/// Maximum time for the tasks of a cancelled job to end. It includes the grace of running tasks.
const CANCEL_WAIT: Duration = Duration::from_secs(15);
/// Initial interval between two polls of the job, and the interval while its progress is shown.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum interval between two polls of the job.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum number of tasks that are reported as waiting for a result.
const MAX_REPORTED: usize = 20;

pub(super) async fn run(args: RunArgs, inputs: Arc<dyn InputCheck>, output: &Output) -> Result<Exit, Failure> {
    let file = JobFile::read(&args.file, output)?;
    // The dispatcher refuses a job that is not valid.
    let job = Job::parse(file.json(), &Limits::default()).ok();
    let mut work = args.work.clone();
    if job.as_ref().is_some_and(|job| modules_of(job).next().is_none()) {
        // Commands need no directory of task modules, but one to run in.
        work.tasks_dir.get_or_insert_with(|| ".".into());
    }
    let Some(work) = work.merge(&Config::default(), TaskKinds::all()) else {
        let message = "no task modules: give their directory with --tasks-dir";
        return Err(Failure::new(Exit::Usage, message));
    };
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(Exit::Refused, "cannot listen for signals").because(error))?;
    let transport = MemoryBroker::new().transport();
    let settings = DispatcherSettings { inputs, ..DispatcherSettings::new(DEFAULT_PREFIX) };
    let dispatcher = Dispatcher::start(Arc::clone(&transport), Arc::new(MemoryStore::new()), settings)
        .await
        .map_err(|error| Failure::new(Exit::Refused, "cannot start the dispatcher").because(error))?;
    let hub = dispatcher.hub();
    definitions::apply_for_run(&*hub, &file, &args.definitions, output).await?;
    let submission = Submission { text: file.json().into(), id: None };
    let id = hub.submit(submission).await.map_err(|error| file.refused(error))?;
    let work = match &job {
        Some(job) => restrict_to_job(work, job)?,
        None => work,
    };
    // What the definitions of a job contain is not known here.
    let has_waits = job.as_ref().is_none_or(|job| all_tasks(job).any(|task| task.wait().is_some()));
    let (worker, catalogue) = work.start_with_catalogue(transport, DEFAULT_PREFIX).await?;
    let outcome = end_of(&hub, id, &args, (catalogue, has_waits), output, &mut signals).await;
    let ending = async {
        worker.stop(GRACE).await;
        dispatcher.stop(GRACE).await;
    };
    // A second interrupt ends the program at once, even if tasks are running.
    signals.unless_again(ending).await;
    outcome
}

/// Restricts the worker to the modules that the job names, since loading others would delay it. Fails if the worker does not
/// serve a pool of the job, since there is no other worker.
fn restrict_to_job(work: Work, job: &Job) -> Result<Work, Failure> {
    let on_workers = all_tasks(job).filter(|task| task.is_for_worker());
    let pools: BTreeSet<&str> = on_workers.map(|task| &**task.pool()).collect();
    let missing: Vec<&str> = pools.iter().copied().filter(|pool| !work.serves(pool)).collect();
    if !missing.is_empty() {
        let message = format!("the job uses pools that are not served: {}", Shown(missing.join(", ")));
        let all = Shown(pools.into_iter().collect::<Vec<_>>().join(","));
        return Err(Failure::new(Exit::Usage, message).advise(format!("give all pools of the job: --pool {all}")));
    }
    Ok(work.only(modules_of(job).map(ToString::to_string)))
}

/// The modules that the tasks of a job run.
fn modules_of(job: &Job) -> impl Iterator<Item = &Arc<str>> {
    all_tasks(job).filter(|task| task.run().is_none() && task.is_for_worker()).map(Task::module)
}

/// The tasks of a job and of all its sub-jobs.
fn all_tasks(job: &Job) -> impl Iterator<Item = &Task> {
    job.with_sub_jobs().into_iter().flat_map(Job::tasks)
}

async fn end_of(
    hub: &Arc<dyn Hub>,
    id: JobId,
    args: &RunArgs,
    (catalogue, has_waits): (watch::Receiver<Arc<Catalogue>>, bool),
    output: &Output,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let limit = args.wait_limit.map(Duration::from_secs_f64);
    let deadline = limit.map(|limit| Instant::now() + limit);
    let (progress, mut waiting, mut step) = (output.progress(), WaitingTasks::new(), MIN_POLL_INTERVAL);
    loop {
        let left = deadline.map_or(step, |deadline| deadline.saturating_duration_since(Instant::now()).min(step));
        let summary = tokio::select! {
            summary = hub.summary(id, Some(left)) => summary?,
            () = signals.next() => {
                progress.clear();
                cancel(hub, id, output, signals).await?;
                output.say("interrupted: the job was cancelled");
                return Ok(Exit::Interrupted);
            }
        };
        progress.show(&summary);
        if summary.status.is_terminal() {
            progress.clear();
            return output.record(&hub.job(id, None).await?);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            progress.clear();
            // The job cannot continue after the end of this process.
            cancel(hub, id, output, signals).await?;
            let message = format!("the job did not end within {} and was cancelled", follow::shown(limit));
            return Err(Failure::new(Exit::WaitLimit, message));
        }
        // Only a wait and a task of an asynchronous module can wait for something from outside.
        if has_waits || catalogue.borrow().tasks.values().any(|module| module.asynchronous) {
            waiting.poll(hub, id, output, &progress).await?;
        }
        if !progress.is_shown() {
            step = (step * 2).min(MAX_POLL_INTERVAL);
        }
    }
}

/// Cancels the job, unless it has just ended, waits for its tasks, and prints its record. After a second signal, tasks are killed.
async fn cancel(hub: &Arc<dyn Hub>, id: JobId, output: &Output, signals: &mut Signals) -> Result<(), Failure> {
    let cancelled = hub.cancel(id).await;
    tracing::debug!(?cancelled, "cancelled the job");
    let record = tokio::select! {
        record = hub.job(id, Some(CANCEL_WAIT)) => record?,
        () = signals.next() => {
            let _ = hub.cancel_with(JobCancel { now: true, ..JobCancel::new(id) }).await;
            hub.job(id, Some(GRACE)).await?
        }
    };
    output.record(&record).map(drop)
}

/// Reports the tasks that wait for results, signals or approvals, and opens the HTTP API on a local port to receive them.
struct WaitingTasks {
    api: Option<(SocketAddr, DropGuard)>,
    reported: HashSet<String>,
    next_poll: Instant,
    interval: Duration,
}

/// A page of the tasks of a job.
#[derive(Deserialize)]
struct Page {
    tasks: Vec<TaskState>,
    #[serde(default)]
    next: Option<u32>,
}

/// The requested keys of a task.
#[derive(Deserialize)]
struct TaskState {
    id: String,
    name: String,
    status: String,
    #[serde(default)]
    waiting_reason: Option<String>,
    #[serde(default)]
    wait: Option<WaitRecord>,
}

/// The requested keys of a wait.
#[derive(Deserialize)]
struct WaitRecord {
    #[serde(default)]
    signal: Option<String>,
    #[serde(default)]
    approval: Option<serde::de::IgnoredAny>,
}

impl TaskState {
    /// Why it waits, and the arguments of the command that ends the wait. `None` if it needs nothing from outside: only
    /// waits and asynchronous tasks that run have a reason to wait.
    fn request(&self, job: JobId) -> Option<(&str, String)> {
        let reason = self.waiting_reason.as_deref().filter(|_| self.status == TaskStatus::Running.as_str())?;
        let command = match &self.wait {
            None => format!("result {} --data '\"any JSON\"'", self.id),
            Some(WaitRecord { signal: Some(name), .. }) => {
                format!("signal {job} {} --data '\"any JSON\"'", in_shell(name))
            }
            Some(WaitRecord { approval: Some(_), .. }) => format!("approve {}", self.id),
            Some(WaitRecord { signal: None, approval: None }) => return None,
        };
        Some((reason, command))
    }
}

/// A text as one argument of a command in a shell.
fn in_shell(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.bytes().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

impl WaitingTasks {
    fn new() -> Self {
        Self { api: None, reported: HashSet::new(), next_poll: Instant::now(), interval: MIN_POLL_INTERVAL }
    }

    /// If the interval has passed, looks for tasks that wait for their results, and prints how to post each result.
    async fn poll(
        &mut self,
        hub: &Arc<dyn Hub>,
        id: JobId,
        output: &Output,
        progress: &Progress,
    ) -> Result<(), Failure> {
        if Instant::now() < self.next_poll {
            return Ok(());
        }
        let (view, mut next) = (View::whole().with_fields("id,name,status,waiting_reason,wait"), Some(0));
        while let Some(after) = next.filter(|_| self.reported.len() < MAX_REPORTED) {
            let query = TaskQuery { after: Some(after), view: view.clone(), ..TaskQuery::default() };
            let page: Page = serde_json::from_str(hub.tasks(id, query).await?.get()).map_err(|error| {
                Failure::new(Exit::Refused, "cannot read the records of the job's tasks").because(error)
            })?;
            for task in &page.tasks {
                if let Some((reason, command)) = task.request(id) {
                    let text = format!("task {:?} {}", Shown(&task.name).to_string(), Shown(reason));
                    self.report(&task.id, &text, &command, hub, output, progress).await?;
                }
            }
            next = page.next;
        }
        self.next_poll = Instant::now() + self.interval;
        self.interval = (self.interval * 2).min(MAX_POLL_INTERVAL);
        Ok(())
    }

    async fn report(
        &mut self,
        task: &str,
        text: &str,
        command: &str,
        hub: &Arc<dyn Hub>,
        output: &Output,
        progress: &Progress,
    ) -> Result<(), Failure> {
        if self.reported.len() >= MAX_REPORTED || !self.reported.insert(task.to_owned()) {
            return Ok(());
        }
        let address = self.open(hub).await?;
        let text = format!("{text}. In another terminal:\n  hub-client -b http://{address} {command}");
        progress.suspend(|| output.say(&text));
        if self.reported.len() == MAX_REPORTED {
            progress.suspend(|| output.say("further waiting tasks are not reported"));
        }
        Ok(())
    }

    /// The address of the HTTP API, which is started on the first call.
    async fn open(&mut self, hub: &Arc<dyn Hub>) -> Result<SocketAddr, Failure> {
        if let Some((address, _)) = &self.api {
            return Ok(*address);
        }
        let failed = |error: std::io::Error| {
            let message = "a task waits for something from outside, but the HTTP API cannot be opened on a local port";
            Failure::new(Exit::Refused, message).because(error)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shutdown = CancellationToken::new();
        tokio::spawn(http::serve(listener, Arc::clone(hub), HttpSettings::default(), shutdown.clone()));
        self.api = Some((address, shutdown.drop_guard()));
        Ok(address)
    }
}
