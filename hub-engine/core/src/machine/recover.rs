//! Recovers a task that has failed: it stays `FAILED`, has the fallback as data, and counts as a success for the tasks
//! that depend on it and for its job.

use std::sync::Arc;

use super::live::LiveJob;

impl LiveJob {
    /// Recovers a task that ends `FAILED` with the error in its state, if it has a recovery for this error. `limit` is
    /// the maximum size of its data in bytes. If the fallback cannot be filled, the message says so.
    pub(super) fn recover(&mut self, index: u32, limit: usize) {
        let checked = Arc::clone(&self.job);
        let Some(recover) = checked.spec(index).recover() else { return };
        if !recover.recovers(self.task(index).state().error.as_deref()) {
            return;
        }
        let filled =
            self.fill(&recover.fallback, limit, None).map_err(|error| self.why_unfilled("its fallback", &error).1);
        let state = self.task_mut(index).state_mut();
        match filled {
            Ok(data) => {
                state.data = Some(data);
                state.details_mut().recovered = true;
            }
            Err(why) => {
                let msg = state.msg.as_deref().unwrap_or_default();
                state.msg = Some(format!("{msg}; it was not recovered: {why}").into());
            }
        }
    }
}
