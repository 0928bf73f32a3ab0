//! What has changed between two looks at a task.

use hub_core::TaskStatus;

use super::seen::TaskSeen;

/// A change of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The position of the task in its job.
    pub(super) position: usize,
    pub(super) kind: Kind,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It runs.
    Started,
    /// It runs and waits for something from outside.
    Waits,
    /// Attempts failed, and there is or was another one.
    AttemptFailed { number: u32 },
    /// Its last attempt failed, and it waits for an operator.
    Held,
    /// It ran and waits again, though no attempt failed: its worker was lost or has returned it.
    Again,
    /// More of its items have failed.
    ItemsFailed,
    /// It has ended.
    Ended(TaskStatus),
}

impl Kind {
    /// Whether the record of the task has the reason.
    pub(super) const fn has_detail(self) -> bool {
        matches!(self, Self::AttemptFailed { .. } | Self::Held | Self::Ended(TaskStatus::Failed))
    }

    /// Whether it is part of the usual course of a job. In large jobs, such changes are only counted.
    pub(super) const fn is_usual(self) -> bool {
        matches!(self, Self::Started | Self::Ended(TaskStatus::Success | TaskStatus::Skipped))
    }
}

/// What has changed from `old` to `new`, in order of time.
pub(super) fn between(old: &TaskSeen, new: &TaskSeen) -> Vec<Kind> {
    let mut kinds = Vec::new();
    if old.has_ended() {
        return kinds;
    }
    // The number of an attempt that waits is that of the next one.
    let attempts = (old.attempt.unwrap_or(1), new.attempt.unwrap_or(1));
    let is_held = new.is_held() && !old.is_held();
    if attempts.1 > attempts.0 && !is_held {
        kinds.push(Kind::AttemptFailed { number: attempts.1 - 1 });
    }
    if is_held {
        kinds.push(Kind::Held);
    }
    let is_same_attempt = attempts.0 == attempts.1;
    match new.known_status() {
        Some(status) if status.is_terminal() => kinds.push(Kind::Ended(status)),
        Some(TaskStatus::Running) if new.waits_for_outside() && !(old.waits_for_outside() && is_same_attempt) => {
            kinds.push(Kind::Waits);
        }
        Some(TaskStatus::Running) if !(old.runs() && is_same_attempt) => kinds.push(Kind::Started),
        Some(TaskStatus::Pending | TaskStatus::Submitted) if old.runs() && is_same_attempt && !new.is_held() => {
            kinds.push(Kind::Again);
        }
        _ => {}
    }
    let failed = |task: &TaskSeen| task.items.map_or(0, |items| items.failed);
    if failed(new) > failed(old) && !new.has_ended() {
        kinds.push(Kind::ItemsFailed);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::super::seen::ItemsSeen;
    use super::*;

    fn task(status: &str) -> TaskSeen {
        TaskSeen { name: "t".into(), status: status.into(), ..TaskSeen::default() }
    }

    fn at(status: &str, attempt: u32) -> TaskSeen {
        TaskSeen { attempt: Some(attempt), ..task(status) }
    }

    #[test]
    fn changes_of_a_task() {
        use Kind::{Again, AttemptFailed, Ended, Held, ItemsFailed, Started, Waits};
        let retry = |number| TaskSeen { retry_at: Some("later".into()), ..at("PENDING", number) };
        let held = TaskSeen { held_until: Some("later".into()), ..at("PENDING", 3) };
        let waits = TaskSeen { waiting_reason: Some("waits for an approval".into()), ..task("RUNNING") };
        let items = |failed| TaskSeen {
            items: Some(ItemsSeen { total: 9, failed, ..ItemsSeen::default() }),
            waiting_reason: Some("2 of 9 items have ended".into()),
            ..task("RUNNING")
        };
        let cases: Vec<(TaskSeen, TaskSeen, Vec<Kind>)> = vec![
            (task("PENDING"), task("PENDING"), vec![]),
            (task("PENDING"), at("SUBMITTED", 1), vec![]),
            (at("SUBMITTED", 1), at("RUNNING", 1), vec![Started]),
            (at("RUNNING", 1), at("RUNNING", 1), vec![]),
            (task("PENDING"), at("SUCCESS", 1), vec![Ended(TaskStatus::Success)]),
            (at("RUNNING", 1), retry(2), vec![AttemptFailed { number: 1 }]),
            (retry(2), at("RUNNING", 2), vec![Started]),
            (at("RUNNING", 1), at("RUNNING", 2), vec![AttemptFailed { number: 1 }, Started]),
            (task("PENDING"), at("SUCCESS", 3), vec![AttemptFailed { number: 2 }, Ended(TaskStatus::Success)]),
            (at("RUNNING", 2), held.clone(), vec![Held]),
            (held.clone(), at("FAILED", 2), vec![Ended(TaskStatus::Failed)]),
            (held, at("RUNNING", 3), vec![Started]),
            (at("RUNNING", 1), at("PENDING", 1), vec![Again]),
            (task("PENDING"), waits.clone(), vec![Waits]),
            (waits.clone(), waits.clone(), vec![]),
            (at("RUNNING", 1), waits, vec![Waits]),
            (task("PENDING"), items(0), vec![Started]),
            (items(0), items(0), vec![]),
            (items(1), items(3), vec![ItemsFailed]),
            (task("SUCCESS"), task("FAILED"), vec![]),
            (task("RUNNING"), task("DREAMING"), vec![]),
        ];
        for (old, new, kinds) in cases {
            assert_eq!(between(&old, &new), kinds, "{old:?} → {new:?}");
        }
    }
}
