//! The signals that stop a program.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::notify;

/// SIGTERM and SIGINT.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for a signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Runs `ending` to its end, or until a second signal.
    pub(crate) async fn unless_again(&mut self, ending: impl Future<Output = ()>) {
        tokio::select! {
            () = notify::ending(ending) => {}
            () = self.next() => tracing::warn!("second signal: stopping at once"),
        }
    }
}

/// Maximum time for a program to drain.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_units_leave_time_to_drain() {
        let units = [
            include_str!("../../etc/systemd/hub-dispatcher.service"),
            include_str!("../../etc/systemd/hub-worker.service"),
        ];
        for unit in units {
            let limit = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
            let limit = Duration::from_secs(limit.parse().unwrap());
            // After draining, a worker ends its child processes, hands back unfinished tasks, and disconnects.
            assert!(limit >= GRACE + Duration::from_secs(15), "killed after {limit:?}");
        }
    }
}
