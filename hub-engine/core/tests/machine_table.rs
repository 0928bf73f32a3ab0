//! The complete transition table.

use hub_core::{JobStatus, TaskStatus};

#[test]
fn tasks_change_only_as_the_table_says() {
    let legal = "PENDING: SUBMITTED RUNNING SUCCESS FAILED CANCELLED UPSTREAM_FAILED SKIPPED
        SUBMITTED: PENDING RUNNING SUCCESS FAILED CANCELLED
        RUNNING: PENDING SUCCESS FAILED CANCELLED SKIPPED
        SUCCESS:
        FAILED:
        CANCELLED:
        UPSTREAM_FAILED:
        SKIPPED:";
    for line in legal.lines() {
        let (from, next) = line.trim().split_once(':').unwrap();
        let from: TaskStatus = from.parse().unwrap();
        let next: Vec<TaskStatus> = next.split_whitespace().map(|word| word.parse().unwrap()).collect();
        for status in TaskStatus::ALL {
            assert_eq!(from.may_become(status), next.contains(&status), "{from} → {status}");
        }
        assert_eq!(from.is_terminal(), next.is_empty());
    }
}

#[test]
fn jobs_change_only_as_the_table_says() {
    for from in JobStatus::ALL {
        for next in JobStatus::ALL {
            let legal = match from {
                JobStatus::Pending => next != JobStatus::Pending,
                JobStatus::Cancelling => next.is_terminal(),
                JobStatus::Running => !matches!(next, JobStatus::Pending | JobStatus::Running),
                JobStatus::Paused => next != JobStatus::Paused,
                JobStatus::Success | JobStatus::Failed | JobStatus::Cancelled => false,
            };
            assert_eq!(from.may_become(next), legal, "{from} → {next}");
        }
    }
}

#[test]
fn an_unknown_status_is_an_error_that_lists_the_known_ones() {
    let error = "DONE".parse::<TaskStatus>().unwrap_err().to_string();
    assert!(error.contains("\"DONE\"") && error.contains("UPSTREAM_FAILED"), "{error}");
}
