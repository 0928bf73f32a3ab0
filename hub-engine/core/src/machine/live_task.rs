//! The state of a task or an item of a live job.

use std::sync::{Arc, LazyLock};

use super::place::Place;
use super::trigger::{Decision, Upstream};
use crate::TaskStatus;
use crate::job::TriggerRule;
use crate::state::TaskState;

/// A task of a live job. Most tasks of a large job wait most of the time, so a waiting task takes little memory.
#[derive(Debug)]
pub(super) struct LiveTask {
    /// `None` until the state changes for the first time.
    state: Option<Arc<TaskState>>,
    /// The ends of its dependencies, and what follows from them.
    pub(super) upstream: Upstream,
    pub(super) rule: TriggerRule,
    pub(super) place: Place,
}

/// Approximate memory of a task without its texts, in bytes.
pub(super) const TASK_BYTES: u64 = 500;

/// The state of every task whose state has not changed yet.
static UNTOUCHED: TaskState = TaskState::pending();

impl LiveTask {
    /// The state of the task.
    pub(super) fn state(&self) -> &TaskState {
        self.state.as_deref().unwrap_or(&UNTOUCHED)
    }

    /// The state of the task, shared. `None` until it changes for the first time.
    pub(super) fn shared(&self) -> Option<Arc<TaskState>> {
        self.state.clone()
    }

    /// The state of the task for writing. Only `LiveJob::set_status` changes the status.
    pub(super) fn state_mut(&mut self) -> &mut TaskState {
        Arc::make_mut(self.state.get_or_insert_with(|| Arc::new(TaskState::pending())))
    }

    /// Shares this state, if its own is equal.
    pub(super) fn share(&mut self, state: Option<Arc<TaskState>>) {
        if self.state == state {
            self.state = state;
        }
    }

    /// What follows for the task from the ends of its dependencies.
    pub(super) const fn decision(&self) -> Decision {
        self.upstream.decide(self.rule)
    }

    /// The approximate memory of the result.
    pub(super) fn bytes(&self) -> u64 {
        let state = self.state();
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let data = state.data.as_ref().map_or(0, |data| data.get().len());
        let traceback = state.error.as_ref().map_or(0, |error| text(&error.traceback));
        (data + traceback + text(&state.msg) + text(&state.log)) as u64
    }

    /// The same of its details.
    pub(super) fn details_bytes(&self) -> u64 {
        self.state().details.as_ref().map_or(0, |details| details.weight() as u64)
    }

    /// A task whose state has not changed yet.
    pub(super) const fn untouched(upstream: Upstream, rule: TriggerRule) -> Self {
        Self { state: None, upstream, rule, place: Place::Blocked }
    }

    /// An item in this state.
    pub(super) fn item(state: Option<Arc<TaskState>>) -> Self {
        let (upstream, rule) = (Upstream::of(0), TriggerRule::AllSuccess);
        match state {
            Some(state) => Self::with_state(state, upstream, rule),
            None => Self::untouched(upstream, rule),
        }
    }

    /// Whether its state has changed at least once, or it is somewhere.
    pub(super) fn is_touched(&self) -> bool {
        self.state.is_some() || self.place != Place::Blocked
    }

    /// Keeps only how it has ended.
    pub(super) fn forget(&mut self) {
        self.state = Some(slim_state(self.state().status));
    }

    /// The approximate memory that it takes until it is forgotten.
    pub(super) fn all_bytes(&self) -> u64 {
        TASK_BYTES + self.bytes() + self.details_bytes()
    }

    pub(super) fn with_state(state: Arc<TaskState>, upstream: Upstream, rule: TriggerRule) -> Self {
        let place = if state.status.is_terminal() { Place::Ended } else { Place::Blocked };
        Self { state: (*state != UNTOUCHED).then_some(state), upstream, rule, place }
    }
}

/// The shared state of items that have ended in this way, of which nothing else is kept.
fn slim_state(status: TaskStatus) -> Arc<TaskState> {
    static SLIM: LazyLock<Vec<Arc<TaskState>>> = LazyLock::new(|| {
        let slim = |status| Arc::new(TaskState { status, ..TaskState::pending() });
        TaskStatus::ALL.into_iter().map(slim).collect()
    });
    let found = SLIM.iter().find(|state| state.status == status);
    Arc::clone(found.expect("every status has a state"))
}
