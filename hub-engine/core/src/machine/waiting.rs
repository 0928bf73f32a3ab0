//! The reasons why tasks wait, with what their owner can do.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Machine;
use super::live::{LiveJob, Owner};
use super::live_task::LiveTask;
use super::place::Place;
use super::texts::{self, MAXIMUM_LISTED_NAMES};
use super::trigger::Decision;
use crate::explain::{Failure, Listed, Reason, StatusCounts, TaskNow};
use crate::job::{Approval, Awaited, ItemPlace, Limits, Need, Task, Values, Wait, nearest};
use crate::job_clock::JobClock;
use crate::state::TaskState;
use crate::text::cut;
use crate::{Now, TaskStatus};

/// Maximum number of tasks of a job with a reason.
const MAXIMUM_EXPLAINED_TASKS: usize = 1000;
/// Maximum length of the question of an approval in a reason, in bytes.
const MAXIMUM_QUESTION: usize = 1000;
/// Maximum time from the link coming up to the first heartbeats of workers. They send one every five seconds.
pub(super) const MAXIMUM_ANNOUNCEMENT_DELAY: Duration = Duration::from_secs(6);

/// Reasons by pool and need, because many tasks have the same reason.
pub(super) type KnownReasons<'a> = HashMap<(&'a str, Need, bool), Option<Reason>>;

impl Machine {
    /// The position and the reason of each waiting task of `tasks`, in the order of the job, up to the maximum.
    pub(super) fn waiting_reasons(&self, job: &LiveJob, tasks: Range<u32>) -> Vec<(u32, String)> {
        let mut known = KnownReasons::new();
        let tasks = tasks.map(|index| (index, job.task(index)));
        let waits = tasks.filter(|(_, live)| {
            matches!(live.place, Place::Window | Place::Launched | Place::Waiting) || is_pending(live)
        });
        let reasons = waits.filter_map(|(index, _)| Some((index, self.reason(job, index, &mut known)?.to_string())));
        reasons.take(MAXIMUM_EXPLAINED_TASKS).collect()
    }

    /// Why these tasks would wait: a reason for each one that no live worker of its pool can run. Shortly
    /// after the link has come up, heartbeats may not have arrived yet. Until then, a pool without workers is not
    /// reported.
    pub fn unserved<'a>(&self, tasks: impl IntoIterator<Item = &'a Task>, now: Now) -> Vec<String> {
        let catalogue = self.workers.catalogue();
        let is_early = now.steady < self.workers.link_up_since().after(MAXIMUM_ANNOUNCEMENT_DELAY);
        let is_unserved = |task: &&Task| {
            !(catalogue.has(task.pool(), &task.need()) || is_early && catalogue.slots(task.pool()).is_none())
        };
        let unserved = tasks.into_iter().filter(is_unserved).take(MAXIMUM_LISTED_NAMES);
        let reasons = unserved.filter_map(|task| self.reason_in_pool(task.pool(), &task.need(), false));
        let mut reasons: Vec<String> = reasons.map(|reason| reason.to_string()).collect();
        // A pool without workers is one reason for all its modules.
        reasons.dedup();
        reasons
    }

    /// Why a task waits. `None` if it does not wait, or is about to go on. `known` are reasons that were found before.
    pub(super) fn reason<'j>(&self, job: &'j LiveJob, index: u32, known: &mut KnownReasons<'j>) -> Option<Reason> {
        let (live, spec) = (job.task(index), job.spec(index));
        let is_pending = is_pending(live);
        if !job.has_begun(index) {
            return Some(Reason::Handler { list: job.job.phase(index).as_str() });
        }
        if live.place == Place::Blocked && live.decision() == Decision::Wait {
            return Some(upstream(job, spec));
        }
        if job.waits_for_start && live.place == Place::Blocked {
            let at = job.job.start(job.state.submitted_at)?.wall(job.clock());
            return Some(Reason::JobStart { at });
        }
        if let Some(wait) = spec.wait().filter(|_| live.place == Place::Waiting) {
            return Some(awaited(job, index, wait));
        }
        if let Some(pause) = job.first_pause().filter(|_| is_pending) {
            return Some(Reason::JobPaused { job: job.id, pause: pause.clone() });
        }
        match live.place {
            Place::Launched => return Some(Reason::Launched),
            Place::SubJob => return self.awaited_child(job.id.task(index), live).map(|job| Reason::SubJob { job }),
            Place::Cache => {
                let (other, at) = self.awaited_equal((job.id, index))?;
                let (task, status) = (other.job.name_of(at), other.task(at).state().status);
                return Some(Reason::EqualTask { job: other.id, task, status });
            }
            Place::Resting | Place::Held => {
                if let Some(reason) = between_attempts(live.state(), job.clock()) {
                    return Some(reason);
                }
            }
            Place::Removed => return Some(Reason::MessageRemoved { pool: Arc::clone(spec.pool()) }),
            Place::Blocked if job.job.item(index).is_some() => return Some(not_let_in(job, index)),
            _ => {}
        }
        let pool = spec.pool();
        if let Some(pause) = self.paused_pools.get(pool).filter(|_| is_pending) {
            return Some(Reason::PoolPaused { pool: Arc::clone(pool), pause: pause.clone() });
        }
        let reason = known.entry((&**pool, spec.need(), is_pending));
        reason.or_insert_with(|| self.reason_in_pool(pool, &spec.need(), is_pending)).clone()
    }

    /// The reason of a task without open dependencies. A task on the broker has no reason as long as workers can take
    /// it.
    fn reason_in_pool(&self, pool: &Arc<str>, need: &Need, is_pending: bool) -> Option<Reason> {
        let catalogue = self.workers.catalogue();
        let Some(slots) = catalogue.slots(pool) else {
            return Some(Reason::NoWorker { pool: Arc::clone(pool) });
        };
        if !catalogue.has(pool, need) {
            return Some(match need {
                Need::Module(module) => self.lacks_module(pool, module),
                Need::Kind(kind) => Reason::KindNotAllowed { pool: Arc::clone(pool), allow: kind.as_str() },
            });
        }
        let on_broker = self.pools.get(pool).map_or(0, super::pool::Pool::in_window);
        is_pending.then(|| Reason::NoRoom { pool: Arc::clone(pool), on_broker, slots })
    }

    /// The reason of a task whose module no worker of its pool has.
    fn lacks_module(&self, pool: &Arc<str>, module: &Arc<str>) -> Reason {
        let modules = self.workers.catalogue().modules(pool);
        let nearest = nearest(module, modules.clone()).map(Arc::from);
        let modules = Listed::of(modules.map(Arc::from));
        Reason::NoModule { pool: Arc::clone(pool), module: Arc::clone(module), modules, nearest }
    }
}

