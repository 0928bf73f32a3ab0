//! The arguments of a task, or the inputs of its sub-job, filled from the results of other tasks.

use std::sync::Arc;

use super::live::LiveJob;
use crate::Json;
use crate::job::{FillError, Run, Template};

/// What a task needs to run, with all references replaced.
pub(super) struct Arguments {
    pub(super) args: Json,
    pub(super) kwargs: Json,
    /// What it runs instead of a module: an object. The inputs, if that is a job.
    pub(super) run: Option<Json>,
}

impl Arguments {
    /// Their size in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.args.get().len() + self.kwargs.get().len() + self.run.as_ref().map_or(0, |run| run.get().len())
    }
}

impl LiveJob {
    /// Fills the references in the arguments of a task. All values together have at most `limit` bytes.
    pub(super) fn arguments(&mut self, index: u32, limit: usize) -> Result<Arguments, FillError> {
        let checked = Arc::clone(&self.job);
        let spec = checked.spec(index);
        let mut filler = Filler { job: self, index, limit, taken: 0 };
        let args = filler.fill(spec.args(), "[]")?;
        let kwargs = filler.fill(spec.kwargs(), "{}")?;
        let run = match spec.sub_job() {
            Some(sub_job) => Some(filler.fill(sub_job.inputs(), "{}")?),
            None => spec.run().map(|run| filler.run(run)).transpose()?,
        };
        Ok(Arguments { args, kwargs, run })
    }
}

/// Fills templates that share one limit.
struct Filler<'j> {
    job: &'j mut LiveJob,
    index: u32,
    limit: usize,
    /// The number of bytes filled so far.
    taken: usize,
}

impl Filler<'_> {
    fn fill(&mut self, template: Option<&Template>, none: &'static str) -> Result<Json, FillError> {
        let Some(template) = template else { return Ok(Json::from_checked(none)) };
        let (limit, taken) = (self.limit, self.taken);
        let filled =
            self.job.fill_for(self.index, template, limit.saturating_sub(taken)).map_err(|error| match error {
                FillError::TooLarge { bytes, .. } => FillError::TooLarge { bytes: bytes + taken as u64, limit },
                other => other,
            })?;
        self.taken += filled.get().len();
        Ok(filled)
    }

    /// An object with the keys of what the task runs.
    fn run(&mut self, run: &Run) -> Result<Json, FillError> {
        let mut text = String::from("{");
        for (at, (key, template)) in run.parts().enumerate() {
            let filled = self.fill(Some(template), "null")?;
            let comma = if at > 0 { "," } else { "" };
            text.push_str(&format!("{comma}\"{key}\":{}", filled.get()));
        }
        text.push('}');
        Ok(Json::from_checked(text))
    }
}
