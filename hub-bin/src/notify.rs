//! What the service manager is told, where one has started the program with `Type=notify`: that it serves, how it
//! is, that it stops, and that its loop lives. Where there is none (`NOTIFY_SOCKET` is not set), nothing is said
//! and nothing is done.
//!
//! The variables stay set in this process; the runner takes them away from the tasks that it starts.

use std::time::Duration;

use hub_transport::supervisor::LinkHealth;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// A status is one line; longer ones are of no use to whoever reads `systemctl status`.
const LONGEST_STATUS: usize = 400;

/// Says that the program serves.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Says that the program stops.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: what has begun is brought to an end")]);
}

/// Says how the program is, in words for people.
pub(crate) fn status(text: &str) {
    tell(&[NotifyState::Status(&one_line(text))]);
}

/// As long as the program serves: says how its connection is whenever that changes, and gives the watchdog its
/// sign of life whenever `alive` says that the loop has answered. Never returns.
pub(crate) async fn serving(mut health: watch::Receiver<LinkHealth>, alive: impl AsyncFn() -> bool) {
    let mut beat = Beat::new();
    // It may have changed since the program was ready.
    health.mark_changed();
    loop {
        tokio::select! {
            Ok(()) = health.changed() => status(&in_words(&health.borrow_and_update())),
            () = beat.due() => if alive().await {
                tell(&[NotifyState::Watchdog]);
            },
        }
    }
}

/// Runs `ending`, which has limits of its own, and satisfies the watchdog meanwhile: the loop that it would ask is
/// ending.
pub(crate) async fn ending(ending: impl Future<Output = ()>) {
    let mut beat = Beat::new();
    tokio::pin!(ending);
    loop {
        tokio::select! {
            () = &mut ending => return,
            () = beat.due() => tell(&[NotifyState::Watchdog]),
        }
    }
}

/// When the watchdog wants to hear something.
struct Beat(Option<tokio::time::Interval>);

impl Beat {
    fn new() -> Self {
        // Twice as often as the manager looks, as its manual advises.
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
        LinkHealth::Blocked(reason) => format!("the broker takes no messages at present: {reason}"),
        LinkHealth::Down(Some(cause)) => format!("not connected to the broker: {cause}"),
        LinkHealth::Down(None) => "not connected to the broker".to_owned(),
        LinkHealth::Closed => "disconnected".to_owned(),
    }
}

fn tell(words: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(words) {
        tracing::warn!(%error, "the service manager cannot be told: its socket does not take messages");
    }
}

/// A message is lines of assignments: what comes from a broker must not add one.
fn one_line(text: &str) -> String {
    let line =
        text.split(char::is_control).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_STATUS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_and_no_assignment() {
        assert_eq!(one_line("no way in\n  caused by: it said\r\nREADY=1\n"), "no way in caused by: it said READY=1");
        let long = one_line(&"ä".repeat(LONGEST_STATUS + 1));
        assert_eq!(long.chars().count(), LONGEST_STATUS + 1);
        assert!(long.ends_with('…'));
    }
}
