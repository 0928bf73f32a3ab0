//! Tasks that run a job: their sub-jobs begin, and their ends end the tasks.
//!
//! A sub-job is a live job like every other. It is added in the commit in which its task becomes `RUNNING`, and it has an id of
//! the same slot. What one job causes in another one is kept in a queue until the end of the turn, so that long chains
//! of jobs need no recursion. What other jobs cause is still in the same commit; a sub-job that begins may wait for a later turn.

use std::sync::Arc;

use super::between_jobs::{Descendants, EndedChild, Order};
use super::control::{Cancel, Remark};
use super::live::LiveJob;
use super::live_task::LiveTask;
use super::place::Place;
use super::turn_budget;
use super::{Machine, RetriedJob, Retry};
use crate::action::Action;
use crate::job::{Labels, SubJob};
use crate::job_details::{Parent, PauseCause};
use crate::state::{ErrorKind, JobSnapshot, JobState, TaskError};
use crate::text::cut;
use crate::{JobId, JobStatus, Json, Now, TaskId, TaskStatus, Timestamp};

/// Maximum number of sub-jobs, of all levels, that a job can have at the same time.
pub const MAXIMUM_SUB_JOBS: u32 = 10_000;
/// Maximum number of tasks that these can have together.
pub const MAXIMUM_SUB_JOB_TASKS: u64 = 1_000_000;
/// What the comparison of inputs with a schema costs, in bytes that could be copied in the same time.
const SCHEMA_COST: usize = 64 * 1024;
/// Maximum number of violations of a schema that a message lists.
const SHOWN_VIOLATIONS: usize = 10;
/// Maximum number of bytes that the inputs of these can have together.
pub const MAXIMUM_SUB_JOB_BYTES: u64 = 256 * 1024 * 1024;

impl Machine {
    /// Whether a sub-job was added since the last call. Nothing of it may be published before it is stored.
    pub const fn take_begun_sub_jobs(&mut self) -> bool {
        std::mem::replace(&mut self.between_jobs.has_begun, false)
    }

    /// Does what jobs have caused in other jobs. New sub-jobs begin within the budget of this turn.
    pub(super) fn settle_sub_jobs(&mut self, now: Now) {
        while !self.between_jobs.is_idle() {
            self.is_filling = true;
            for (id, order) in std::mem::take(&mut self.between_jobs.orders) {
                self.carry_out(id, order, now);
            }
            for ended in std::mem::take(&mut self.between_jobs.ended) {
                self.end_of_sub_job(ended, now);
            }
            if self.budget == 0 && self.between_jobs.orders.is_empty() && self.between_jobs.ended.is_empty() {
                return;
            }
            if let Some((id, index)) = self.between_jobs.beginning.pop_front_if(|_| self.budget > 0) {
                let cost = self.begin_sub_job(id, index, now);
                self.budget = self.budget.saturating_sub(cost);
            }
        }
    }

    /// A task that runs a job has passed all gates. If it ran one before, this is read first, as soon as it has ended. Returns what
    /// that costs of the budget of the turn.
    fn begin_sub_job(&mut self, id: JobId, index: u32, now: Now) -> u32 {
        let Some(job) = self.jobs.find_mut(id).filter(|job| job.begins_sub_job(index)) else { return 1 };
        if job.is_paused() {
            job.task_mut(index).place = Place::Suspended;
            self.flights.note_left((id, index));
            return 1;
        }
        match job.task(index).child() {
            None => return self.run_sub_job(id, index, None, now),
            // It is being stopped. Its end begins the next one.
            Some(before) if self.is_part_of(before, id.task(index)) => {}
            Some(before) => self.actions.push(Action::Read { task: id.task(index), job: before }),
        }
        1
    }

    /// Whether this job is live, and its end will be passed to this task.
    fn is_part_of(&self, job: JobId, task: TaskId) -> bool {
        let parent = self.jobs.find(job).and_then(LiveJob::parent);
        parent.is_some_and(|parent| parent.task == task && !parent.detached)
    }

