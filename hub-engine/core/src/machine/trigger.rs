//! Whether a task runs, as it follows from how its upstream tasks ended.
//!
//! A decision is a function of the final states: it does not depend on their order, and it is made as soon as no further
//! end could change it.

use crate::TaskStatus;

/// When a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// After all upstream tasks have succeeded.
    AllSuccess,
    /// After all upstream tasks have ended. Only tests have it as yet.
    #[cfg(test)]
    AllDone,
}

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The end of another upstream task is needed.
    Wait,
    /// It runs.
    Run,
    /// It ends as skipped.
    Skip,
    /// It ends, since an upstream task failed.
    UpstreamFailed,
}

/// How the upstream tasks of a task stand: how many have not ended, and in which ways others have.
///
/// Rules ask whether none, any or all ended in a way, which follows from that. It takes four bytes, since a job can have a
/// million tasks: the upper three bits are the ways, the others count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Upstream(u32);

const SUCCEEDED: u32 = 1 << 31;
const FAILED: u32 = 1 << 30;
const SKIPPED: u32 = 1 << 29;
const OPEN: u32 = SKIPPED - 1;

impl Upstream {
    /// This number of upstream tasks, none of which has ended.
    ///
    /// # Panics
    /// Where there are more than 2²⁹ - 1: no job has as many tasks.
    pub(super) fn of(tasks: usize) -> Self {
        let open = u32::try_from(tasks).ok().filter(|open| *open <= OPEN);
        Self(open.expect("a job has fewer tasks"))
    }

    /// One more of them has ended like this.
    ///
    /// # Panics
    /// Where none was open, or the status is none of an ended task: that is a bug of the machine's.
    pub(super) fn count(&mut self, status: TaskStatus) {
        assert!(self.open() > 0, "an upstream task ended twice");
        let way = match status {
            TaskStatus::Success => SUCCEEDED,
            TaskStatus::Failed | TaskStatus::UpstreamFailed | TaskStatus::Cancelled => FAILED,
            TaskStatus::Skipped => SKIPPED,
            TaskStatus::Pending | TaskStatus::Submitted | TaskStatus::Running => panic!("{status} is no end"),
        };
        self.0 = (self.0 - 1) | way;
    }

    /// What follows by this rule.
    pub(super) const fn decide(self, rule: Rule) -> Decision {
        match rule {
            Rule::AllSuccess if self.any(FAILED) => Decision::UpstreamFailed,
            Rule::AllSuccess if self.open() > 0 => Decision::Wait,
            Rule::AllSuccess if self.any(SKIPPED) => Decision::Skip,
            Rule::AllSuccess => Decision::Run,
            #[cfg(test)]
            Rule::AllDone if self.open() > 0 => Decision::Wait,
            #[cfg(test)]
            Rule::AllDone => Decision::Run,
        }
    }

    const fn open(self) -> u32 {
        self.0 & OPEN
    }

    /// Whether any has ended in this way.
    const fn any(self, way: u32) -> bool {
        self.0 & way != 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const RULES: [Rule; 2] = [Rule::AllSuccess, Rule::AllDone];

    const ENDS: [TaskStatus; 5] = [
        TaskStatus::Success,
        TaskStatus::Failed,
        TaskStatus::UpstreamFailed,
        TaskStatus::Cancelled,
        TaskStatus::Skipped,
    ];

    /// The table of the rules, by counts.
    fn expected(rule: Rule, ends: &[TaskStatus]) -> Decision {
        let count = |status: TaskStatus| ends.iter().filter(|end| **end == status).count();
        let (succeeded, skipped) = (count(TaskStatus::Success), count(TaskStatus::Skipped));
        let failed = ends.len() - succeeded - skipped;
        let otherwise = if failed > 0 { Decision::UpstreamFailed } else { Decision::Skip };
        match rule {
            Rule::AllSuccess if succeeded == ends.len() => Decision::Run,
            Rule::AllSuccess => otherwise,
            Rule::AllDone => Decision::Run,
        }
    }

    /// Every list of ends of this length.
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
        for (ends, rule) in (0..6).flat_map(lists).flat_map(|ends| RULES.map(|rule| (ends.clone(), rule))) {
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
        // By the tasks that have ended: what the possible ends of the others decide.
        let mut open: BTreeMap<Vec<usize>, Vec<Decision>> = BTreeMap::new();
        for ends in lists(4) {
            let decision = expected(Rule::AllSuccess, &ends);
            let number = |end: &TaskStatus| ENDS.iter().position(|known| known == end).unwrap();
            for known in 0..=ends.len() {
                open.entry(ends[..known].iter().map(number).collect()).or_default().push(decision);
            }
        }
        for (known, possible) in open {
            let mut upstream = Upstream::of(4);
            known.iter().for_each(|end| upstream.count(ENDS[*end]));
            let is_sure = possible.iter().all(|decision| *decision == possible[0]);
            let expected = if is_sure { possible[0] } else { Decision::Wait };
            assert_eq!(upstream.decide(Rule::AllSuccess), expected, "{known:?}");
        }
    }

    #[test]
    #[should_panic(expected = "ended twice")]
    fn no_upstream_task_ends_twice() {
        let mut upstream = Upstream::of(1);
        upstream.count(TaskStatus::Success);
        upstream.count(TaskStatus::Success);
    }
}
