//! Explains how tasks have ended, and because of which tasks others did not run.

use std::collections::HashMap;
use std::sync::Arc;

use super::sweep::DID_NOT_RUN;
use super::texts::MAXIMUM_REASON;
use crate::cache::CachedFrom;
use crate::explain::{Explanation, Listed, Reason, RootCause, StatusCounts, TaskExplanation, TaskGroup, UnknownTask};
use crate::job::{Job, Phase, TriggerRule};
use crate::state::{JobSnapshot, JobState, TaskState};
use crate::text::cut;
use crate::{JobStatus, TaskStatus};

/// The states of a job and its tasks, some of which have ended.
pub(super) struct EndedStates<'s> {
    pub(super) job: &'s Job,
    pub(super) state: &'s JobState,
    pub(super) of: &'s dyn Fn(u32) -> &'s TaskState,
}

/// Explains why a job has ended as it did, from its stored state: the tasks that did not succeed, or the task or the item with
/// this name.
///
/// # Errors
/// If the job has no such task.
pub fn explain_ended(job: &JobSnapshot, task: Option<&str>) -> Result<Explanation, UnknownTask> {
    let state_of = |index| job.state_of(index);
    let states = EndedStates { job: &job.job, state: &job.state, of: &state_of };
    let (tasks, more) = match task {
        None => states.explain_unsuccessful(job.tasks.len() as u32),
        Some(name) => {
            let index = job.job.position_of(name).filter(|index| *index < job.end_of(*index));
            let index = index.ok_or_else(|| UnknownTask::new(job.id, name, &job.job))?;
            TaskGroup::grouped([(job.job.name_of(index), explain_task(&states, index))])
        }
    };
    let reason = Reason::Ended { msg: job.state.msg.clone(), root: None, through: None };
    Ok(Explanation {
        id: job.id,
        name: Arc::clone(job.job.shared_name()),
        status: job.state.status,
        text: states.how_the_job_ended(),
        reasons: vec![reason],
        commands: Vec::new(),
        counts: StatusCounts::of(job.tasks.iter().map(|task| task.status)),
        tasks,
        more,
    })
}

/// How a task has ended, and why.
pub(super) fn explain_task(states: &EndedStates<'_>, index: u32) -> TaskExplanation {
    let path = states.path_to_root(index);
    let between = path.get(1..path.len() - 1).unwrap_or_default();
    let through = Listed::of(between.iter().map(|task| states.job.name_of(*task)));
    let root = path.last().copied().filter(|root| *root != index);
    states.explain(index, root, (!through.is_empty()).then_some(through))
}

