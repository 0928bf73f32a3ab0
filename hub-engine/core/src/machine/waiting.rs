//! The reasons why tasks wait, with what their owner can do.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use super::Machine;
use super::live::{LiveJob, value_of};
use super::live_task::LiveTask;
use super::place::Place;
use super::texts::MAXIMUM_LISTED_NAMES;
use super::trigger::Decision;
use crate::job::{Approval, Awaited, Limits, Need, Task, Values, Wait, nearest};
use crate::job_clock::JobClock;
use crate::job_details::PauseRecord;
use crate::state::TaskState;
use crate::text::cut;
use crate::{Now, TaskKind, TaskStatus};

/// Maximum number of tasks of a job with a reason.
const MAXIMUM_EXPLAINED_TASKS: usize = 1000;
/// Maximum length of the question of an approval in a reason, in bytes.
const MAXIMUM_QUESTION: usize = 1000;
/// Maximum time from the link coming up to the first heartbeats of workers. They send one every five seconds.
pub(super) const MAXIMUM_ANNOUNCEMENT_DELAY: Duration = Duration::from_secs(6);

/// Reasons by pool and need, because many tasks have the same reason.
type Reasons<'a> = HashMap<(&'a str, Need, bool), Option<String>>;

impl Machine {
    /// The position and the reason of each waiting task of `tasks`, in the order of the job, up to the maximum.
    pub(super) fn waiting_reasons(&self, job: &LiveJob, tasks: Range<u32>) -> Vec<(u32, String)> {
        let mut known = Reasons::new();
        let tasks = tasks.map(|index| (index, job.task(index), job.spec(index)));
        let waits = tasks.filter(|(_, live, _)| {
            matches!(live.place, Place::Window | Place::Launched | Place::Waiting) || is_pending(live)
        });
        let reasons = waits.filter_map(|(index, _, spec)| Some((index, self.reason(job, index, spec, &mut known)?)));
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
        let mut reasons: Vec<String> =
            unserved.filter_map(|task| self.reason_in_pool(task.pool(), &task.need(), false)).collect();
        // A pool without workers is one reason for all its modules.
        reasons.dedup();
        reasons
    }

    fn reason<'a>(&self, job: &LiveJob, index: u32, spec: &'a Task, known: &mut Reasons<'a>) -> Option<String> {
        let live = job.task(index);
        if !job.has_begun(index) {
            let list = job.job.phase(index).as_str();
            return Some(format!("it is a task of {list:?}, which runs when the tasks before have ended"));
        }
        if live.place == Place::Blocked && live.decision() == Decision::Wait {
            let open = spec.upstream().iter().filter(|before| job.task(**before).place != Place::Ended);
            return Some(format!("waits for {}", listed(open.map(|before| &**job.spec(*before).name()))));
        }
        if job.waits_for_start && live.place == Place::Blocked {
            let start = job.job.start(job.state.submitted_at)?.wall(job.clock());
            return Some(format!("the job starts at {start}"));
        }
        if let Some(wait) = spec.wait().filter(|_| live.place == Place::Waiting) {
            return Some(waits_for(job, index, wait));
        }
        if let Some(pause) = job.first_pause().filter(|_| is_pending(live)) {
            return Some(format!("the job is paused since {}: hub-client resume {}", why_paused(pause), job.id));
        }
        if live.place == Place::Launched {
            return Some("waits for its result from outside: post it with hub-client result".to_owned());
        }
        if let Some(reason) = reason_between_attempts(live.state(), job.clock()) {
            return Some(reason);
        }
        if live.place == Place::Removed {
            let pool = spec.pool();
            return Some(format!(
                "a policy of the broker (a message TTL or a maximum length) keeps its message out of the queue of the pool \
                 {pool:?}: it is handed out again in a moment"
            ));
        }
        let is_pending = is_pending(live);
        if let Some(pause) = self.paused_pools.get(spec.pool()).filter(|_| is_pending) {
            let pool = spec.pool();
            let why = why_paused(pause);
            return Some(format!("the pool {pool:?} is paused since {why}: hub-client resume --pool {pool}"));
        }
        let reason = known.entry((spec.pool(), spec.need(), is_pending));
        reason.or_insert_with(|| self.reason_in_pool(spec.pool(), &spec.need(), is_pending)).clone()
    }

    /// The reason of a task without open dependencies. A task on the broker has no reason as long as workers can take
    /// it.
    fn reason_in_pool(&self, pool: &str, need: &Need, is_pending: bool) -> Option<String> {
        let catalogue = self.workers.catalogue();
        if catalogue.slots(pool).is_none() {
            return Some(format!("no worker serves the pool {pool:?}"));
        }
        if !catalogue.has(pool, need) {
            return Some(match need {
                Need::Module(module) => self.lacks_module(pool, module),
                Need::Kind(kind) => lacks_kind(pool, *kind),
            });
        }
        let on_broker = self.pools.get(pool).map_or(0, super::pool::Pool::in_window);
        is_pending
            .then(|| format!("waits for its turn in the pool {pool:?}: {on_broker} tasks are handed out before it"))
    }

    /// The reason of a task whose module no worker of its pool has.
    fn lacks_module(&self, pool: &str, module: &str) -> String {
        let modules = self.workers.catalogue().modules(pool);
        let hint = nearest(module, modules.clone());
        let hint = hint.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        let have = if modules.clone().next().is_none() { "none".to_owned() } else { listed(modules) };
        format!("no worker of the pool {pool:?} has a task module {module:?}: they have {have}{hint}")
    }
}

