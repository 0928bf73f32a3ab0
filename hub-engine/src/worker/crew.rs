//! Has issues run that were started together. One task of the runtime does it for them all: most of them wait for a process
//! nearly all the time, or are functions that are over at once.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hub_core::state::{ErrorKind, TaskError};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::internal::Internal;
use super::issues::Run;
use super::limits;
use crate::clock::wall;
use crate::runner::{NoOutcome, Outcome, Runner, TaskReport, TaskRequest};
use crate::wire::{Span, TaskMessage};

/// Functions that are over at once are run one after the other for so long before others get their turn.
const STINT: Duration = Duration::from_millis(1);

/// How much of what a stopped task had printed goes into the worker's log, in bytes: the end of it.
const PRINTED: usize = 4096;

/// Who has them run.
pub(super) struct Crew {
    pub(super) runner: Arc<dyn Runner>,
    /// The worker's id.
    pub(super) worker: Arc<str>,
    pub(super) report: mpsc::UnboundedSender<Internal>,
}

impl Crew {
    /// Begins these in their order, and reports each when it is over.
    pub(super) async fn run_all(self, mut issues: Vec<Run>) {
        // Begun by being polled here, the last one where it is waited for: mostly it is the only one.
        let Some(last) = issues.pop() else { return };
        let (running, mut since) = (FuturesUnordered::new(), Instant::now());
        for issue in issues {
            let mut run = Box::pin(self.run(issue));
            if run.as_mut().now_or_never().is_none() {
                running.push(run);
            }
            if since.elapsed() >= STINT {
                tokio::task::yield_now().await;
                since = Instant::now();
            }
        }
        tokio::join!(self.run(last), running.for_each(async |()| {}));
    }

    async fn run(&self, Run { task, stop }: Run) {
        let (id, name) = (task.issue, Arc::clone(&task.name));
        let begun = Instant::now();
        tracing::debug!(task = %task.issue.task, name = %task.name, module = %task.task_name, "task begins");
        let run = async { self.runner.run(self.request(&task), stop.clone()).await };
        let report = AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|panic| {
            let msg = last_words(&*panic);
            tracing::error!(task = %task.issue.task, module = %task.task_name, msg, "a task panicked in the worker");
            panicked(msg)
        });
        let report = limits::hold(report, stop.is_cancelled());
        if report.outcome == Err(NoOutcome::NotBegun) {
            let _ = self.report.send(Internal::NotBegun(task));
            return;
        }
        if report.outcome == Err(NoOutcome::Cancelled)
            && let Some(log) = report.log.as_deref()
        {
            // The dispatcher expects no report of what it has stopped: what was printed is kept here.
            let printed = &log[log.floor_char_boundary(log.len().saturating_sub(PRINTED))..];
            tracing::info!(task = %id.task, name = %name, ?printed, "a task was stopped");
        }
        // One that was handed over ahead has begun later than that.
        let took = report.took.map_or_else(|| begun.elapsed(), |took| took.min(begun.elapsed()));
        // How long it took is measured with the steady clock: the wall clock may have been set meanwhile.
        let ended_at = wall();
        let started_at = ended_at.before(took);
        tracing::debug!(task = %id.task, outcome = report.as_str(), "task is over");
        let _ = self.report.send(Internal::Ended(id, report, Span { started_at, ended_at }));
    }

    fn request(&self, task: &TaskMessage) -> TaskRequest {
        TaskRequest {
            id: task.issue.task,
            parent_id: task.parent_id,
            name: Arc::clone(&task.name),
            task_name: Arc::clone(&task.task_name),
            args: task.args.clone(),
            kwargs: task.kwargs.clone(),
            attempt: task.attempt,
            issue: task.issue.number,
            worker: Arc::clone(&self.worker),
        }
    }
}

/// What a panic says is the task's failure.
fn panicked(msg: &str) -> TaskReport {
    let error = TaskError { type_name: Some("panic".into()), ..TaskError::new(ErrorKind::TaskFailed) };
    let msg = format!("the task panicked: {msg}").into();
    TaskReport::silent(Outcome::Failed { msg, error: Some(error.into()) })
}

fn last_words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it did not say why")
}

#[cfg(test)]
mod tests {
    use hub_core::{Issue, JobId, Json};
    use tokio_util::sync::CancellationToken;
    use uuid::Uuid;

    use super::*;
    use crate::runner::FunctionRunner;

    fn issue(index: u32, module: &str) -> Run {
        let job = JobId::new(Uuid::from_u128(1 << 64));
        let task = TaskMessage {
            v: crate::wire::VERSION,
            issue: Issue { number: 1, incarnation: 1 }.of(job.task(index)),
            parent_id: job,
            name: "t".into(),
            task_name: module.into(),
            pool: "default".into(),
            args: Json::from_checked("[]"),
            kwargs: Json::from_checked("{}"),
        };
        Run { task, stop: CancellationToken::new() }
    }

    #[tokio::test]
    async fn one_that_panics_fails_and_takes_no_others_with_it() {
        let runner = FunctionRunner::new()
            .with("fine", |_| Outcome::Success { data: Json::null() })
            .with("slow", |_| {
                let begun = Instant::now();
                while begun.elapsed() <= STINT {}
                Outcome::Success { data: Json::null() }
            })
            .with("bad", |request| panic!("no paper left for {}", request.name));
        let (report, mut reports) = mpsc::unbounded_channel();
        let crew = Crew { runner: Arc::new(runner), worker: "w".into(), report };
        let modules = ["fine", "bad", "slow", "slow", "fine", "bad"];
        crew.run_all((0..).zip(modules).map(|(index, module)| issue(index, module)).collect()).await;
        let mut outcomes = Vec::new();
        while let Some(Internal::Ended(_, report, _)) = reports.recv().await {
            outcomes.push(match report.outcome {
                Ok(Outcome::Success { .. }) => "it returned".to_owned(),
                Ok(Outcome::Failed { msg, error: Some(error) }) => {
                    assert_eq!((error.kind, error.type_name.as_deref()), (ErrorKind::TaskFailed, Some("panic")));
                    msg.to_string()
                }
                other => panic!("{other:?}"),
            });
        }
        let (fine, bad) = ("it returned", "the task panicked: no paper left for t");
        assert_eq!(outcomes, [fine, bad, fine, fine, fine, bad]);
    }
}
