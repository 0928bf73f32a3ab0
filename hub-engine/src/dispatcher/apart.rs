//! Work whose time grows with the tasks of a job, apart from the loop.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Maximum number of tasks and items of a job for which it is done on the current thread. A change of the thread takes longer.
const MAXIMUM_INLINE_TASKS: usize = 100;

/// Does work for this many tasks and items: on another thread if they are many, since a job can have a million. `None` if it
/// panics.
pub(super) async fn apart<T: Send + 'static>(tasks: usize, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if tasks <= MAXIMUM_INLINE_TASKS {
        return catch_unwind(AssertUnwindSafe(work)).ok();
    }
    tokio::task::spawn_blocking(work).await.ok()
}
