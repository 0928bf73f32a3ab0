//! The gate `cache`: a task takes a kept result, or waits for an equal task that is handed out.
//!
//! A task that becomes ready is looked at in a later step of the turn, since its arguments have to be filled. It is looked at
//! again when it is handed out, because only then a worker is known that has its module, and results may have been kept
//! meanwhile. A task leads from when it is handed out until it is not handed out any more; then those that wait for it are
//! looked at, the first of each pool by priority. A task that runs a job is looked at again when its sub-job begins, and leads while that runs.

use std::sync::Arc;

use super::Machine;
use super::arguments::Arguments;
use super::flights::TaskAt;
use super::live::LiveJob;
use super::live_task::LiveTask;
use super::place::Place;
use super::turn_budget::TurnBudget;
use crate::cache::{CachedFrom, KeptResult};
use crate::details::CacheDetails;
use crate::digest::Digest;
use crate::job::FillError;
use crate::state::TaskError;
use crate::{JobId, Json, Now, TaskStatus};

/// What the cache says of a task.
enum Found {
    /// A result is kept.
    Hit(KeptResult),
    /// An equal task is handed out.
    InFlight,
    /// The task has to run.
    Nothing,
}

impl Machine {
    /// Has tasks looked at in this turn or a later one.
    pub(super) fn send_to_cache(&mut self, id: JobId, tasks: &[u32]) {
        let job = self.jobs.job_mut(id);
        for index in tasks.iter().copied() {
            job.task_mut(index).place = Place::Cache;
            self.flights.push_unchecked((id, index));
        }
    }

    /// Looks at tasks within the budget of this turn. A task that has a result or waits for one needs neither room in its pool
    /// nor a worker, and its job and its pool may be paused.
    pub(super) fn check_cache(&mut self, mut budget: TurnBudget, now: Now) {
        self.land_flights();
        while budget.is_left()
            && let Some((id, index)) = self.flights.pop_unchecked()
        {
            budget.spend(self.check(id, index, now));
        }
    }

    /// Looks at a task. Returns the number of bytes read and written for its arguments.
    fn check(&mut self, id: JobId, index: u32, now: Now) -> usize {
        // It may have ended, or been taken out of its place.
        let is_there = |job: &&LiveJob| job.contains(index) && job.task(index).place == Place::Cache && !job.cancelled;
        if self.jobs.find(id).filter(is_there).is_none() {
            return 0;
        }
        self.withdraw(id, index);
        let (arguments, walked) = match self.fill_or_fail(id, index, now) {
            Ok(filled) => filled,
            Err(cost) => return cost,
        };
        let bytes = walked + arguments.bytes();
        let (key, key_bytes) = self.cache_key(id, index, &arguments, now);
        if let Some(key) = key {
            match self.look_up(id, index, key, now) {
                Found::Nothing => {
                    self.let_in(id, &[index]);
                    // Its pool may be paused.
                    self.watch_schedule(id, index, now);
                }
                Found::InFlight => {
                    self.take_or_follow(id, index, key, Found::InFlight, now);
                    // Its clocks may have stood still for a paused pool, for which it does not wait now.
                    self.watch_schedule(id, index, now);
                }
                found @ Found::Hit(_) => self.take_or_follow(id, index, key, found, now),
            }
        }
        bytes + key_bytes
    }

    /// Looks at a task that is about to be handed out. Returns whether it is, and the number of bytes read and written for its key.
    pub(super) fn passes_cache(&mut self, id: JobId, index: u32, arguments: &Arguments, now: Now) -> (bool, usize) {
        if self.jobs.job(id).spec(index).cache().is_none() {
            return (true, 0);
        }
        let (Some(key), bytes) = self.cache_key(id, index, arguments, now) else { return (false, 0) };
        let found = self.look_up(id, index, key, now);
        let passes = matches!(found, Found::Nothing);
        if passes {
            self.flights.hand_out((id, index), key, None);
        } else {
            self.take_or_follow(id, index, key, found, now);
        }
        (passes, bytes)
    }

