//! Whether heartbeats can arrive at all: the dispatcher listens for words of its own that take the same way.
//!
//! A broker under an alarm delivers what it has, but takes nothing, and says so only to those who publish. Workers that
//! live cannot say so then. As long as the dispatcher's own words do not come back, it holds nobody's silence against
//! them.

use std::time::Duration;

use tokio::time::Instant;

/// Words that are not back when so many more were due are held up.
const PATIENCE: u32 = 2;

/// The words that the dispatcher says to itself.
#[derive(Debug)]
pub(super) struct Echo {
    every: Duration,
    /// When the next words are due. `None` while there is no connection, and none could come back.
    due: Option<Instant>,
    /// When the oldest words went out that are not back.
    unheard_since: Option<Instant>,
    deaf: bool,
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Say something.
    Say,
    /// Say something; and from now on nobody can be heard.
    SayDeaf,
}

impl Echo {
    /// Words this often, once there is a connection.
    pub(super) const fn new(every: Duration) -> Self {
        Self { every, due: None, unheard_since: None, deaf: false }
    }

    /// When [`Echo::turn`] is to be called.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// There is a new connection: words of the last one do not come back.
    pub(super) fn connected(&mut self, now: Instant) {
        *self = Self { due: Some(now), ..Self::new(self.every) };
    }

    /// There is no connection.
    pub(super) fn disconnected(&mut self) {
        *self = Self::new(self.every);
    }

    /// Words are due.
    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        self.due = Some(now + self.every);
        let since = *self.unheard_since.get_or_insert(now);
        let is_late = now - since >= self.every * PATIENCE;
        if is_late && !std::mem::replace(&mut self.deaf, true) { Turn::SayDeaf } else { Turn::Say }
    }

    /// Words have come back. Returns whether nobody could be heard before.
    pub(super) fn heard(&mut self) -> bool {
        self.unheard_since = None;
        std::mem::replace(&mut self.deaf, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    #[test]
    fn words_that_stay_away_make_it_deaf_until_some_come_back() {
        let (mut echo, start) = (Echo::new(EVERY), Instant::now());
        assert_eq!(echo.due(), None);
        echo.connected(start);
        let mut at = start;
        for _ in 0..3 {
            assert_eq!((echo.due(), echo.turn(at)), (Some(at), Turn::Say));
            assert!(!echo.heard());
            at += EVERY;
        }
        let turns: Vec<Turn> = (0..5).map(|late| echo.turn(at + EVERY * late)).collect();
        assert_eq!(turns, [Turn::Say, Turn::Say, Turn::SayDeaf, Turn::Say, Turn::Say]);
        assert!(echo.heard());
        assert!(!echo.heard(), "said once");
        assert_eq!(echo.turn(at + EVERY * 5), Turn::Say);
        echo.disconnected();
        assert_eq!(echo.due(), None);
    }
}
