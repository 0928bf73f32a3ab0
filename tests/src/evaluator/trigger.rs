//! The first gate: whether a task runs, depending on the status of its dependencies.

use super::expected::{Status, TaskEnd};

/// Lets a task pass if all of its upstream tasks succeeded, and ends it otherwise.
pub(super) fn pass(upstream: impl IntoIterator<Item = Status>) -> Result<(), TaskEnd> {
    let all_succeeded = upstream.into_iter().all(|status| status == Status::Success);
    if all_succeeded { Ok(()) } else { Err(TaskEnd::upstream_failed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_runs_if_all_before_it_succeeded() {
        use Status::{Failed, Success, UpstreamFailed};
        assert_eq!(pass([]), Ok(()));
        assert_eq!(pass([Success, Success]), Ok(()));
        for upstream in [[Success, Failed], [UpstreamFailed, Success], [Failed, Failed]] {
            assert_eq!(pass(upstream), Err(TaskEnd::upstream_failed()));
        }
    }
}