    /// The sub-job for whose end a task waits: the one that it runs, or one of an earlier attempt that is being stopped.
    pub(super) fn awaited_child(&self, id: TaskId, task: &LiveTask) -> Option<JobId> {
        task.running_child().or_else(|| task.child().filter(|child| self.is_part_of(*child, id)))
    }

    /// Begins the sub-job of a task with what `read`, the one that the task ran before, has achieved: see [`RetriedJob::of_sub_job`].
    /// `before` is `None` if that is not stored any more, or cannot be continued.
    pub fn continue_sub_job(&mut self, task: TaskId, read: JobId, before: Option<RetriedJob>, now: Now) {
        let Some((id, index)) = self.find_task(task).filter(|(id, index)| self.jobs.job(*id).begins_sub_job(*index))
        else {
            return;
        };
        // It may have been read twice, and the task may have run another one since.
        if self.jobs.job(id).task(index).child() != Some(read) || self.is_part_of(read, task) {
            return;
        }
        let job = self.jobs.job_mut(id);
        if job.is_paused() {
            job.task_mut(index).place = Place::Suspended;
            self.flights.note_left((id, index));
            return;
        }
        self.run_sub_job(id, index, before, now);
    }

    /// Returns what it costs of the budget of a turn.
    fn run_sub_job(&mut self, id: JobId, index: u32, before: Option<RetriedJob>, now: Now) -> u32 {
        let job = self.jobs.job_mut(id);
        let checked = Arc::clone(&job.job);
        let sub_job = checked.spec(index).sub_job().expect("the task runs a job");
        job.task_mut(index).place = Place::Blocked;
        self.flights.note_left((id, index));
        let (arguments, walked) = match self.fill_or_fail(id, index, now) {
            Ok(filled) => filled,
            Err(cost) => return turn_budget::tasks_for(cost),
        };
        let (root, bytes) = (self.jobs.job(id).root(), arguments.bytes());
        // What takes the result of an equal task needs no room.
        let (passes, key_bytes) = self.passes_cache(id, index, &arguments, now);
        let cost = turn_budget::tasks_for(walked + bytes + key_bytes);
        if !passes {
            return cost;
        }
        if let Some(msg) = self.why_no_room(root, sub_job, bytes as u64) {
            self.flights.note_left((id, index));
            self.fail_with(id, index, TaskError::new(ErrorKind::TooManyJobs), msg, now);
            return cost;
        }
        let schema = sub_job.job().input_schema().map_or(0, |schema| schema.get().len() + SCHEMA_COST);
        let cost =
            cost.saturating_add(sub_job.job().tasks().len() as u32).saturating_add(turn_budget::tasks_for(schema));
        let inputs = match self.inputs_of(sub_job, arguments.run.expect("a sub-job has inputs")) {
            Ok(inputs) => inputs,
            Err(msg) => {
                self.flights.note_left((id, index));
                self.fail_with(id, index, TaskError::new(ErrorKind::BadArguments), msg, now);
                return cost;
            }
        };
        let child = self.child_id(id.task(index), self.jobs.job(id).task(index).state().attempt());
        let job = self.jobs.job_mut(id);
        job.begin(now.wall, &mut self.actions);
        let priority = job.priority(index);
        let parent = Parent { job: id, task: id.task(index), root, detached: sub_job.is_detached(), priority };
        let task = job.task_mut(index);
        let state = task.state_mut();
        state.started_at = Some(now.wall);
        (state.msg, state.error) = (None, None);
        let details = state.details_mut();
        details.end_wait();
        details.rare_mut().child = Some(child);
        let continued = before.filter(|before| {
            let inputs_before = before.state.details.as_deref().and_then(|details| details.inputs.as_ref());
            inputs_before == Some(&inputs)
        });
        self.between_jobs.has_begun = true;
        if sub_job.is_detached() {
            task.state_mut().data = Some(Json::string(&child.to_string()));
            self.add_sub_job(child, sub_job, parent, (inputs, continued), now);
            self.end(id, index, TaskStatus::Success, now);
            return cost;
        }
        task.place = Place::SubJob;
        job.set_status(index, TaskStatus::Running, &mut self.actions);
        self.note_started(id, index);
        self.jobs.job(id).persist_task(index, &mut self.actions);
        self.watch_attempt(id, index, now.wall, now);
        self.add_sub_job(child, sub_job, parent, (inputs, continued), now);
        cost
    }

