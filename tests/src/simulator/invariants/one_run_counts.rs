//! Only one of several runs of a task has effects: the stored value belongs to the stored issue, and all later tasks received
//! this value, except for values from outside.

use std::collections::{BTreeMap, BTreeSet};

use hub_core::action::Change;
use hub_core::state::TaskState;
use hub_core::{IssueId, TaskStatus};

use super::invariant::{Invariant, check};
use super::kept_tasks_stay::kept_from;
use super::results_are_of_successes::cached_from;
use crate::simulator::event::{Event, Run};
use crate::simulator::facts::{Fact, Facts};
use crate::simulator::leftovers::Leftovers;
use crate::simulator::note::{Note, run_of, short, short_issue};
use crate::simulator::work::runs_in;

#[derive(Default)]
pub(super) struct OneRunCounts {
    runs: BTreeMap<u64, Run>,
    /// The issue of each reported run.
    issues: BTreeMap<u64, IssueId>,
    /// Runs whose result came from outside.
    outside: BTreeSet<u64>,
}

impl OneRunCounts {
    /// The runs whose values count for a task: of its items, if it has some.
    fn all_counted(&self, fact: &Fact, task: usize) -> Result<BTreeSet<u64>, String> {
        let items = fact.items().filter(|(index, _)| fact.item(*index).is_some_and(|(of, _)| of == task));
        let runs = match fact.job.tasks()[task].for_each {
            None => vec![self.counted(fact, task as u32)?],
            Some(_) => items.map(|(index, _)| self.counted(fact, index)).collect::<Result<_, _>>()?,
        };
        Ok(runs.into_iter().flatten().map(|run| run.number).collect())
    }

    /// The run whose value counts for a task or an item.
    fn counted(&self, fact: &Fact, index: u32) -> Result<Option<&Run>, String> {
        let spec = fact.spec(index);
        if spec.wait.is_some() || spec.sub_job.is_some() {
            return Ok(None);
        }
        let state = fact.state_of(index);
        let here = kept_from(state).unwrap_or(fact.plan.id).task(index);
        let task = cached_from(state).map_or(here, |from| from.task);
        let data = state.data.as_ref().filter(|_| state.status == TaskStatus::Success);
        let Some(data) = data.map(hub_core::Json::to_value) else { return Ok(None) };
        let run = run_of(&data).and_then(|run| self.runs.get(&run)).filter(|run| run.task == task);
        run.map(Some).ok_or_else(|| format!("{} has a value that no run of it made: {data}", short(task)))
    }
}

/// The runs whose values are a part of the fallback of a task. The evaluator tells whether they count.
fn runs_in_fallback(task: &TaskState) -> Vec<u64> {
    let is_recovered = task.details.as_ref().is_some_and(|details| details.recovered);
    let fallback = task.data.as_ref().filter(|_| is_recovered);
    fallback.map(|data| runs_in(&data.to_value())).unwrap_or_default()
}

/// The runs whose values are a part of the data of a task that runs a job. The evaluator tells whether they count.
fn runs_in_output(fact: &Fact, task: usize) -> Vec<u64> {
    let data = fact.tasks[task].data.as_ref().filter(|_| fact.job.tasks()[task].sub_job.is_some());
    data.map(|data| runs_in(&data.to_value())).unwrap_or_default()
}

impl Invariant for OneRunCounts {
    fn name(&self) -> &'static str {
        "one_run_counts"
    }

    fn see(&mut self, event: &Event, _facts: &Facts) -> Result<(), String> {
        match event {
            Event::RunBegan(run) => drop(self.runs.insert(run.number, run.clone())),
            Event::Outside(run, _) => drop(self.outside.insert(*run)),
            Event::Took(_, _, Note::Results(results)) => {
                self.issues.extend(results.iter().filter_map(|(issue, run)| Some(((*run)?, *issue))));
            }
            Event::Kept(_, changes) => {
                for change in changes.iter() {
                    let Change::TaskChanged { job, index, state } = change else { continue };
                    let made_here = state.status == TaskStatus::Success
                        && kept_from(state).is_none()
                        && cached_from(state).is_none();
                    let data = state.data.as_ref().filter(|_| made_here);
                    let run = data.and_then(|data| run_of(&data.to_value()));
                    let Some(run) = run.filter(|run| !self.outside.contains(run)) else { continue };
                    let (task, made) = (job.task(*index), self.issues.get(&run));
                    check(made.copied() == state.issue.map(|issue| issue.of(task)), || {
                        let made = made.map_or_else(|| "nothing".to_owned(), short_issue);
                        format!("{} is kept as {:?} with the value of {made}", short(task), state.issue)
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, facts: &Facts, _leftovers: &Leftovers) -> Result<(), String> {
        for fact in facts.jobs() {
            let tasks = fact.job.tasks().iter().filter(|task| task.for_each.is_none());
            let tasks = tasks.map(|task| task.position as u32);
            for index in tasks.chain(fact.items().map(|(index, _)| index)) {
                let Some(run) = self.counted(fact, index)? else { continue };
                if self.outside.contains(&run.number) {
                    // A result from outside names the task alone. That of an earlier launch, which was given values
                    // that do not count any more, cannot be told from that of the latest.
                    continue;
                }
                let mut known = BTreeSet::new();
                let spec = fact.spec(index);
                // A handler may read every task of the lists before.
                let earlier = 0..fact.job.list_of(spec.position).start;
                for before in spec.upstream.iter().copied().chain(earlier) {
                    known.extend(self.all_counted(fact, before)?);
                    known.extend(runs_in_fallback(&fact.tasks[before]));
                    known.extend(runs_in_output(fact, before));
                }
                // They count in the job around it, as the evaluator tells.
                known.extend(runs_in(&fact.inputs));
                for given in runs_in(&run.args).into_iter().chain(runs_in(&run.kwargs)) {
                    check(known.contains(&given), || {
                        format!("{} was given the value of run {given}, which does not count", short(run.task))
                    })?;
                }
            }
        }
        Ok(())
    }
}
