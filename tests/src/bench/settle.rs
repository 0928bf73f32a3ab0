//! Waits until a Hub and its broker are idle. Their work after the client's response is part of the measured cost.

use std::time::{Duration, Instant};

use hub_engine::operations::Hub;

use super::cost::{ProcessGroup, total_cpu};
use super::run::Bench;
use crate::eventually_within;

/// Maximum time for a Hub to become idle.
const LIMIT: Duration = Duration::from_secs(600);
/// Maximum time to wait for idle processes, which may never occur on a busy machine.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Duration of one measurement of the processor time.
const SAMPLE: Duration = Duration::from_millis(250);
/// Maximum share of one processor that idle processes use.
const IDLE_SHARE: f64 = 0.08;
/// Number of consecutive idle measurements. One is not sufficient, since processes also wait for timers and disks.
const IDLE_SAMPLES: u32 = 2;

/// Waits until the dispatcher has no live jobs beyond `live`, and the processes are quiet.
pub(super) fn settle(bench: &Bench, hub: &dyn Hub, processes: &ProcessGroup, live: u64) {
    eventually_within(LIMIT, "no job is live", || {
        let health = bench.runtime.block_on(hub.health()).map_err(|error| error.to_string())?;
        let idle = health.live_jobs == live && (live > 0 || health.tasks_in_flight + health.tasks_ready == 0);
        if idle { Ok(()) } else { Err(format!("{health:?}")) }
    });
    quiet(bench, processes);
}

/// Waits until the processes are idle. After [`IDLE_TIMEOUT`], or soon in a quick run, prints a warning and continues.
pub(super) fn quiet(bench: &Bench, processes: &ProcessGroup) {
    let patience = bench.time(IDLE_TIMEOUT);
    let begun = Instant::now();
    let (mut since, mut before, mut looks) = (Instant::now(), total_cpu(&processes.used()), 0);
    eventually_within(LIMIT, "everything is quiet", || {
        let passed = since.elapsed();
        if passed < SAMPLE {
            return Err("still looking".to_owned());
        }
        let now = total_cpu(&processes.used());
        let busy = (now - before) / passed.as_secs_f64();
        (since, before) = (Instant::now(), now);
        looks = if busy < IDLE_SHARE { looks + 1 } else { 0 };
        if looks < IDLE_SAMPLES && begun.elapsed() >= patience {
            eprintln!("hub-bench: not quiet within {patience:?}: the figures that follow include what still runs");
            return Ok(());
        }
        if looks == IDLE_SAMPLES { Ok(()) } else { Err(format!("{:.0} % of a processor", busy * 100.0)) }
    });
}
