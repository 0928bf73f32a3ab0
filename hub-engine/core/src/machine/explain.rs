//! Explains what a live job and its tasks wait for.

use std::sync::Arc;
use std::time::Duration;

use super::Machine;
use super::ended_reasons::{EndedStates, explain_task};
use super::live::LiveJob;
use super::place::Place;
use super::trigger::Decision;
use super::waiting::KnownReasons;
use crate::details::TaskDetails;
use crate::explain::{
    Explanation, Gate, Limit, Listed, Reason, StatusCounts, TaskExplanation, TaskGroup, TaskNow, UnknownTask,
};
use crate::job::{Phase, Timeout, TriggerRule};
use crate::state::TaskState;
use crate::{JobId, JobStatus, TaskStatus, Timestamp};

/// Maximum number of tasks whose reasons are looked for. They are found in the loop of the dispatcher.
const MAXIMUM_TASKS: usize = 1000;

impl Machine {
    /// Explains what a live job waits for: all its tasks that have not ended, or the task or the item with this name. `None`: the
    /// job is not live.
    ///
    /// # Errors
    /// If the job has no such task.
    pub fn explain(&self, id: JobId, task: Option<&str>) -> Option<Result<Explanation, UnknownTask>> {
        let job = self.jobs.find(id)?;
        let (tasks, more) = match task {
            None => self.explain_open(job),
            Some(name) => match job.job.position_of(name).filter(|index| job.contains(*index)) {
                None => return Some(Err(UnknownTask::new(id, name, &job.job))),
                Some(index) => {
                    let explained = self.explain_task(job, index, &mut KnownReasons::new());
                    TaskGroup::grouped([(job.job.name_of(index), explained)])
                }
            },
        };
        let reasons = job_reasons(job);
        Some(Ok(Explanation {
            id,
            name: Arc::clone(job.job.shared_name()),
            status: job.state.status,
            text: job_text(job, &reasons),
            commands: job_commands(job),
            reasons,
            counts: StatusCounts::of(job.tasks.iter().map(|task| task.state().status)),
            tasks,
            more,
        }))
    }

    /// The tasks that have not ended: first those that have passed their trigger rules. Items that were not let into their pools are
    /// counted in the explanation of their task only.
    fn explain_open(&self, job: &LiveJob) -> (Vec<TaskGroup>, u32) {
        let places = || job.positions().map(|index| (index, job.task(index).place));
        let is_static = |index: u32| (index as usize) < job.tasks.len();
        let further = places().filter(|(_, place)| !matches!(place, Place::Blocked | Place::Ended));
        let blocked = places().filter(|(index, place)| *place == Place::Blocked && is_static(*index));
        let mut open = further.chain(blocked).map(|(index, _)| index);
        let mut known = KnownReasons::new();
        let explained = open.by_ref().take(MAXIMUM_TASKS);
        let explained = explained.map(|index| (job.job.name_of(index), self.explain_task(job, index, &mut known)));
        let (groups, more) = TaskGroup::grouped(explained);
        (groups, more.saturating_add(open.count() as u32))
    }

