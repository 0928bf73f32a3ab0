//! The handlers of a job: the tasks that run after its tasks.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use super::model::Job;
use super::phase::{Lists, Phase};
use super::template::Template;

impl Job {
    /// Whether it has handlers.
    #[must_use]
    pub const fn has_handlers(&self) -> bool {
        self.lists.end > self.lists.on_failure
    }

    /// Whether a handler refers to how the tasks of the job ended.
    pub(crate) const fn reads_failure(&self) -> bool {
        self.reads_failure
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
    pub fn handler_deadline(&self) -> Duration {
        self.options().handler_deadline.unwrap_or(Lists::DEADLINE)
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
            if reference.attribute.needs_end() {
                tasks.push(reference.task);
            }
        }
        tasks.sort_unstable();
        tasks.dedup();
        Cow::Owned(tasks)
    }
}
