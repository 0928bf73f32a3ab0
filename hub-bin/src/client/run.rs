//! `hub-client run`: a whole Hub in this process, for one job.

use std::collections::{BTreeSet, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hub_core::job::{Job, Limits};
use hub_core::text::Shown;
use hub_core::{JobId, TaskStatus};
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::http::{self, HttpSettings};
use hub_engine::operations::{Hub, Submission, TaskQuery, View};
use hub_engine::runner::Catalogue;
use hub_engine::store::MemoryStore;
use hub_transport::memory::MemoryBroker;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::arguments::RunArgs;
use super::output::Output;
use super::progress::Progress;
use super::{commands, follow, input};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::reach::DEFAULT_PREFIX;
use crate::signals::Signals;
use crate::worker::Work;

/// Maximum time for everything to end when the job has.
const GRACE: Duration = Duration::from_secs(5);
/// Interval between two looks at the job, at first, and where its progress is shown.
const FIRST_LOOK: Duration = Duration::from_millis(250);
/// Maximum interval between two looks at the job.
const LOOK: Duration = Duration::from_secs(5);
/// Maximum number of tasks that are reported as waiting for a result.
const REPORTED: usize = 20;

pub(super) async fn run(args: RunArgs, output: &Output) -> Result<Exit, Failure> {
    let text = input::read_job(&args.file, output)?;
    let Some(work) = args.work.clone().merge(&Config::default()) else {
        let message = "the job needs task modules: name their directory with --tasks-dir";
        return Err(Failure::new(Exit::Usage, message));
    };
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(Exit::Refused, "cannot listen for signals").because(error))?;
    let transport = MemoryBroker::new().transport();
    let settings = DispatcherSettings::new(DEFAULT_PREFIX);
    let dispatcher = Dispatcher::start(Arc::clone(&transport), Arc::new(MemoryStore::new()), settings)
        .await
        .map_err(|error| Failure::new(Exit::Refused, "the dispatcher cannot start").because(error))?;
    let hub = dispatcher.hub();
    let submission = Submission { text: text.as_str().into(), id: None };
    let id = hub.submit(submission).await.map_err(|error| commands::refused(&args.file, &text, error))?;
    let work = only_what_it_needs(work, &text)?;
    let (worker, catalogue) = work.start_with_catalogue(transport, DEFAULT_PREFIX).await?;
    let outcome = end_of(&hub, id, &args, catalogue, output, &mut signals).await;
    let ending = async {
        worker.stop(GRACE).await;
        dispatcher.stop(GRACE).await;
    };
    // A second interrupt ends the program at once, whatever its tasks do.
    signals.unless_again(ending).await;
    outcome
}

/// No other worker could run what is missing here, and loading modules that the job does not name would delay it.
fn only_what_it_needs(work: Work, text: &str) -> Result<Work, Failure> {
    // It was let in, so it can be read.
    let Ok(job) = Job::parse(text, &Limits::default()) else { return Ok(work) };
    let pools: BTreeSet<&str> = job.tasks().iter().map(|task| &**task.pool()).collect();
    let missing: Vec<&str> = pools.iter().copied().filter(|pool| !work.serves(pool)).collect();
    if !missing.is_empty() {
        let message = format!("the job uses pools that this run does not serve: {}", Shown(missing.join(", ")));
        let all = Shown(pools.into_iter().collect::<Vec<_>>().join(","));
        return Err(Failure::new(Exit::Usage, message).advise(format!("name every pool of the job: --pool {all}")));
    }
    Ok(work.only(job.tasks().iter().map(|task| task.module().to_string())))
}