/// The upstream tasks that a task waits for.
fn upstream(job: &LiveJob, spec: &Task) -> Reason {
    let open = || spec.upstream().iter().filter(|before| job.task(**before).place != Place::Ended);
    let now =
        |before: &u32| TaskNow { name: Arc::clone(job.spec(*before).name()), status: job.task(*before).state().status };
    let counts = StatusCounts::of(open().map(|before| job.task(*before).state().status));
    Reason::Upstream {
        rule: spec.trigger_rule().as_str(),
        open: Listed::of(open().map(now)),
        counts,
        ended: (spec.upstream().len() - open().count()) as u32,
    }
}

/// What a task waits for, and what its owner can do.
fn awaited(job: &LiveJob, index: u32, wait: &Wait) -> Reason {
    let details = job.task(index).state().details.as_deref();
    let until = details.and_then(|details| details.end_of_wait(job.clock()));
    match &wait.awaited {
        Awaited::Until(_) => Reason::Time { until },
        Awaited::Signal { name, count } => {
            let came = details.map_or(0, |details| details.rare().signals.len()) as u32;
            Reason::Signal { name: Arc::clone(name), count: *count, came, until }
        }
        Awaited::Approval(approval) => {
            let choices = Listed::of(approval.choices.iter().cloned());
            Reason::Approval { question: question(job, approval), choices, until }
        }
    }
}

/// Why an item has not been let into its pool.
fn not_let_in(job: &LiveJob, index: u32) -> Reason {
    let ItemPlace { task, .. } = job.job.item(index).expect("the position of an item");
    let spec = job.spec(task);
    Reason::Parallel {
        task: Arc::clone(spec.name()),
        parallel: spec.for_each().and_then(|for_each| for_each.parallel),
        active: job.groups.get(&task).map_or(0, |group| group.active),
    }
}

/// The question of an approval with its references replaced: a string as it is, any other value as JSON.
fn question(job: &LiveJob, approval: &Approval) -> Option<Arc<str>> {
    let owner = Owner::of(job.id, &job.job, &job.state);
    let lookup = |task: u32, attribute| owner.value_of(task, attribute, |task| Some(job.task(task).state()));
    let message = approval.message.as_ref()?;
    let filled = job.job.fill(message, Limits::MAX_VALUE_BYTES, &mut Values::default(), lookup).ok()?;
    let text = serde_json::from_str(filled.get()).unwrap_or_else(|_| filled.get().to_owned());
    Some(cut(text.into(), MAXIMUM_QUESTION))
}

/// Why a task waits one of whose attempts has failed, or that has a delay.
fn between_attempts(state: &TaskState, clock: JobClock) -> Option<Reason> {
    let details = state.details.as_deref()?;
    let failures = details.failures;
    let [retry_at, delayed_until, held_until] =
        [details.retry_at, details.delayed_until, details.held_until].map(|at| at.map(|at| clock.wall(at)));
    let error = || {
        let msg = cut(state.msg.clone()?, texts::MAXIMUM_REASON);
        let error = state.error.as_deref();
        let type_name = error.and_then(|error| error.type_name.clone());
        Some(Failure { kind: error.map(|error| error.kind), type_name, msg })
    };
    match (retry_at, held_until) {
        (Some(until), _) => Some(Reason::Retry { until, failures, error: error() }),
        (None, None) => delayed_until.map(|until| Reason::Delay { until }),
        (None, Some(until)) => Some(Reason::Held { until, failures, error: error() }),
    }
}

fn is_pending(live: &LiveTask) -> bool {
    live.state().status == TaskStatus::Pending
}
