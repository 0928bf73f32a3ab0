//! Decides from the ends of its upstream tasks whether a task runs.
//!
//! A decision is a function of the final states and does not depend on their order. It is made as soon as no further
//! end can change it.

use crate::TaskStatus;
use crate::job::TriggerRule;

/// What follows for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The task waits for the end of another upstream task.
    Wait,
    /// The task runs.
    Run,
    /// The task is skipped.
    Skip,
    /// The task ends because an upstream task failed.
    UpstreamFailed,
}

/// The ends of the upstream tasks: the number of open ones, and the ways in which others have ended.
///
/// Rules ask whether no task, any task or all tasks ended in a way, which follows from that. The value takes four
/// bytes, because a job can have a million tasks. The upper three bits are the ways, and the other bits count open
/// tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Upstream(u32);

const SUCCEEDED: u32 = 1 << 31;
const FAILED: u32 = 1 << 30;
const SKIPPED: u32 = 1 << 29;
const OPEN: u32 = SKIPPED - 1;

impl Upstream {
    /// Creates the state for this number of open upstream tasks.
    ///
    /// # Panics
    /// If there are more than 2²⁹ - 1 tasks, which no job has.
    pub(super) fn of(tasks: usize) -> Self {
        let open = u32::try_from(tasks).ok().filter(|open| *open <= OPEN);
        Self(open.expect("a job has fewer tasks"))
    }

    /// Counts the end of an upstream task.
    ///
    /// # Panics
    /// If no task was open or the status is not final, which is a bug of the machine.
    pub(super) fn count(&mut self, status: TaskStatus) {
        assert!(self.open() > 0, "an upstream task ended twice");
        let way = match status {
            TaskStatus::Success => SUCCEEDED,
            TaskStatus::Failed | TaskStatus::UpstreamFailed | TaskStatus::Cancelled => FAILED,
            TaskStatus::Skipped => SKIPPED,
            TaskStatus::Pending | TaskStatus::Submitted | TaskStatus::Running => {
                panic!("{status} is not a final status")
            }
        };
        self.0 = (self.0 - 1) | way;
    }

    /// Applies a rule. A rule that runs early may say `Run` again when more upstream tasks have ended.
    pub(super) const fn decide(self, rule: TriggerRule) -> Decision {
        let (succeeded, failed, skipped) = (self.any(SUCCEEDED), self.any(FAILED), self.any(SKIPPED));
        let all_ended = self.open() == 0;
        // What becomes of a task that could have run after successes.
        let otherwise = if failed { Decision::UpstreamFailed } else { Decision::Skip };
        match rule {
            TriggerRule::AllSuccess | TriggerRule::NoneFailed | TriggerRule::NoneFailedMinOneSuccess if failed => {
                otherwise
            }
            TriggerRule::AllFailed if succeeded || skipped => Decision::Skip,
            TriggerRule::AllSkipped if succeeded || failed => Decision::Skip,
            TriggerRule::NoneSkipped if skipped => Decision::Skip,
            TriggerRule::OneSuccess if succeeded => Decision::Run,
            TriggerRule::OneFailed if failed => Decision::Run,
            TriggerRule::OneDone if succeeded || failed => Decision::Run,
            TriggerRule::Always => Decision::Run,
            _ if !all_ended => Decision::Wait,
            TriggerRule::AllSuccess if skipped => Decision::Skip,
            TriggerRule::AllDoneMinOneSuccess | TriggerRule::NoneFailedMinOneSuccess if !succeeded => otherwise,
            TriggerRule::OneSuccess => otherwise,
            TriggerRule::OneFailed | TriggerRule::OneDone => Decision::Skip,
            TriggerRule::AllSuccess
            | TriggerRule::AllDone
            | TriggerRule::AllDoneMinOneSuccess
            | TriggerRule::NoneFailed
            | TriggerRule::NoneFailedMinOneSuccess
            | TriggerRule::AllFailed
            | TriggerRule::AllSkipped
            | TriggerRule::NoneSkipped => Decision::Run,
        }
    }

    const fn open(self) -> u32 {
        self.0 & OPEN
    }

