//! When all jobs have ended, no queue contains a message, and the dispatcher's memory contains no job.

use super::invariant::{Invariant, check};
use crate::simulator::facts::Facts;
use crate::simulator::leftovers::Leftovers;

pub(super) struct NothingStaysBehind;

impl Invariant for NothingStaysBehind {
    fn name(&self) -> &'static str {
        "nothing_stays_behind"
    }

    fn end(&mut self, _facts: &Facts, leftovers: &Leftovers) -> Result<(), String> {
        for (queue, depth) in &leftovers.depths {
            check(*depth == 0, || format!("{depth} messages are left in {queue}"))?;
        }
        let health = leftovers.health.as_ref().ok_or("no dispatcher is there at the end")?;
        let left = (health.live_jobs, health.tasks_in_flight, health.tasks_ready);
        check(left == (0, 0, 0), || format!("the dispatcher still has (jobs, in flight, ready) {left:?}"))
    }
}
