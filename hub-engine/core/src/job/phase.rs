//! The lists of tasks of a job: its tasks, and the handlers that run after them.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::Job;
use super::reference::Attribute;
use super::template::Template;

/// A list of tasks of a job. A list begins when the one before has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The tasks of the job. How they end decides how the job ends.
    #[default]
    Tasks,
    /// The handlers that run if the job fails.
    OnFailure,
    /// The handlers that run however the job ends.
    Finally,
}

impl Phase {
    /// Every list, in the order in which they run.
    pub const ALL: [Self; 3] = [Self::Tasks, Self::OnFailure, Self::Finally];

    /// The key of the list in a job.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::OnFailure => "on_failure",
            Self::Finally => "finally",
        }
    }
}

/// The positions of the lists. The handlers follow the tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    /// The position of the first task of `on_failure`.
    pub(super) on_failure: u32,
    /// The position of the first task of `finally`.
    pub(super) finally: u32,
    /// The position after the last task.
    pub(super) end: u32,
}

impl Lists {
    /// Default limit for the time that the tasks of a list of handlers take together.
    pub(super) const DEADLINE: Duration = Duration::from_secs(3600);

    /// The positions of the tasks of a list.
    pub(super) const fn range(self, phase: Phase) -> Range<u32> {
        match phase {
            Phase::Tasks => 0..self.on_failure,
            Phase::OnFailure => self.on_failure..self.finally,
            Phase::Finally => self.finally..self.end,
        }
    }

    /// The list of the task at a position.
    pub(super) const fn phase(self, task: u32) -> Phase {
        if task < self.on_failure {
            Phase::Tasks
        } else if task < self.finally {
            Phase::OnFailure
        } else {
            Phase::Finally
        }
    }

    /// The place of the task at a position in its list.
    pub(super) const fn place_in_list(self, task: u32) -> usize {
        (task - self.range(self.phase(task)).start) as usize
    }
}

impl Job {
    /// Whether tasks run after its end.
    #[must_use]
    pub const fn has_handlers(&self) -> bool {
        self.lists.end > self.lists.on_failure
    }

    /// The positions of the tasks of a list.
    #[must_use]
    pub const fn range(&self, phase: Phase) -> Range<u32> {
        self.lists.range(phase)
    }

    /// The list that the task at `position` belongs to; of an item, the list of its task.
    #[must_use]
    pub fn phase(&self, position: u32) -> Phase {
        self.lists.phase(self.item(position).map_or(position, |item| item.task))
    }

    /// How long the tasks of each list of handlers may take together.
    #[must_use]
    pub const fn handler_deadline(&self) -> Duration {
        match self.handler_deadline {
            Some(deadline) => deadline,
            None => Lists::DEADLINE,
        }
    }
}

impl Job {
    /// The tasks whose results the task at `position` reads or waits for. A handler reads tasks of earlier lists without
    /// waiting for them.
    #[must_use]
    pub fn reads(&self, position: u32) -> Cow<'_, [u32]> {
        let spec = self.spec(position);
        if self.phase(position) == Phase::Tasks {
            return Cow::Borrowed(spec.upstream());
        }
        let arguments = spec.args().into_iter().chain(spec.kwargs()).flat_map(Template::references);
        let mut tasks = spec.upstream().to_vec();
        for reference in arguments.chain(spec.references_of_options()) {
            match reference.attribute {
                Attribute::JobFailure => tasks.extend(self.range(Phase::Tasks)),
                attribute if attribute.needs_end() => tasks.push(reference.task),
                _ => {}
            }
        }
        tasks.sort_unstable();
        tasks.dedup();
        Cow::Owned(tasks)
    }
}