    fn add_sub_job(
        &mut self,
        id: JobId,
        sub_job: &SubJob,
        parent: Parent,
        (inputs, continued): (Json, Option<RetriedJob>),
        now: Now,
    ) {
        let inherited = self.jobs.job(parent.job).labels_for_sub_jobs();
        match continued {
            Some(mut continued) => {
                let details = continued.state.details_mut();
                (details.parent, details.labels) = (Some(parent), inherited);
                self.add_retry(id, continued, now);
            }
            None => {
                let mut state = JobState::pending(now.wall);
                let details = state.details_mut();
                (details.parent, details.inputs, details.labels) = (Some(parent), Some(inputs), inherited);
                self.add(id, Arc::clone(sub_job.job()), state, now);
            }
        }
    }

    /// The inputs of a sub-job, with the defaults of its schema, or why they do not match it.
    fn inputs_of(&self, sub_job: &SubJob, given: Json) -> Result<Json, String> {
        let Some(schema) = sub_job.job().input_schema() else { return Ok(given) };
        self.settings.inputs.check(schema, &given, self.settings.input_steps).map_err(|violations| {
            let shown: Vec<String> = violations.iter().take(SHOWN_VIOLATIONS).map(ToString::to_string).collect();
            let more = violations.len().checked_sub(SHOWN_VIOLATIONS + 1).map_or("", |_| "; …");
            format!("the inputs of the sub-job do not match its input_schema: {}{more}", shown.join("; "))
        })
    }

    /// The id of the sub-job of a task in this attempt: a hash of both, with the slot of the task.
    fn child_id(&self, task: TaskId, attempt: u32) -> JobId {
        let ids = (0..).map(|number: u32| JobId::of_attempt(task, attempt, number));
        let mut fitting = ids.filter(|id| id.slot() == task.slot() && self.jobs.of_family(id.family()).is_none());
        fitting.next().expect("there are many ids")
    }

    /// Why the family of this root cannot have the sub-job with inputs of this size, too.
    fn why_no_room(&self, root: JobId, sub_job: &SubJob, input_bytes: u64) -> Option<String> {
        let Descendants { jobs, tasks, bytes } = self.descendants.get(&root).copied().unwrap_or_default();
        let advice = "let fewer of them run at the same time, for example with \"parallel\" of \"for_each\"";
        if jobs >= MAXIMUM_SUB_JOBS {
            return Some(format!(
                "the job has {MAXIMUM_SUB_JOBS} sub-jobs that have not ended, and more are not allowed: {advice}"
            ));
        }
        if bytes + input_bytes > MAXIMUM_SUB_JOB_BYTES {
            return Some(format!(
                "the inputs of the sub-jobs of the job that have not ended would have more than {MAXIMUM_SUB_JOB_BYTES} bytes together: \
                 {advice}, or pass the name of a file or an object instead of its content"
            ));
        }
        (tasks + sub_job.job().tasks().len() as u64 > MAXIMUM_SUB_JOB_TASKS).then(|| {
            format!(
                "the sub-jobs of the job would have more than {MAXIMUM_SUB_JOB_TASKS} tasks at the same time: {advice}"
            )
        })
    }

    /// Counts a sub-job that is live from now on.
    pub(super) fn count_sub_job(&mut self, job: &LiveJob) {
        if let Some(parent) = job.parent() {
            let family = self.descendants.entry(parent.root).or_default();
            family.jobs += 1;
            family.tasks += job.tasks.len() as u64;
            family.bytes += job.input_bytes();
        }
    }

