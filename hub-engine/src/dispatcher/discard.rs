//! Drops large values on another thread, because freeing a job of a million tasks would delay the loop.

/// Maximum number of tasks of a value that is dropped on the current thread.
pub(super) const LARGE: usize = 10_000;

/// Drops `what`. `tasks` is its number of tasks.
pub(super) fn discard<T: Send + 'static>(what: T, tasks: usize) {
    if tasks > LARGE {
        drop(tokio::task::spawn_blocking(move || drop(what)));
    }
}