    /// The key of a task, and the number of bytes read and written for it. `None`: it cannot be filled, and the task has failed.
    fn cache_key(&mut self, id: JobId, index: u32, arguments: &Arguments, now: Now) -> (Option<Digest>, usize) {
        let limit = self.settings.max_value_bytes;
        let job = self.jobs.job_mut(id);
        let walked = job.walked_bytes();
        let key = job.cache_key(index, arguments, limit);
        let walked = job.walked_bytes() - walked;
        match key {
            Ok((key, bytes)) => (Some(key), walked + bytes),
            Err(error) => {
                let (kind, msg) = job.why_unfilled("its key of the cache (cache.key)", &error);
                self.fail_with(id, index, TaskError::new(kind), msg, now);
                (None, walked)
            }
        }
    }

    fn look_up(&self, id: JobId, index: u32, key: Digest, now: Now) -> Found {
        let spec = self.jobs.job(id).spec(index);
        if spec.cache().is_some_and(|cache| cache.refresh) {
            return Found::Nothing;
        }
        let get = |key| self.kept_results.get(key, now.wall);
        let kept = if spec.keeps_by_module() {
            let mut contents = self.workers.catalogue().digests(spec.pool(), spec.module());
            contents.find_map(|content| get(with_content(key, content)))
        } else {
            get(key)
        };
        match kept {
            Some(kept) => Found::Hit(kept.clone()),
            None if self.flights.leader(key).is_some_and(|leader| leader != (id, index)) => Found::InFlight,
            None => Found::Nothing,
        }
    }

    fn take_or_follow(&mut self, id: JobId, index: u32, key: Digest, found: Found, now: Now) {
        let task = self.jobs.job_mut(id).task_mut(index);
        let Found::Hit(kept) = found else {
            task.place = Place::Cache;
            let job = self.jobs.job(id);
            let (pool, priority) = (job.spec(index).pool(), job.priority(index));
            return self.flights.follow((id, index), key, pool, priority);
        };
        let state = task.state_mut();
        (state.data, state.msg, state.error, state.log) = (Some(kept.data), None, None, None);
        state.details_mut().end_wait();
        self.note(id, index, CacheDetails { from: Some(kept.from), ..CacheDetails::default() });
        self.end(id, index, TaskStatus::Success, now);
    }

    /// Looks at the tasks that were handed out or chosen to be next, and were taken from where they were. The next ones of those
    /// that wait for one of them are looked at.
    fn land_flights(&mut self) {
        for (id, index) in self.flights.take_left() {
            let task = self.jobs.find(id).filter(|job| job.contains(index)).map(|job| job.task(index));
            if task.is_some_and(LiveTask::computes) {
                continue;
            }
            self.flights.land((id, index));
            let has_result = task.is_none_or(|task| task.state().status == TaskStatus::Success);
            if !task.is_some_and(LiveTask::may_be_handed_out_next) {
                self.flights.give_up((id, index), has_result);
            }
        }
    }

    /// A task of an earlier incarnation is handed out.
    pub(super) fn restore_flight(&mut self, id: JobId, index: u32) {
        let limit = self.settings.max_value_bytes;
        let job = self.jobs.job_mut(id);
        if job.spec(index).cache().is_none() {
            return;
        }
        let Ok(arguments) = job.arguments(index, limit) else { return };
        let Ok((key, _)) = job.cache_key(index, &arguments, limit) else { return };
        let details = job.task(index).state().details.as_deref();
        let content = details.and_then(|details| details.rare().cache.as_ref()?.content);
        self.flights.hand_out((id, index), key, content);
    }

    /// A task was launched by a module with this content. `None`: the worker did not report it.
    pub(super) fn note_launched_content(&mut self, id: JobId, index: u32, content: Option<Digest>) {
        if self.jobs.job(id).spec(index).keeps_by_module() {
            self.note(id, index, CacheDetails { content, ..CacheDetails::default() });
            if let Some(out) = self.flights.out_mut((id, index)) {
                out.content = content;
            }
        }
    }