    /// A job has ended: tells its parent, if it has one.
    pub(super) fn leave_parent(&mut self, job: &LiveJob) {
        let Some(parent) = job.parent() else { return };
        if let Some(family) = self.descendants.get_mut(&parent.root) {
            family.jobs -= 1;
            family.tasks -= job.tasks.len() as u64;
            family.bytes -= job.input_bytes();
            if family.jobs == 0 {
                self.descendants.remove(&parent.root);
            }
        }
        if !parent.detached {
            let JobState { status, ref output, ref msg, .. } = job.state;
            let (id, task) = (job.id, parent.task);
            self.between_jobs.ended.push(EndedChild { id, task, status, output: output.clone(), msg: msg.clone() });
        }
    }

    /// The sub-job of a task has ended, and the task ends with it.
    fn end_of_sub_job(&mut self, ended: EndedChild, now: Now) {
        let EndedChild { id: child, task, status, output, msg } = ended;
        let Some((id, index)) = self.find_task(task) else { return };
        let job = self.jobs.job(id);
        let live = job.task(index);
        if live.child() == Some(child) && job.begins_sub_job(index) {
            // The task has given it up, and waits for its end to continue it.
            return self.between_jobs.begin(id, index);
        }
        // The task may have given its sub-job up.
        if live.running_child() != Some(child) {
            return;
        }
        self.withdraw(id, index);
        let state = self.jobs.job_mut(id).task_mut(index).state_mut();
        let (kind, how) = match status {
            JobStatus::Success => {
                state.data = Some(output.unwrap_or_else(Json::null));
                self.keep_result(id, index, None, now);
                return self.end(id, index, TaskStatus::Success, now);
            }
            JobStatus::Cancelled => (ErrorKind::JobCancelled, "was cancelled"),
            _ => (ErrorKind::JobFailed, "failed"),
        };
        let why = msg.map(|msg| format!(": {msg}")).unwrap_or_default();
        let msg = format!("the sub-job {child} {how}{why}");
        state.msg = Some(cut(msg.into(), super::texts::MAXIMUM_MESSAGE));
        state.error = Some(Arc::new(TaskError::new(kind)));
        self.end_attempt(id, index, now);
    }

    /// A restored job has a task whose sub-job is not live, so nothing would end the task.
    pub(super) fn end_lost_sub_jobs(&mut self) {
        for (id, index) in std::mem::take(&mut self.restored_parents) {
            let Some(job) = self.jobs.find(id) else { continue };
            let task = job.task(index);
            let lost = task.running_child().filter(|child| !self.is_live(*child));
            if let Some(child) = lost {
                let msg = Some("it is not in the store any more".into());
                let status = JobStatus::Failed;
                self.between_jobs.ended.push(EndedChild { id: child, task: id.task(index), status, output: None, msg });
            }
        }
    }

    fn carry_out(&mut self, id: JobId, order: Order, now: Now) {
        // A sub-job that has ended meanwhile needs no order, and one that is being cancelled is not paused.
        let _ = match order {
            Order::Cancel(cancel) => self.cancel(id, cancel, now).map(drop),
            Order::Pause(remark) => self.pause_because(id, PauseCause::Parent, remark, now),
            Order::Resume => self.resume_because(id, PauseCause::Parent, now),
            Order::Priority(priority) => {
                self.inherit_priority(id, priority);
                Ok(())
            }
        };
    }

    /// The sub-job of a task, if it has one that runs, is stopped.
    pub(super) fn stop_sub_job(&mut self, id: JobId, index: u32) {
        let job = self.jobs.job(id);
        if let Some(child) = job.task(index).child() {
            self.between_jobs.orders.push((child, job.cancel_of_sub_jobs()));
        }
    }

    /// Passes a further wish of a cancellation to the sub-jobs of a job.
    pub(super) fn pass_cancel(&mut self, id: JobId) {
        let job = self.jobs.job(id);
        self.between_jobs.orders.extend(job.children().map(|(_, child)| (child, job.cancel_of_sub_jobs())));
    }

    /// Passes a pause to the sub-jobs of a job.
    pub(super) fn pass_pause(&mut self, id: JobId) {
        let job = self.jobs.job(id);
        let Some(pause) = job.first_pause() else { return };
        let pause = Order::Pause(Remark { by: pause.by.clone(), reason: pause.reason.clone() });
        self.between_jobs.orders.extend(job.children().map(|(_, child)| (child, pause.clone())));
    }