/// The reason of a task of a kind that no worker of its pool allows.
fn lacks_kind(pool: &str, kind: TaskKind) -> String {
    let what = match kind {
        TaskKind::Modules => "task modules",
        TaskKind::Command => "commands",
        TaskKind::Http => "HTTP requests",
    };
    let word = kind.as_str();
    format!(
        "no worker of the pool {pool:?} allows {what}: add {word} to allow in the configuration of a worker that may run them, \
         such as allow = modules,{word}"
    )
}

/// What a task waits for, and what its owner can do.
fn waits_for(job: &LiveJob, index: u32, wait: &Wait) -> String {
    let details = job.task(index).state().details.as_deref();
    let until = details.and_then(|details| details.end_of_wait(job.clock()));
    let limit = until.map(|until| format!(" until {until}")).unwrap_or_default();
    match &wait.awaited {
        Awaited::Until(_) => format!("waits{limit}"),
        Awaited::Signal { name, count } => {
            let came = details.map_or(0, |details| details.signals.len());
            let so_far = if *count > 1 { format!(", of which {came} of {count} have come") } else { String::new() };
            format!("waits{limit} for the signal {name:?}{so_far}: send it with hub-client signal")
        }
        Awaited::Approval(approval) => {
            let question = question(job, approval).map(|text| format!(" ({text})")).unwrap_or_default();
            let choices = listed(approval.choices.iter().map(|choice| &**choice));
            format!("waits{limit} for an approval{question}: answer with hub-client approve; its choices are {choices}")
        }
    }
}

/// The question of an approval with its references replaced: a string as it is, any other value as JSON.
fn question(job: &LiveJob, approval: &Approval) -> Option<String> {
    let lookup = |task: u32, attribute| value_of(job.id, &job.job, task, job.task(task).state(), attribute);
    let message = approval.message.as_ref()?;
    let filled = job.job.fill(message, Limits::MAX_VALUE_BYTES, &mut Values::default(), lookup).ok()?;
    let text = serde_json::from_str(filled.get()).unwrap_or_else(|_| filled.get().to_owned());
    Some(cut(text.into(), MAXIMUM_QUESTION).as_ref().to_owned())
}

/// Why a task waits one of whose attempts has failed.
fn reason_between_attempts(state: &TaskState, clock: JobClock) -> Option<String> {
    let details = state.details.as_deref()?;
    let failures = details.failures;
    let [retry_at, delayed_until, held_until] =
        [details.retry_at, details.delayed_until, details.held_until].map(|at| at.map(|at| clock.wall(at)));
    match (retry_at, held_until) {
        (Some(at), _) => Some(format!("attempt {failures} failed; the next one begins at {at}")),
        (None, None) => delayed_until.map(|until| format!("waits until {until}, since it has a delay")),
        (None, Some(until)) => Some(format!(
            "attempt {failures} failed, and it was the last one: retry, skip or fail the task; it fails at {until}"
        )),
    }
}

/// Since when something is paused, by whom, and why.
fn why_paused(PauseRecord { at, by, reason }: &PauseRecord) -> String {
    let by = by.as_deref().map_or_else(String::new, |by| format!(" by {by}"));
    let reason = reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("{at}{by}{reason}")
}

fn is_pending(live: &LiveTask) -> bool {
    live.state().status == TaskStatus::Pending
}

/// A list of names, up to the maximum.
fn listed<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let mut text = names.by_ref().take(MAXIMUM_LISTED_NAMES).collect::<Vec<_>>().join(", ");
    let more = names.count();
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