    fn explain_task<'j>(&self, job: &'j LiveJob, index: u32, known: &mut KnownReasons<'j>) -> TaskExplanation {
        let (live, spec) = (job.task(index), job.spec(index));
        let state = live.state();
        if live.place == Place::Ended {
            let state_of = |index| job.task(index).state();
            return explain_task(&EndedStates { job: &job.job, state: &job.state, of: &state_of }, index);
        }
        let gate = job.gate_of(index);
        let reason = self.reason_at(job, index, gate, known);
        let is_item = job.job.item(index).is_some();
        let is_handler = job.job.phase(index) > Phase::Tasks;
        let has = |gate| match gate {
            Gate::TriggerRule => {
                !is_item
                    && (is_handler || !spec.upstream().is_empty() || spec.trigger_rule() != TriggerRule::AllSuccess)
            }
            Gate::Start => job.job.start_at().is_some(),
            Gate::When => !is_item && spec.when().is_some(),
            Gate::Delay => !is_item && spec.delay().is_some(),
            Gate::ForEach => spec.for_each().is_some(),
            Gate::Wait => spec.wait().is_some(),
            Gate::SubJob => spec.sub_job().is_some(),
            Gate::Retry => spec.wait().is_none() && job.retry_policy(index).is_some(),
            Gate::Cache => spec.cache().is_some() && (is_item || spec.for_each().is_none()),
            Gate::Pool | Gate::Broker => spec.is_for_worker() && (is_item || spec.for_each().is_none()),
        };
        TaskExplanation {
            status: state.status,
            text: reason.to_string(),
            gate,
            since: job.since(index, gate),
            commands: task_commands(job, index, &reason),
            reason,
            gates: Gate::report(gate, has),
            limits: job.limits_of(index, self.waits_for_paused_pool(job, index)),
        }
    }

    /// The reason of a task that has not ended.
    fn reason_at<'j>(&self, job: &'j LiveJob, index: u32, gate: Option<Gate>, known: &mut KnownReasons<'j>) -> Reason {
        let (live, spec) = (job.task(index), job.spec(index));
        let state = live.state();
        let worker = || state.worker.clone().unwrap_or_else(|| "unknown".into());
        if !job.has_begun(index) {
            return Reason::Handler { list: job.job.phase(index).as_str() };
        }
        match live.place {
            Place::Window | Place::Leased if job.cancelled => {
                Reason::Stopping { worker: (live.place == Place::Leased).then(worker) }
            }
            Place::SubJob => {
                let child = self.awaited_child(job.id.task(index), live);
                child.map_or(Reason::InProgress, |job| Reason::SubJob { job })
            }
            _ if job.cancelled => Reason::InProgress,
            Place::Blocked if gate == Some(Gate::TriggerRule) && live.decision() != Decision::Wait => {
                Reason::InProgress
            }
            Place::Leased => Reason::Running { worker: worker() },
            Place::Items => items_of(job, index),
            Place::Window => self.reason(job, index, known).unwrap_or_else(|| Reason::OnBroker {
                pool: Arc::clone(spec.pool()),
                confirmed: state.confirmed,
                workers: self.workers.catalogue().workers(spec.pool()),
                slots: self.workers.catalogue().slots(spec.pool()).unwrap_or(0),
            }),
            _ => self.reason(job, index, known).unwrap_or(Reason::InProgress),
        }
    }
}

/// How the items of a task do.
fn items_of(job: &LiveJob, index: u32) -> Reason {
    let details = job.task(index).state().details.as_deref();
    let (open, active) = job.groups.get(&index).map_or((0, 0), |group| (group.open, group.active));
    Reason::Items {
        counts: details.and_then(|details| details.rare().items).unwrap_or_default(),
        active,
        waiting: open.saturating_sub(active),
        parallel: job.spec(index).for_each().and_then(|for_each| for_each.parallel),
    }
}

/// What holds the job as a whole.
fn job_reasons(job: &LiveJob) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if job.state.status == JobStatus::Cancelling {
        let is_open = |place: Place| place.is_out() || place == Place::SubJob;
        let open = job.positions().filter(|index| is_open(job.task(*index).place));
        let now = |index: u32| TaskNow { name: job.job.name_of(index), status: job.task(index).state().status };
        let cancel = job.state.details.as_deref().and_then(|details| details.cancel.clone());
        reasons.push(Reason::Cancelling { cancel, msg: job.state.msg.clone(), open: Listed::of(open.map(now)) });
    }
    if job.waits_for_start {
        let start = job.job.start(job.state.submitted_at);
        reasons.extend(start.map(|start| Reason::JobStart { at: start.wall(job.clock()) }));
    }
    if let Some(pause) = job.first_pause() {
        reasons.push(Reason::JobPaused { job: job.id, pause: pause.clone() });
    }
    reasons
}