impl EndedStates<'_> {
    /// The tasks that did not succeed, failed ones first.
    fn explain_unsuccessful(&self, tasks: u32) -> (Vec<TaskGroup>, u32) {
        let status = |index: u32| (self.of)(index).status;
        let failed = (0..tasks).filter(|index| status(*index) == TaskStatus::Failed);
        let others = (0..tasks).filter(|index| !matches!(status(*index), TaskStatus::Failed | TaskStatus::Success));
        let mut roots = HashMap::new();
        let explained = failed.chain(others).map(|index| {
            let root = self.root_of(index, &mut roots);
            (self.job.name_of(index), self.explain(index, Some(root).filter(|root| *root != index), None))
        });
        TaskGroup::grouped(explained)
    }

    fn explain(&self, index: u32, root: Option<u32>, through: Option<Listed<Arc<str>>>) -> TaskExplanation {
        let state = (self.of)(index);
        // Its own message names the task before it at most.
        let msg = short(state).filter(|_| root.is_none());
        let reason = Reason::Ended { msg, root: root.map(|root| self.root_cause(root)), through };
        TaskExplanation {
            status: state.status,
            text: self.how_it_ended(index, &reason),
            gate: None,
            since: state.ended_at,
            reason,
            gates: Vec::new(),
            limits: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// A sentence on a task that has ended.
    fn how_it_ended(&self, index: u32, reason: &Reason) -> String {
        let state = (self.of)(index);
        let Reason::Ended { msg, root: None, .. } = reason else { return reason.to_string() };
        let at = state.ended_at.map_or_else(String::new, |at| format!(" at {at}"));
        let worker = state.worker.as_deref().map_or_else(String::new, |worker| format!(" on the worker {worker}"));
        let because = msg.as_deref().map_or_else(String::new, |msg| format!(": {msg}"));
        let details = state.details.as_deref();
        let failures = details.map_or(0, |details| details.failures);
        match state.status {
            TaskStatus::Success => {
                let after = match failures {
                    0 => String::new(),
                    1 => ", after 1 failed attempt".to_owned(),
                    more => format!(", after {more} failed attempts"),
                };
                match details.and_then(|details| details.rare().cache.as_ref()?.from) {
                    Some(CachedFrom { job, task }) => {
                        format!("took the kept result of the task {task} of job {job}{at}{after}; it did not run")
                    }
                    None => format!("succeeded{at}{worker}{after}"),
                }
            }
            TaskStatus::Failed => {
                let attempt = if failures > 1 { format!(" in attempt {failures}") } else { String::new() };
                let is_recovered = details.is_some_and(|details| details.recovered);
                let recovered = if is_recovered { "; its fallback stands for its result" } else { "" };
                format!("failed{at}{worker}{attempt}{because}{recovered}")
            }
            // A message with an error is that of its last attempt.
            TaskStatus::Cancelled if msg.is_none() || failures > 0 => {
                let last = msg.as_deref().filter(|_| failures > 0);
                let last = last.map_or_else(String::new, |msg| format!("; its last attempt had failed: {msg}"));
                format!("was cancelled{at}, because {}{last}", self.why_cancelled())
            }
            _ => msg.as_deref().map_or_else(|| format!("ended{at}"), str::to_owned),
        }
    }

    /// Why the tasks of the job were cancelled.
    fn why_cancelled(&self) -> String {
        let cancel = self.state.details.as_deref().and_then(|details| details.cancel.as_ref());
        match (cancel, &self.state.msg) {
            (Some(cancel), _) => format!("the job was cancelled {cancel}"),
            (None, Some(msg)) => format!("the job failed: {msg}"),
            (None, None) => "the job was cancelled".to_owned(),
        }
    }

    /// A sentence on the job, which has ended.
    fn how_the_job_ended(&self) -> String {
        let at = self.state.ended_at.map_or_else(String::new, |at| format!(" at {at}"));
        let msg = self.state.msg.as_deref();
        match self.state.status {
            JobStatus::Success => format!("the job succeeded{at}"),
            JobStatus::Cancelled => format!("the job ended{at}: {}", self.why_cancelled()),
            _ => format!("the job failed{at}{}", msg.map_or_else(String::new, |msg| format!(": {msg}"))),
        }
    }

    fn root_cause(&self, index: u32) -> RootCause {
        let state = (self.of)(index);
        RootCause { task: self.job.name_of(index), status: state.status, msg: short(state) }
    }

    /// The task because of which a task did not run: among its upstream tasks the one that ended first.
    fn cause_of(&self, index: u32) -> Option<u32> {
        let state = (self.of)(index);
        // A list of handlers is skipped as a whole.
        let is_skipped_handler = state.status == TaskStatus::Skipped && self.job.phase(index) > Phase::Tasks;
        if self.job.item(index).is_some() || is_skipped_handler {
            return None;
        }
        let spec = self.job.spec(index);
        let is_cause = |before: &u32| {
            let counts_as = (self.of)(*before).counts_as();
            match state.status {
                TaskStatus::UpstreamFailed => {
                    matches!(counts_as, TaskStatus::Failed | TaskStatus::UpstreamFailed | TaskStatus::Cancelled)
                }
                // A condition, an operator or the end of a wait can skip it, too.
                TaskStatus::Skipped => {
                    let is_unrun = state.msg.as_deref().is_some_and(|msg| msg.starts_with(DID_NOT_RUN));
                    is_unrun && spec.trigger_rule() == TriggerRule::AllSuccess && counts_as == TaskStatus::Skipped
                }
                _ => false,
            }
        };
        let causes = spec.upstream().iter().copied().filter(is_cause);
        causes.min_by_key(|before| ((self.of)(*before).ended_at, *before))
    }

    /// The task itself, the task because of which it did not run, and so on.
    fn path_to_root(&self, index: u32) -> Vec<u32> {
        std::iter::successors(Some(index), |index| self.cause_of(*index)).collect()
    }

    /// The end of the path. `known` has those of other tasks: many tasks have the same one, and paths can be long.
    fn root_of(&self, index: u32, known: &mut HashMap<u32, u32>) -> u32 {
        let (mut path, mut next) = (Vec::new(), index);
        let root = loop {
            if let Some(root) = known.get(&next) {
                break *root;
            }
            path.push(next);
            match self.cause_of(next) {
                Some(cause) => next = cause,
                None => break next,
            }
        };
        known.extend(path.into_iter().map(|task| (task, root)));
        root
    }
}

fn short(state: &TaskState) -> Option<Arc<str>> {
    state.msg.clone().map(|msg| cut(msg, MAXIMUM_REASON))
}