async fn end_of(
    hub: &Arc<dyn Hub>,
    id: JobId,
    args: &RunArgs,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    output: &Output,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let limit = args.wait_limit.map(Duration::from_secs_f64);
    let deadline = limit.map(|limit| Instant::now() + limit);
    let (progress, mut outside, mut step) = (output.progress(), Outside::new(), FIRST_LOOK);
    loop {
        let left = deadline.map_or(step, |deadline| deadline.saturating_duration_since(Instant::now()).min(step));
        let summary = tokio::select! {
            summary = hub.summary(id, Some(left)) => summary?,
            () = signals.next() => {
                progress.clear();
                cancel(hub, id, output).await?;
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
            // When this process ends, nothing of the job goes on.
            cancel(hub, id, output).await?;
            let message = format!("the job did not end within {} and was cancelled", follow::shown(limit));
            return Err(Failure::new(Exit::WaitLimit, message));
        }
        // Only a task of an asynchronous module can wait for a result.
        if catalogue.borrow().tasks.values().any(|module| module.asynchronous) {
            outside.look(hub, id, output, &progress).await?;
        }
        if !progress.is_shown() {
            step = (step * 2).min(LOOK);
        }
    }
}

/// Cancels the job and prints its record. It may have ended just before.
async fn cancel(hub: &Arc<dyn Hub>, id: JobId, output: &Output) -> Result<(), Failure> {
    let cancelled = hub.cancel(id).await;
    tracing::debug!(?cancelled, "the job is cancelled");
    output.record(&hub.job(id, None).await?).map(drop)
}

/// The way in for results of asynchronous tasks: the HTTP API on a port of this machine, open as soon as one is needed.
struct Outside {
    api: Option<(SocketAddr, DropGuard)>,
    reported: HashSet<String>,
    next_look: Instant,
    interval: Duration,
}

/// Some tasks of a job.
#[derive(Deserialize)]
struct Page {
    tasks: Vec<Waiting>,
    #[serde(default)]
    next: Option<u32>,
}

/// What is asked of a task.
#[derive(Deserialize)]
struct Waiting {
    id: String,
    name: String,
    status: String,
    #[serde(default)]
    waiting_reason: Option<String>,
}

impl Waiting {
    /// Whether it was launched: of tasks that run, no others wait for anything.
    fn is_launched(&self) -> bool {
        self.status == TaskStatus::Running.as_str() && self.waiting_reason.is_some()
    }
}

impl Outside {
    fn new() -> Self {
        Self { api: None, reported: HashSet::new(), next_look: Instant::now(), interval: FIRST_LOOK }
    }

    /// Looks for tasks that wait for their results, unless that was done a moment ago, and says of each how to post it.
    async fn look(
        &mut self,
        hub: &Arc<dyn Hub>,
        id: JobId,
        output: &Output,
        progress: &Progress,
    ) -> Result<(), Failure> {
        if Instant::now() < self.next_look {
            return Ok(());
        }
        let (view, mut next) = (View::whole().with_fields("id,name,status,waiting_reason"), Some(0));
        while let Some(after) = next.filter(|_| self.reported.len() < REPORTED) {
            let query = TaskQuery { after: Some(after), limit: None, view: view.clone() };
            let page: Page = serde_json::from_str(hub.tasks(id, query).await?.get()).map_err(|error| {
                Failure::new(Exit::Refused, "the records of the job's tasks cannot be read").because(error)
            })?;
            for task in page.tasks.iter().filter(|task| task.is_launched()) {
                self.report(task, hub, output, progress).await?;
            }
            next = page.next;
        }
        self.next_look = Instant::now() + self.interval;
        self.interval = (self.interval * 2).min(LOOK);
        Ok(())
    }

    async fn report(
        &mut self,
        task: &Waiting,
        hub: &Arc<dyn Hub>,
        output: &Output,
        progress: &Progress,
    ) -> Result<(), Failure> {
        if self.reported.len() >= REPORTED || !self.reported.insert(task.id.clone()) {
            return Ok(());
        }
        let address = self.open(hub).await?;
        let text = format!(
            "task {:?} waits for its result from outside. Post it from another terminal:\n  \
             hub-client -b http://{address} result {} --data '\"any JSON\"'",
            Shown(&task.name).to_string(),
            task.id
        );
        progress.suspend(|| output.say(&text));
        if self.reported.len() == REPORTED {
            progress.suspend(|| output.say("further tasks that wait for results are not reported"));
        }
        Ok(())
    }

    /// The address of the API.
    async fn open(&mut self, hub: &Arc<dyn Hub>) -> Result<SocketAddr, Failure> {
        if let Some((address, _)) = &self.api {
            return Ok(*address);
        }
        let failed = |error: std::io::Error| {
            let message = "the job waits for a result from outside, and no port can be opened to take it";
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
