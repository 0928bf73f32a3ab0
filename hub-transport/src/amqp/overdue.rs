//! Leaves a node that lives and does not confirm what is published.
//!
//! A broker that reads nothing from a publishing connection (it is under a memory or disk alarm, or slows publishers down)
//! does not confirm either, and must not be left: every other node would do the same. What tells the two apart is a
//! question on that very connection: a node that answers it reads, and still does not confirm.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{End, Window};
use crate::{Error, ErrorKind, Operation};

/// Ends the session where a publish has been without an outcome for `limit` and the broker answers questions. `windows`
/// returns the windows of the session's publishers, `ask` whether the broker has answered a question on the publishing
/// connection.
pub async fn end_when_overdue(
    end: End,
    limit: Duration,
    windows: impl Fn() -> Vec<Window>,
    ask: impl AsyncFn() -> bool,
) {
    let tick = Window::tick(limit);
    let watching = async {
        loop {
            tokio::time::sleep(tick).await;
            // All of them grow older, whichever of them has something overdue.
            if windows().iter().filter(|window| window.grow_older()).count() == 0 {
                continue;
            }
            let asked = Instant::now();
            // A late answer comes from a broker that did not read, and reads again: confirms are on their way.
            if ask().await && asked.elapsed() < tick {
                let message = format!("the broker answers, but has not confirmed a message within {limit:?}");
                end.come(Some(Arc::new(Error::new(ErrorKind::Timeout, Operation::Publish, message))));
                return;
            }
        }
    };
    let mut health = end.health();
    tokio::select! {
        _ = super::asked_for_end(&mut health) => {}
        () = watching => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Health;

    const LIMIT: Duration = Duration::from_secs(30);

    /// How long a session lasts that has one publish open, under a broker that answers a question after `answer`.
    async fn lasts(answer: Duration) -> Option<Duration> {
        let (end, window, begun) = (End::default(), Window::new(2), Instant::now());
        let _place = window.enter().await.unwrap();
        let windows = move || vec![window.clone()];
        let watching = end_when_overdue(end.clone(), LIMIT, windows, async || {
            tokio::time::sleep(answer).await;
            true
        });
        let ended = tokio::time::timeout(LIMIT * 100, watching).await.is_ok();
        assert_eq!(ended, end.has_come());
        ended.then(|| begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_answers_and_does_not_confirm_is_left() {
        let lasted = lasts(Duration::from_millis(10)).await.expect("it ends");
        assert!(lasted >= LIMIT && lasted < LIMIT * 5 / 4, "{lasted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_reads_nothing_is_not_left() {
        assert_eq!(lasts(LIMIT * 50).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn confirms_that_come_keep_a_session() {
        let (end, window) = (End::default(), Window::new(100));
        let windows = {
            let window = window.clone();
            move || vec![window.clone()]
        };
        let watching = tokio::spawn(end_when_overdue(end.clone(), LIMIT, windows, async || true));
        let mut open = std::collections::VecDeque::new();
        for _ in 0..100 {
            // There is always something open, and nothing for as long as the limit.
            open.push_back(window.enter().await.unwrap());
            if open.len() > 8 {
                open.pop_front();
            }
            tokio::time::sleep(LIMIT / 10).await;
        }
        assert!(!end.has_come());
        end.come(None);
        watching.await.unwrap();
        assert!(matches!(&*end.health().borrow(), Health::Closed(None)));
    }
}
