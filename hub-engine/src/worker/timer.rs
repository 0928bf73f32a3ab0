//! Timers that may not be set.

use tokio::time::Instant;

/// Sleeps until this time. Without a time, waits for ever.
pub(super) async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
