//! The first gate: whether a task runs, depending on the status of its dependencies.

use super::expected::{Status, TaskEnd};

/// Lets a task pass if its trigger rule is met by how its upstream tasks ended, and ends it otherwise.
///
/// # Panics
/// If there is no such rule.
pub(super) fn pass(rule: &str, upstream: impl IntoIterator<Item = Status>) -> Result<(), TaskEnd> {
    let upstream: Vec<Status> = upstream.into_iter().collect();
    let count = |wanted: &[Status]| upstream.iter().filter(|status| wanted.contains(status)).count();
    let all = upstream.len();
    let (succeeded, skipped) = (count(&[Status::Success]), count(&[Status::Skipped]));
    let failed = count(&[Status::Failed, Status::UpstreamFailed]);
    let runs = match rule {
        "all_success" => succeeded == all,
        "all_done" | "always" => true,
        "all_done_min_one_success" | "one_success" => succeeded > 0,
        "none_failed" => failed == 0,
        "none_failed_min_one_success" => failed == 0 && succeeded > 0,
        "all_failed" => failed == all,
        "all_skipped" => skipped == all,
        "none_skipped" => skipped == 0,
        "one_failed" => failed > 0,
        "one_done" => succeeded + failed > 0,
        other => panic!("no trigger rule {other:?}"),
    };
    if runs {
        return Ok(());
    }
    let is_about_failure =
        matches!(rule, "all_failed" | "all_skipped" | "none_skipped" | "one_failed" | "one_done") || failed == 0;
    Err(TaskEnd::unrun(if is_about_failure { Status::Skipped } else { Status::UpstreamFailed }))
}

/// Whether one upstream task that ends like this decides that a task with this rule runs.
pub(super) fn decides(rule: &str, end: Status) -> bool {
    let failed = matches!(end, Status::Failed | Status::UpstreamFailed);
    match rule {
        "one_success" => end == Status::Success,
        "one_failed" => failed,
        "one_done" => failed || end == Status::Success,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_runs_if_all_before_it_succeeded() {
        use Status::{Failed, Skipped, Success, UpstreamFailed};
        assert_eq!(pass("all_success", []), Ok(()));
        assert_eq!(pass("all_success", [Success, Success]), Ok(()));
        for upstream in [[Success, Failed], [UpstreamFailed, Success], [Failed, Failed], [Skipped, Failed]] {
            assert_eq!(pass("all_success", upstream), Err(TaskEnd::unrun(UpstreamFailed)));
        }
        assert_eq!(pass("all_success", [Skipped, Success]), Err(TaskEnd::unrun(Skipped)));
    }

    #[test]
    fn other_rules_are_met_by_other_ends() {
        use Status::{Failed, Skipped, Success};
        assert_eq!(pass("all_done", [Failed, Skipped]), Ok(()));
        assert_eq!(pass("one_failed", [Success, Skipped]), Err(TaskEnd::unrun(Skipped)));
        assert_eq!(pass("one_success", [Failed, Skipped]), Err(TaskEnd::unrun(Status::UpstreamFailed)));
        assert_eq!(pass("none_failed_min_one_success", [Skipped]), Err(TaskEnd::unrun(Skipped)));
    }
}
