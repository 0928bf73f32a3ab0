//! Ends the session with a node that answers but does not confirm publishes.
//!
//! A broker that does not read from publishing connections (because of a memory or disk alarm, or flow control) does not confirm
//! either. Its session must not be ended, because all other nodes would behave the same. A request on the publishing connection
//! distinguishes the two cases: a node that answers it reads from the connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Lifecycle, Window};
use crate::{Error, ErrorKind, Operation};

/// Ends the session if a publish has been without an outcome for `limit` and the broker answers requests. `windows` returns the
/// windows of the session's publishers. `ask` sends a request on the publishing connection and returns whether the broker answered.
pub async fn end_when_overdue(
    lifecycle: Lifecycle,
    limit: Duration,
    windows: impl Fn() -> Vec<Window>,
    ask: impl AsyncFn() -> bool,
) {
    let tick = Window::tick(limit);
    let watching = async {
        loop {
            tokio::time::sleep(tick).await;
            // Every window advances, even if an earlier one is overdue.
            if windows().iter().filter(|window| window.advance()).count() == 0 {
                continue;
            }
            let asked = Instant::now();
            // After a late answer, the broker has just resumed reading, and confirms will follow.
            if ask().await && asked.elapsed() < tick {
                let message = format!("the broker answers, but has not confirmed a message within {limit:?}");
                lifecycle.end(Some(Arc::new(Error::new(ErrorKind::Timeout, Operation::Publish, message))));
                return;
            }
        }
    };
    let mut health = lifecycle.health();
    tokio::select! {
        _ = super::ended_on_request(&mut health) => {}
        () = watching => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Health;

    const LIMIT: Duration = Duration::from_secs(30);

    /// The duration of a session with one open publish, if the broker answers a request after `answer`.
    async fn lasts(answer: Duration) -> Option<Duration> {
        let (lifecycle, window, begun) = (Lifecycle::default(), Window::new(2), Instant::now());
        let _place = window.enter().await.unwrap();
        let windows = move || vec![window.clone()];
        let watching = end_when_overdue(lifecycle.clone(), LIMIT, windows, async || {
            tokio::time::sleep(answer).await;
            true
        });
        let ended = tokio::time::timeout(LIMIT * 100, watching).await.is_ok();
        assert_eq!(ended, lifecycle.has_ended());
        ended.then(|| begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_with_a_node_that_answers_without_confirming_is_ended() {
        let lasted = lasts(Duration::from_millis(10)).await.expect("it ends");
        assert!(lasted >= LIMIT && lasted < LIMIT * 5 / 4, "{lasted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_with_a_broker_that_does_not_read_is_kept() {
        assert_eq!(lasts(LIMIT * 50).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_with_regular_confirms_is_kept() {
        let (lifecycle, window) = (Lifecycle::default(), Window::new(100));
        let windows = {
            let window = window.clone();
            move || vec![window.clone()]
        };
        let watching = tokio::spawn(end_when_overdue(lifecycle.clone(), LIMIT, windows, async || true));
        let mut open = std::collections::VecDeque::new();
        for _ in 0..100 {
            // Some publish is always open, but none of them reaches the limit.
            open.push_back(window.enter().await.unwrap());
            if open.len() > 8 {
                open.pop_front();
            }
            tokio::time::sleep(LIMIT / 10).await;
        }
        assert!(!lifecycle.has_ended());
        lifecycle.end(None);
        watching.await.unwrap();
        assert!(matches!(&*lifecycle.health().borrow(), Health::Closed(None)));
    }
}
