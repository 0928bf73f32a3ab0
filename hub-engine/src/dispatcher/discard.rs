//! Lets go of what is large. To free a job of a million tasks takes a while: not on the thread of the loop.

/// What has more tasks than this is let go of elsewhere.
pub(super) const LARGE: usize = 10_000;

/// Drops `what`, which is about so many tasks.
pub(super) fn discard<T: Send + 'static>(what: T, tasks: usize) {
    if tasks > LARGE {
        drop(tokio::task::spawn_blocking(move || drop(what)));
    }
}
