//! Runs the issues that were started together in one task of the async runtime. Most issues wait for a process nearly
//! all the time, or are functions that return immediately.

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

/// Interval at which this task yields while it starts functions that return immediately.
const YIELD_INTERVAL: Duration = Duration::from_millis(1);

/// Maximum number of bytes of a stopped task's output that are logged. The end is kept.
const MAXIMUM_LOGGED_BYTES: usize = 4096;

/// What is needed to run the issues.
pub(super) struct TaskGroup {
    pub(super) runner: Arc<dyn Runner>,
    /// The worker's id.
    pub(super) worker: Arc<str>,
    pub(super) report: mpsc::UnboundedSender<Internal>,
}

impl TaskGroup {
    /// Starts the issues in order, and reports each when it has ended.
    pub(super) async fn run_all(self, mut issues: Vec<Run>) {
        // Polling starts an issue. The last one, often the only one, is started by the `join!` below.
        let Some(last) = issues.pop() else { return };
        let (running, mut since) = (FuturesUnordered::new(), Instant::now());
        for issue in issues {
            let mut run = Box::pin(self.run(issue));
            if run.as_mut().now_or_never().is_none() {
                running.push(run);
            }
            if since.elapsed() >= YIELD_INTERVAL {
                tokio::task::yield_now().await;
                since = Instant::now();
            }
        }
        tokio::join!(self.run(last), running.for_each(async |()| {}));
    }

    async fn run(&self, Run { task, control }: Run) {
        let (id, name) = (task.issue, Arc::clone(&task.name));
        let begun = Instant::now();
        tracing::debug!(task = %task.issue.task, name = %task.name, module = %task.task_name, "task begins");
        let run = async { self.runner.run(self.request(&task), control.clone()).await };
        let report = AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|panic| {
            let msg = panic_message(&*panic);
            tracing::error!(task = %task.issue.task, module = %task.task_name, msg, "a task panicked in the worker");
            panicked(msg)
        });
        let report = limits::apply(report, control.is_stopped());
        if report.outcome == Err(NoOutcome::NotBegun) {
            let _ = self.report.send(Internal::NotBegun(task));
            return;
        }
        if report.outcome == Err(NoOutcome::Cancelled)
            && let Some(log) = report.log.as_deref()
        {
            // The report of a stopped task has no output, so the output is logged here.
            let printed = &log[log.floor_char_boundary(log.len().saturating_sub(MAXIMUM_LOGGED_BYTES))..];
            tracing::info!(task = %id.task, name = %name, ?printed, "a task was stopped");
        }
        // A task that was passed on in advance has started later than `begun`.
        let took = report.took.map_or_else(|| begun.elapsed(), |took| took.min(begun.elapsed()));
        // The duration is measured with the monotonic clock, because the wall clock may have been set.
        let ended_at = wall();
        let started_at = ended_at.before(took);
        tracing::debug!(task = %id.task, outcome = report.as_str(), "task has ended");
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
            run: task.run.clone(),
            secrets: task.secrets.clone(),
            attempt: task.attempt,
            issue: task.issue.number,
            worker: Arc::clone(&self.worker),
            last_progress: task.last_progress.clone(),
            wants_content: task.wants_content,
        }
    }
}

/// The failure of a task that panicked.
fn panicked(msg: &str) -> TaskReport {
    let error = TaskError { type_name: Some("panic".into()), ..TaskError::new(ErrorKind::TaskFailed) };
    let msg = format!("the task panicked: {msg}").into();
    TaskReport::silent(Outcome::Failed { msg, error: Some(error.into()) })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use hub_core::{Issue, JobId, Json};
    use uuid::Uuid;

    use super::*;
    use crate::runner::{FunctionRunner, RunControl};

    fn issue(index: u32, module: &str) -> Run {
        let job = JobId::new(Uuid::from_u128(1 << 64));
        let task = TaskMessage {
            v: crate::wire::VERSION,
            attempt: 1,
            timeout: None,
            last_progress: None,
            issue: Issue { number: 1, incarnation: 1 }.of(job.task(index)),
            parent_id: job,
            name: "t".into(),
            task_name: module.into(),
            pool: "default".into(),
            args: Json::from_checked("[]"),
            kwargs: Json::from_checked("{}"),
            run: None,
            secrets: None,
            wants_content: false,
            awaits_defaults: false,
        };
        Run { task: task.into(), control: RunControl::default() }
    }

    #[tokio::test]
    async fn a_panic_fails_only_its_own_task() {
        let runner = FunctionRunner::new()
            .with("fine", |_| Outcome::Success { data: Json::null() })
            .with("slow", |_| {
                let begun = Instant::now();
                while begun.elapsed() <= YIELD_INTERVAL {}
                Outcome::Success { data: Json::null() }
            })
            .with("bad", |request| panic!("no paper left for {}", request.name));
        let (report, mut reports) = mpsc::unbounded_channel();
        let group = TaskGroup { runner: Arc::new(runner), worker: "w".into(), report };
        let modules = ["fine", "bad", "slow", "slow", "fine", "bad"];
        group.run_all((0..).zip(modules).map(|(index, module)| issue(index, module)).collect()).await;
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
