//! Ends a job: its status, its message and its output.

use std::fmt::Write as _;
use std::sync::Arc;

use super::live::LiveJob;
use crate::action::Action;
use crate::job::{FillError, Phase};
use crate::state::FirstFailure;
use crate::{JobStatus, TaskStatus, Timestamp};

impl LiveJob {
    /// Decides how the job ends, after its tasks have ended. The output has at most `limit` bytes.
    pub(super) fn decide(&mut self, limit: usize) -> JobStatus {
        if self.is_marked_failed() {
            JobStatus::Failed
        } else if self.cancelled {
            JobStatus::Cancelled
        } else if let Some(msg) = self.sum_up_failures() {
            self.state.msg = Some(msg.into());
            JobStatus::Failed
        } else {
            match Arc::clone(&self.job).output().map(|output| self.fill(output, limit, None)) {
                None => JobStatus::Success,
                Some(Ok(output)) => {
                    self.state.output = Some(output);
                    JobStatus::Success
                }
                Some(Err(error)) => {
                    self.state.msg = Some(self.why_no_output(&error).into());
                    JobStatus::Failed
                }
            }
        }
    }

    /// Ends the job after its tasks and its handlers have ended.
    pub(super) fn finish(&mut self, verdict: JobStatus, now: Timestamp, actions: &mut Vec<Action>) {
        let mut status = verdict;
        if verdict == JobStatus::Success
            && let Some(msg) = self.why_finally_failed()
        {
            (self.state.msg, self.state.output) = (Some(msg.into()), None);
            status = JobStatus::Failed;
        }
        self.forget_handlers();
        if let Some(details) = self.state.details.as_mut().filter(|details| !details.signals.is_empty()) {
            // No task can receive them any more.
            Arc::make_mut(details).signals.clear();
        }
        self.state.ended_at = Some(now).max(self.state.started_at).max(Some(self.state.submitted_at));
        self.set_job_status(status, actions);
    }

    /// A message about the failed tasks. `None` if no task failed.
    fn sum_up_failures(&self) -> Option<String> {
        let tasks = &self.tasks[..self.job.range(Phase::Tasks).len()];
        let count = |status| tasks.iter().filter(|task| task.state().counts_as() == status).count();
        let (failed, not_run) = (count(TaskStatus::Failed), count(TaskStatus::UpstreamFailed));
        if failed + not_run == 0 {
            return None;
        }
        let mut text = format!("{failed} of {} tasks failed", tasks.len());
        if let Some(FirstFailure { task, msg, .. }) = self.state.first_failure.as_deref() {
            let _ = write!(text, "{} {task:?}: {msg}", if failed == 1 { ":" } else { "; first:" });
        }
        match not_run {
            0 => {}
            1 => text.push_str("; 1 task did not run"),
            _ => drop(write!(text, "; {not_run} tasks did not run")),
        }
        Some(text)
    }

    pub(super) fn failure_of(&self, index: u32) -> FirstFailure {
        let state = self.task(index).state();
        FirstFailure::new(&self.job.name_of(index), state.error.as_deref(), state.msg.as_deref().unwrap_or_default())
    }

    /// Determines the first failure if it was not stored with the job.
    pub(super) fn restore_first_failure(&mut self) {
        let failed = |index: &u32| self.task(*index).state().counts_as() == TaskStatus::Failed;
        let first = self.job.range(Phase::Tasks).filter(failed).min_by_key(|index| self.task(*index).state().ended_at);
        if self.state.first_failure.is_none() {
            self.state.first_failure = first.map(|index| Arc::new(self.failure_of(index)));
        }
    }

    fn why_no_output(&self, error: &FillError) -> String {
        match error {
            FillError::Missing(missing) => {
                let name = self.spec(missing.task).name();
                format!("the output cannot be built from the task {name:?}: {missing}")
            }
            FillError::TooLarge { .. } => format!("the output would have {error}"),
            FillError::TooDeep => format!("the output would be {error}"),
        }
    }
}