    /// Whether any task has ended in this way.
    const fn any(self, way: u32) -> bool {
        self.0 & way != 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const ENDS: [TaskStatus; 5] = [
        TaskStatus::Success,
        TaskStatus::Failed,
        TaskStatus::UpstreamFailed,
        TaskStatus::Cancelled,
        TaskStatus::Skipped,
    ];

    /// The table of the rules, by counts, for tasks that have all ended.
    fn expected(rule: TriggerRule, ends: &[TaskStatus]) -> Decision {
        let count = |status: TaskStatus| ends.iter().filter(|end| **end == status).count();
        let (n, s, k) = (ends.len(), count(TaskStatus::Success), count(TaskStatus::Skipped));
        let f = n - s - k;
        let e = if f > 0 { Decision::UpstreamFailed } else { Decision::Skip };
        let (runs, otherwise) = match rule {
            TriggerRule::AllSuccess => (s == n, e),
            TriggerRule::AllDone | TriggerRule::Always => (true, e),
            TriggerRule::AllDoneMinOneSuccess | TriggerRule::OneSuccess => (s >= 1, e),
            TriggerRule::NoneFailed => (f == 0, e),
            TriggerRule::NoneFailedMinOneSuccess => (f == 0 && s >= 1, e),
            TriggerRule::AllFailed => (f == n, Decision::Skip),
            TriggerRule::AllSkipped => (k == n, Decision::Skip),
            TriggerRule::NoneSkipped => (k == 0, Decision::Skip),
            TriggerRule::OneFailed => (f >= 1, Decision::Skip),
            TriggerRule::OneDone => (s + f >= 1, Decision::Skip),
        };
        if runs { Decision::Run } else { otherwise }
    }

    /// All lists of ends of this length.
    fn lists(length: usize) -> Vec<Vec<TaskStatus>> {
        let mut lists = vec![Vec::new()];
        for _ in 0..length {
            let longer = |list: Vec<TaskStatus>| ENDS.map(|end| [list.as_slice(), &[end]].concat());
            lists = lists.into_iter().flat_map(longer).collect();
        }
        lists
    }

    #[test]
    fn every_multiset_of_ends_decides_the_same_in_every_order() {
        for (rule, ends) in
            TriggerRule::ALL.into_iter().flat_map(|rule| (0..6).flat_map(lists).map(move |it| (rule, it)))
        {
            if ends.is_empty() && rule.needs_upstream() {
                continue;
            }
            let mut upstream = Upstream::of(ends.len());
            let mut decisions = vec![upstream.decide(rule)];
            for end in &ends {
                upstream.count(*end);
                decisions.push(upstream.decide(rule));
            }
            let made: Vec<Decision> = decisions.into_iter().skip_while(|made| *made == Decision::Wait).collect();
            let expected = expected(rule, &ends);
            assert!(!made.is_empty() && made.iter().all(|made| *made == expected), "{rule:?} {ends:?}: {made:?}");
        }
    }

    #[test]
    fn a_decision_is_made_as_soon_as_no_end_can_change_it() {
        for rule in TriggerRule::ALL {
            // By the tasks that have ended: what the possible ends of the others decide.
            let mut open: BTreeMap<Vec<usize>, Vec<Decision>> = BTreeMap::new();
            for ends in lists(4) {
                let decision = expected(rule, &ends);
                let number = |end: &TaskStatus| ENDS.iter().position(|known| known == end).unwrap();
                for known in 0..=ends.len() {
                    open.entry(ends[..known].iter().map(number).collect()).or_default().push(decision);
                }
            }
            for (known, possible) in open {
                let mut upstream = Upstream::of(4);
                known.iter().for_each(|end| upstream.count(ENDS[*end]));
                // A rule that waits for all upstream tasks does so even if it will be met however they end.
                let may_run = rule.runs_early() || known.len() == 4;
                let is_sure = possible.iter().all(|decision| *decision == possible[0])
                    && (may_run || possible[0] != Decision::Run);
                let expected = if is_sure { possible[0] } else { Decision::Wait };
                assert_eq!(upstream.decide(rule), expected, "{rule:?} {known:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "ended twice")]
    fn an_upstream_task_ending_twice_is_a_bug() {
        let mut upstream = Upstream::of(1);
        upstream.count(TaskStatus::Success);
        upstream.count(TaskStatus::Success);
    }
}
