//! What has been heard, and whether anything can be heard at all: the dispatcher sends echoes to itself, which take the
//! same way as heartbeats and wait in the same queue.
//!
//! An echo that has come back proves that everything which workers sent before it has been read, since a queue keeps its
//! order. Leases expire only as far as that is proven: a dispatcher that was stopped, or held up by a long turn, reads the
//! heartbeats that wait for it first.
//!
//! An echo that does not come back proves that heartbeats cannot come either. A broker under an alarm delivers what it has,
//! but takes nothing, and says so only to those who publish. As long as that lasts, lease expiry is suspended.

use std::collections::VecDeque;
use std::time::Duration;

use hub_core::Steady;

/// Number of intervals after which an echo that has not come back is overdue.
const OVERDUE_INTERVALS: u32 = 2;

/// The echoes of one dispatcher.
#[derive(Debug)]
pub(super) struct Echo {
    interval: Duration,
    /// When the next echo is due. `None` while there is no connection, and none could come back.
    due: Option<Steady>,
    /// The echoes that have not come back, by number, and when each was sent.
    sent: VecDeque<(u64, Steady)>,
    /// When the last one was sent.
    last: Steady,
    next: u64,
    overdue: bool,
}

/// An echo to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Send {
    /// Its number.
    pub(super) number: u64,
    /// From now on workers cannot be heard.
    pub(super) became_overdue: bool,
}

/// What an echo that has come back proves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// Everything that workers sent up to then has been read.
    pub(super) until: Steady,
    /// Workers could not be heard before.
    pub(super) was_overdue: bool,
}

impl Echo {
    /// Echoes at this interval, once there is a connection.
    pub(super) const fn new(interval: Duration) -> Self {
        Self { interval, due: None, sent: VecDeque::new(), last: Steady::from_millis(0), next: 0, overdue: false }
    }

    /// When the next echo is to be sent: at its interval, or as soon as a lease would expire at `expiry`, unless an echo
    /// sent since then is on its way.
    pub(super) fn due(&self, expiry: Option<Steady>) -> Option<Steady> {
        let due = self.due?;
        let is_asked_for = |expiry: &Steady| self.sent.is_empty() || self.last < *expiry;
        Some(expiry.filter(is_asked_for).map_or(due, |expiry| expiry.min(due)))
    }

    /// There is a new connection: echoes of the last one do not come back.
    pub(super) fn connected(&mut self, now: Steady) {
        *self = Self { due: Some(now), next: self.next, ..Self::new(self.interval) };
    }

    /// There is no connection.
    pub(super) fn disconnected(&mut self) {
        *self = Self { next: self.next, ..Self::new(self.interval) };
    }

    /// An echo is sent.
    pub(super) fn send(&mut self, now: Steady) -> Send {
        // Whether an earlier one has come back is not known to a dispatcher that was held up itself.
        let is_late = self.due.is_some_and(|due| now >= due.after(self.interval));
        let oldest = self.sent.front().map(|(_, sent)| *sent);
        let is_overdue = oldest.is_some_and(|sent| now.since(sent) >= self.interval * OVERDUE_INTERVALS);
        let number = self.next;
        (self.due, self.last, self.next) = (Some(now.after(self.interval)), now, number + 1);
        self.sent.push_back((number, now));
        let became_overdue = is_overdue && !is_late && !self.overdue;
        self.overdue |= became_overdue;
        Send { number, became_overdue }
    }

    /// An echo has come back. `None`: it is none that was awaited.
    pub(super) fn heard(&mut self, number: u64) -> Option<Heard> {
        let at = self.sent.iter().position(|(sent, _)| *sent == number)?;
        let until = self.sent.drain(..=at).next_back().map(|(_, sent)| sent)?;
        Some(Heard { until, was_overdue: std::mem::replace(&mut self.overdue, false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Steady {
        Steady::from_millis(seconds * 1000)
    }

    #[test]
    fn echoes_that_stay_away_make_it_overdue_until_one_comes_back() {
        let mut echo = Echo::new(INTERVAL);
        assert_eq!(echo.due(Some(at(0))), None);
        echo.connected(at(100));
        for number in 0..3 {
            let now = at(100 + 5 * number);
            assert_eq!((echo.due(None), echo.send(now)), (Some(now), Send { number, became_overdue: false }));
            assert_eq!(echo.heard(number), Some(Heard { until: now, was_overdue: false }));
        }
        let overdue: Vec<bool> = (0..5).map(|late| echo.send(at(115 + 5 * late)).became_overdue).collect();
        assert_eq!(overdue, [false, false, true, false, false]);
        assert_eq!(echo.heard(4), Some(Heard { until: at(120), was_overdue: true }));
        assert_eq!((echo.heard(4), echo.heard(3)), (None, None), "it counts once, and for those before it");
        assert_eq!(echo.heard(5), Some(Heard { until: at(125), was_overdue: false }), "said once");
        echo.disconnected();
        assert_eq!((echo.due(None), echo.heard(6)), (None, None));
    }

    #[test]
    fn a_lease_that_would_expire_is_a_reason_to_send_one_and_only_one() {
        let mut echo = Echo::new(INTERVAL);
        echo.connected(at(100));
        echo.send(at(100));
        echo.heard(0);
        assert_eq!((echo.due(Some(at(200))), echo.due(Some(at(103)))), (Some(at(105)), Some(at(103))));
        echo.send(at(103));
        assert_eq!(echo.due(Some(at(103))), Some(at(108)), "it is on its way");
        assert_eq!(echo.due(Some(at(104))), Some(at(104)), "this one proves nothing of then");
        echo.heard(1);
        assert_eq!(echo.due(Some(at(103))), Some(at(103)));
    }

    #[test]
    fn a_delayed_dispatcher_expires_no_lease() {
        let mut echo = Echo::new(INTERVAL);
        echo.connected(at(100));
        echo.send(at(100));
        assert_eq!(echo.send(at(500)), Send { number: 1, became_overdue: false });
    }
}