fn job_text(job: &LiveJob, reasons: &[Reason]) -> String {
    let mut texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    if texts.is_empty() {
        texts.push(match job.handler_stop() {
            Some(stop) => format!("its handlers are being stopped: {}", stop.why),
            None => "nothing holds the job as a whole".to_owned(),
        });
    }
    let due = match job.phase() {
        Phase::Tasks => job.job.due(job.state.submitted_at).map(|due| ("its deadline is", due)),
        Phase::OnFailure | Phase::Finally => job.handlers_due().map(|due| ("its handlers have to end by", due)),
    };
    if let Some((what, due)) = due.filter(|_| !job.cancelled) {
        texts.push(format!("{what} {}", due.wall(job.clock())));
    }
    texts.join("; ")
}

fn job_commands(job: &LiveJob) -> Vec<String> {
    let id = job.id;
    if job.is_paused() {
        return vec![format!("hub-client resume {id}")];
    }
    let is_patient = job.stop.is_some_and(|stop| !stop.is_now);
    if is_patient { vec![format!("hub-client cancel {id} --now")] } else { Vec::new() }
}

/// What lets a task go on.
fn task_commands(job: &LiveJob, index: u32, reason: &Reason) -> Vec<String> {
    let (id, task_id) = (job.id, job.id.task(index));
    // The client finds only tasks of the text by their names.
    let task = match job.job.item(index) {
        None => quoted(&format!("{id}.{}", job.spec(index).name())),
        Some(_) => task_id.to_string(),
    };
    match reason {
        Reason::JobPaused { .. } => vec![format!("hub-client resume {id}")],
        Reason::PoolPaused { pool, .. } => vec![format!("hub-client resume --pool {pool}")],
        Reason::Held { .. } | Reason::Retry { .. } => {
            ["retry", "skip", "fail"].map(|what| format!("hub-client {what} {task}")).into()
        }
        Reason::Signal { name, .. } => vec![format!("hub-client signal {id} {} --data JSON", quoted(name))],
        Reason::Approval { choices, .. } => {
            let choices = choices.first.iter();
            choices.map(|choice| format!("hub-client approve {task} --choice={}", quoted(choice))).collect()
        }
        Reason::SubJob { job } => vec![format!("hub-client explain {job}")],
        Reason::EqualTask { job, task, .. } => vec![format!("hub-client explain {job} {}", quoted(task))],
        Reason::Launched => {
            let result = format!(r#"{{"id": "{task_id}", "status": "SUCCESS", "data": JSON}}"#);
            vec![format!("hub-client result {task} --data JSON"), format!("echo '{result}' | hub-client -U")]
        }
        _ => Vec::new(),
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "._-".contains(one);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

impl LiveJob {
    /// The gate that holds a task which has not ended. `None`: it has passed all.
    fn gate_of(&self, index: u32) -> Option<Gate> {
        let live = self.task(index);
        match live.place {
            Place::Blocked if !self.has_begun(index) => Some(Gate::TriggerRule),
            Place::Blocked if self.job.item(index).is_some() => Some(Gate::ForEach),
            Place::Blocked if live.decision() == Decision::Run && self.waits_for_start => Some(Gate::Start),
            Place::Blocked => Some(Gate::TriggerRule),
            Place::Resting if waits(live.state(), |details| details.retry_at) => Some(Gate::Retry),
            Place::Resting if waits(live.state(), |details| details.delayed_until) => Some(Gate::Delay),
            Place::Suspended if self.spec(index).sub_job().is_some() => Some(Gate::SubJob),
            Place::Cache => Some(Gate::Cache),
            Place::Queued | Place::Suspended | Place::Parked | Place::Resting => Some(Gate::Pool),
            Place::Held => Some(Gate::Retry),
            Place::Waiting => Some(Gate::Wait),
            Place::SubJob => Some(Gate::SubJob),
            Place::Removed | Place::Window => Some(Gate::Broker),
            Place::Leased | Place::Launched | Place::Items | Place::Ended => None,
        }
    }

    /// Since when a task has been at this gate, or has run.
    fn since(&self, index: u32, gate: Option<Gate>) -> Option<Timestamp> {
        let (state, clock) = (self.task(index).state(), self.clock());
        let details = state.details.as_deref();
        // The beginning of a wait follows from its end and its length.
        let began = |end: fn(&TaskDetails) -> Option<Timestamp>| {
            let details = details?;
            Some(clock.wall(end(details)?.before(Duration::from_millis(details.wait_ms?))))
        };
        match gate {
            Some(Gate::TriggerRule | Gate::Start) => Some(self.list_began(index).unwrap_or(self.state.submitted_at)),
            Some(Gate::Delay) => began(|details| details.delayed_until),
            Some(Gate::Retry) => began(|details| details.retry_at.or(details.held_until)),
            Some(Gate::Wait | Gate::SubJob) | None => state.started_at,
            Some(Gate::Broker) => state.submitted_at,
            Some(Gate::Cache | Gate::Pool) => self.ready_since(index),
            Some(Gate::When | Gate::ForEach) => None,
        }
    }

    /// Since when a task has waited for its pool, if it has not been handed out before.
    fn ready_since(&self, index: u32) -> Option<Timestamp> {
        let (state, clock) = (self.task(index).state(), self.clock());
        let details = state.details.as_deref();
        let waited = details.and_then(|details| details.ready_at.max(details.retry_at).max(details.delayed_until));
        if let Some(waited) = waited {
            return Some(clock.wall(waited));
        }
        if state.issue.is_some() || self.job.item(index).is_some() {
            return None;
        }
        let upstream = self.spec(index).upstream().iter();
        let ends = upstream.filter_map(|before| self.task(*before).state().ended_at);
        let start = self.job.start(self.state.submitted_at).map(|start| start.wall(clock));
        ends.chain(start).chain(self.list_began(index)).chain([self.state.submitted_at]).max()
    }

    /// When the list of a handler began.
    fn list_began(&self, index: u32) -> Option<Timestamp> {
        let until = self.state.details.as_deref()?.handlers_until?;
        let began = until.before(self.job.handler_deadline());
        (self.job.phase(index) > Phase::Tasks && self.has_begun(index)).then(|| self.clock().wall(began))
    }

    /// The time limits of a task that have not passed.
    fn limits_of(&self, index: u32, waits_for_paused_pool: bool) -> Vec<Limit> {
        let Some(timeouts) = self.timeouts(index).filter(|_| self.task(index).place != Place::Items) else {
            return Vec::new();
        };
        let (state, clock) = (self.task(index).state(), self.clock());
        let details = state.details.as_deref();
        let ready_at = details.and_then(|details| details.ready_at);
        let has_started = details.is_some_and(|details| details.has_started);
        let stands_still =
            self.is_paused() || waits_for_paused_pool || details.is_some_and(|details| details.held_until.is_some());
        let scheduled =
            |limit: Duration| ready_at.filter(|_| !stands_still).map(|ready_at| clock.wall(ready_at.after(limit)));
        let started = state.started_at.filter(|_| state.status == TaskStatus::Running);
        let all = [
            (Timeout::StartToClose, timeouts.start_to_close),
            (Timeout::Heartbeat, timeouts.heartbeat),
            (Timeout::ScheduleToStart, timeouts.schedule_to_start.filter(|_| !has_started)),
            (Timeout::ScheduleToClose, timeouts.schedule_to_close),
        ];
        let limit = |(timeout, limit): (Timeout, Option<Duration>)| {
            let limit = limit?;
            let until = match timeout {
                Timeout::StartToClose => started.map(|started| started.after(limit)),
                Timeout::ScheduleToStart | Timeout::ScheduleToClose => scheduled(limit),
                // Each report of progress begins it again.
                Timeout::Heartbeat => None,
            };
            Some(Limit { timeout, ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), until })
        };
        all.into_iter().filter_map(limit).collect()
    }
}

fn waits(state: &TaskState, end: fn(&TaskDetails) -> Option<Timestamp>) -> bool {
    state.details.as_deref().and_then(end).is_some()
}