    /// Passes the end of a pause to the sub-jobs of a job.
    pub(super) fn pass_resume(&mut self, id: JobId) {
        let children = self.jobs.job(id).children();
        self.between_jobs.orders.extend(children.map(|(_, child)| (child, Order::Resume)));
    }

    /// Passes the priorities of its tasks to the sub-jobs of a job.
    pub(super) fn pass_priority(&mut self, id: JobId) {
        let job = self.jobs.job(id);
        let priorities = job.children().map(|(index, child)| (child, Order::Priority(job.priority(index))));
        self.between_jobs.orders.extend(priorities);
    }
}

impl RetriedJob {
    /// The continuation of a sub-job that has ended, with what it has achieved. The snapshot has the states of items, too. `limit` is
    /// the maximum size of a value in bytes. `None` if there is nothing to continue.
    #[must_use]
    pub fn of_sub_job(ended: JobSnapshot, limit: usize, now: Timestamp) -> Option<Self> {
        Self::new(ended, Retry::default(), limit, now).ok()
    }
}

impl LiveJob {
    /// The labels that its sub-jobs inherit.
    fn labels_for_sub_jobs(&self) -> Option<Arc<Labels>> {
        let inherited = self.state.details.as_deref().and_then(|details| details.labels.as_ref());
        match (inherited, self.job.labels()) {
            (None, own) => (!own.is_empty()).then(|| Arc::clone(own)),
            (Some(inherited), own) if own.is_empty() => Some(Arc::clone(inherited)),
            (Some(_), _) => Some(Arc::new(self.state.labels(&self.job).into_owned())),
        }
    }

    /// Whether the task at `index` is about to run a job.
    fn begins_sub_job(&self, index: u32) -> bool {
        let task = (!self.cancelled && self.contains(index)).then(|| self.task(index));
        task.is_some_and(|task| task.place == Place::SubJob && task.state().status == TaskStatus::Pending)
    }

    /// The job that it is a part of.
    pub(super) fn parent(&self) -> Option<&Parent> {
        self.state.details.as_deref()?.parent.as_ref()
    }

    /// The size of its inputs in bytes.
    fn input_bytes(&self) -> u64 {
        let inputs = self.state.details.as_deref().and_then(|details| details.inputs.as_ref());
        inputs.map_or(0, |inputs| inputs.get().len() as u64)
    }

    /// The first job of its family, which is no sub-job.
    fn root(&self) -> JobId {
        self.parent().map_or(self.id, |parent| parent.root)
    }

    /// The tasks whose sub-jobs have not ended, and these.
    fn children(&self) -> impl Iterator<Item = (u32, JobId)> + use<'_> {
        let positions = self.job.has_sub_jobs().then(|| self.positions());
        positions.into_iter().flatten().filter_map(|index| {
            let task = self.task(index);
            Some((index, task.running_child()?))
        })
    }

    /// The request that stops its sub-jobs: as this job is stopped, if it is.
    fn cancel_of_sub_jobs(&self) -> Order {
        let known = self.state.details.as_deref().and_then(|details| details.cancel.clone());
        let (by, reason, handlers) =
            known.map_or((None, None, false), |known| (known.by, known.reason, known.handlers));
        let reason = reason.unwrap_or_else(|| format!("the job {} does not need it any more", self.id).into());
        let is_now = self.stop.is_some_and(|stop| stop.is_now);
        Order::Cancel(Cancel { now: is_now, handlers, by, reason: Some(reason) })
    }
}

impl super::live_task::LiveTask {
    /// The sub-job that it runs or ran last.
    pub(super) fn child(&self) -> Option<JobId> {
        self.state().details.as_deref()?.rare().child
    }

    /// The sub-job that it runs.
    pub(super) fn running_child(&self) -> Option<JobId> {
        let is_running = self.place == Place::SubJob && self.state().status == TaskStatus::Running;
        self.child().filter(|_| is_running)
    }
}
