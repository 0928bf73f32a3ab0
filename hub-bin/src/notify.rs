//! Notifications to the service manager, if it has started the program with `Type=notify`: ready, status, stopping, and
//! watchdog. Without a service manager (`NOTIFY_SOCKET` is not set), these functions do nothing.
//!
//! The environment variables stay set in this process. The runner removes them from the environment of tasks.

use std::time::Duration;

use hub_transport::supervisor::LinkHealth;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// Maximum number of characters of a status, which `systemctl status` shows in one line.
const MAX_STATUS_CHARS: usize = 400;

/// Reports that the program is ready.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Reports that the program is stopping.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining, then stopping")]);
}

/// Reports a status text.
pub(crate) fn status(text: &str) {
    tell(&[NotifyState::Status(&one_line(text))]);
}

/// Reports changes of the connection, and notifies the watchdog as long as `alive` confirms that the main loop responds. Never
/// returns.
pub(crate) async fn serving(mut health: watch::Receiver<LinkHealth>, alive: impl AsyncFn() -> bool) {
    let mut watchdog = WatchdogTimer::new();
    // It may have changed since the program was ready.
    health.mark_changed();
    loop {
        tokio::select! {
            Ok(()) = health.changed() => status(&in_words(&health.borrow_and_update())),
            () = watchdog.due() => if alive().await {
                tell(&[NotifyState::Watchdog]);
            },
        }
    }
}

/// Runs `ending` and notifies the watchdog meanwhile without a check, since the main loop is ending. `ending` limits its own
/// duration.
pub(crate) async fn ending(ending: impl Future<Output = ()>) {
    let mut watchdog = WatchdogTimer::new();
    tokio::pin!(ending);
    loop {
        tokio::select! {
            () = &mut ending => return,
            () = watchdog.due() => tell(&[NotifyState::Watchdog]),
        }
    }
}

/// The timer of watchdog notifications. It never fires if the watchdog is disabled.
struct WatchdogTimer(Option<tokio::time::Interval>);

impl WatchdogTimer {
    fn new() -> Self {
        // Half of the watchdog's time limit, as recommended in sd_watchdog_enabled(3).
        Self(sd_notify::watchdog_enabled().map(|limit| {
            let mut interval = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    async fn due(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }
}

fn in_words(health: &LinkHealth) -> String {
    match health {
        LinkHealth::Up => "serving".to_owned(),
        LinkHealth::Blocked(reason) => format!("the broker blocks publishing: {reason}"),
        LinkHealth::Down(Some(cause)) => format!("not connected to the broker: {cause}"),
        LinkHealth::Down(None) => "not connected to the broker".to_owned(),
        LinkHealth::Closed => "disconnected".to_owned(),
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

/// Joins the lines of a text and truncates it. A notification consists of lines with assignments, so a text from a broker must not
/// contain line breaks.
fn one_line(text: &str) -> String {
    let line =
        text.split(char::is_control).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_STATUS_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_without_further_assignments() {
        assert_eq!(one_line("no way in\n  caused by: it said\r\nREADY=1\n"), "no way in caused by: it said READY=1");
        let long = one_line(&"ä".repeat(MAX_STATUS_CHARS + 1));
        assert_eq!(long.chars().count(), MAX_STATUS_CHARS + 1);
        assert!(long.ends_with('…'));
    }
}
