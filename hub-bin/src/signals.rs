//! The signals that end a program.

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

    /// Waits for one of them.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Runs `ending` to its end, or until a second signal says that this takes too long.
    pub(crate) async fn unless_again(&mut self, ending: impl Future<Output = ()>) {
        tokio::select! {
            () = notify::ending(ending) => {}
            () = self.next() => tracing::warn!("stopping at once"),
        }
    }
}

/// How long a program may take to bring its work to an end.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_leave_time_to_come_to_an_end() {
        let units = [
            include_str!("../../etc/systemd/hub-dispatcher.service"),
            include_str!("../../etc/systemd/hub-worker.service"),
        ];
        for unit in units {
            let limit = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
            let limit = Duration::from_secs(limit.parse().unwrap());
            // Beside its work a worker ends its children, hands back what they did not finish, and disconnects.
            assert!(limit >= GRACE + Duration::from_secs(15), "killed after {limit:?}");
        }
    }
}