    /// Keeps the result of a task that was handed out and has just succeeded, in the commit of its end. `content` is the digest of
    /// the module that ran.
    pub(super) fn keep_result(&mut self, id: JobId, index: u32, content: Option<Digest>, now: Now) {
        let job = self.jobs.job(id);
        let Some(cache) = job.spec(index).cache() else { return };
        let Some(data) = job.task(index).state().data.clone() else { return };
        let Some(out) = self.flights.out_mut((id, index)) else { return };
        let content = content.or(out.content);
        let key = match content {
            Some(content) if job.spec(index).keeps_by_module() => with_content(out.key, content),
            None if job.spec(index).keeps_by_module() => {
                let why =
                    "the worker did not report the content of the module that it ran, which can have changed meanwhile";
                return self.note_not_kept(id, index, why.to_owned());
            }
            _ => out.key,
        };
        let (bytes, limit) = (data.get().len(), self.kept_results.maximum_value());
        if bytes > limit {
            let why = format!("the result has {bytes} bytes, and at most {limit} are kept");
            return self.note_not_kept(id, index, why);
        }
        let from = CachedFrom { job: id, task: id.task(index) };
        let kept = KeptResult { from, kept_at: now.wall, until: now.wall.after(cache.ttl), data };
        self.kept_results.keep(key, kept, now.wall, &mut self.actions);
    }

    fn note_not_kept(&mut self, id: JobId, index: u32, why: String) {
        self.note(id, index, CacheDetails { not_kept: Some(why.into()), ..CacheDetails::default() });
    }

    /// Notes what a task has to do with kept results.
    fn note(&mut self, id: JobId, index: u32, cache: CacheDetails) {
        self.jobs.job_mut(id).task_mut(index).state_mut().details_mut().rare_mut().cache = Some(cache);
    }

    /// Takes in the kept results that the store has.
    pub fn restore_kept_results(&mut self, kept: Vec<(Digest, KeptResult)>, now: Now) {
        self.kept_results.restore(kept, now.wall, &mut self.actions);
    }

    /// The kept results, by key.
    pub fn kept_results(&self) -> impl Iterator<Item = (&Digest, &KeptResult)> {
        self.kept_results.iter()
    }

    /// The task for whose result a task waits.
    pub(super) fn awaited_equal(&self, task: TaskAt) -> Option<(&LiveJob, u32)> {
        let (id, index) = self.flights.leader_of(task)?;
        Some((self.jobs.find(id)?, index))
    }
}

impl LiveTask {
    /// Whether it has passed its gates, and only its pool or the room for sub-jobs can hold it up.
    fn may_be_handed_out_next(&self) -> bool {
        let is_on_its_way = matches!(self.place, Place::Cache | Place::Queued | Place::Parked | Place::SubJob);
        is_on_its_way && self.state().status == TaskStatus::Pending
    }

    /// Whether it is handed out, or its sub-job runs.
    fn computes(&self) -> bool {
        self.place.is_out() || self.place == Place::Launched || self.running_child().is_some()
    }
}

/// The key of a result of a module with this content.
fn with_content(key: Digest, content: Digest) -> Digest {
    Digest::of(format!("{key}{content}").as_bytes())
}

impl LiveJob {
    /// The key of a task with these arguments, and the size of what it is made from.
    fn cache_key(&mut self, index: u32, arguments: &Arguments, limit: usize) -> Result<(Digest, usize), FillError> {
        let checked = Arc::clone(&self.job);
        let spec = checked.spec(index);
        let cache = spec.cache().expect("the task has a cache");
        let key = cache.key.as_ref().map(|key| self.fill_for(index, key, limit)).transpose()?;
        let values: Vec<&Json> = [&arguments.args, &arguments.kwargs].into_iter().chain(&arguments.run).collect();
        let bytes = values.iter().map(|value| value.get().len()).sum::<usize>();
        let key_bytes = key.as_ref().map_or(0, |key| key.get().len());
        Ok((cache.key_of(spec.module(), spec.run(), key.as_ref(), &values), bytes + key_bytes))
    }
}
