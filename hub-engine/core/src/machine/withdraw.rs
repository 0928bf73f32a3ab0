//! The one way of a task out of where it is.

use super::Machine;
use super::flights::Flights;
use super::live::LiveJob;
use super::place::Place;
use super::pool::Pools;
use super::timers::{Timer, Timers};
use super::workers::Workers;
use crate::JobId;

impl Machine {
    /// Takes a task out of wherever it is: see [`withdraw`].
    pub(super) fn withdraw(&mut self, id: JobId, index: u32) -> Place {
        withdraw(self.jobs.job_mut(id), index, &mut self.pools, &mut self.workers, &mut self.timers, &mut self.flights)
    }
}

/// Takes a task out of wherever it is, with everything that it occupies there. It is `Blocked` from then on; the caller
/// ends it or puts it into another place. Returns where it was.
pub(super) fn withdraw(
    job: &mut LiveJob,
    index: u32,
    pools: &mut Pools,
    workers: &mut Workers,
    timers: &mut Timers<Timer>,
    flights: &mut Flights,
) -> Place {
    let (id, task) = (job.id, job.id.task(index));
    let place = std::mem::replace(&mut job.task_mut(index).place, Place::Blocked);
    let spec = job.spec(index);
    if spec.cache().is_some() {
        flights.note_left((id, index));
    }
    match place {
        Place::Blocked | Place::Items | Place::Suspended => {}
        Place::Cache => flights.stop_following((id, index)),
        Place::Queued => {
            let pool = pools.get_mut(spec.pool());
            if job.cancelled {
                // All its tasks leave the queue with the first one: a large job is cancelled over several turns, and its
                // tasks would take the turns of other jobs meanwhile.
                pool.forget(job.priority(index), id);
            } else {
                pool.take(job.priority(index), id, index);
            }
        }
        Place::Parked => pools.get_mut(spec.pool()).take_parked(&spec.need(), id, index),
        Place::Resting | Place::Held => timers.stop(Timer::Rest(id, index)),
        Place::Waiting => {
            timers.stop(Timer::Rest(id, index));
            job.unregister_wait(index);
        }
        Place::Removed => {
            timers.stop(Timer::Rest(id, index));
            pools.get_mut(spec.pool()).take_back();
        }
        Place::Window => pools.get_mut(spec.pool()).leave_window(task),
        Place::Launched | Place::SubJob => stop_attempt(job, index, timers),
        Place::Leased => {
            stop_attempt(job, index, timers);
            let worker = job.task(index).state().worker.as_ref();
            workers.release(worker.expect("a lease is a worker's"), task);
        }
        Place::Ended => panic!("{task:?} is taken out of its end"),
    }
    place
}

fn stop_attempt(job: &LiveJob, index: u32, timers: &mut Timers<Timer>) {
    if job.timeouts(index).is_some() {
        timers.stop(Timer::Attempt(job.id, index));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::testing::{NOW, handed_out, run, with_job};
    use super::super::{Outcome, Settings, WorkerReport};
    use super::*;
    use crate::state::ErrorKind;
    use crate::{JobStatus, Json};

    /// The reasons for which one task ends while its job goes on: the caller fails it where it is.
    fn end(machine: &mut Machine, id: JobId, index: u32) {
        machine.fail(id, index, ErrorKind::Posted, "not wanted".to_owned(), NOW);
    }

    fn succeed(machine: &mut Machine, task: &crate::action::Assignment) {
        run(machine, task, Outcome::Success { data: Json::null() });
    }

    /// A worker of the default pool with these modules.
    fn worker(machine: &mut Machine, modules: &[&str]) {
        let report = WorkerReport {
            progress: Vec::new(),
            contents: [].into(),
            defaults: [].into(),
            id: "w1".into(),
            host: "here".into(),
            pid: 1,
            pools: vec!["default".into()],
            slots: 1,
            running: 0,
            tasks: modules.iter().map(|module| ((*module).into(), None)).collect(),
            broken: [].into(),
            allow: crate::TaskKinds::default(),
            shortage: None,
            held: Vec::new(),
            present: Vec::new(),
        };
        machine.handle_heartbeat(report, NOW);
    }

    #[test]
    fn a_queued_task_ends_and_the_others_are_handed_out_in_their_order() {
        let settings = Settings { window_floor: 1, ..Settings::default() };
        let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"},
            {"name": "behind", "depends": ["c"]}]}"#;
        let (mut machine, id) = with_job(settings, text);
        let mut out = handed_out(&mut machine);
        end(&mut machine, id, 2);
        assert_eq!(machine.stats().ready, 2);
        let mut names = Vec::new();
        while let Some(task) = out.pop() {
            names.push(task.name.to_string());
            succeed(&mut machine, &task);
            out = handed_out(&mut machine);
        }
        assert_eq!(names, ["a", "b", "d"]);
        let ended = machine.poll_ended().remove(0).into_snapshot();
        let statuses = [2, 4].map(|index: usize| ended.tasks[index].status);
        assert_eq!(statuses, [crate::TaskStatus::Failed, crate::TaskStatus::UpstreamFailed]);
        assert_eq!(ended.state.status, JobStatus::Failed);
    }

    #[test]
    fn a_parked_task_ends_and_the_others_are_handed_out_when_their_module_is_there() {
        let text = r#"{"name": "j", "tasks": [{"name": "a", "task_name": "m"}, {"name": "b", "task_name": "m"},
            {"name": "c", "task_name": "m"}]}"#;
        let (mut machine, id) = with_job(Settings::default(), text);
        worker(&mut machine, &["other"]);
        assert!(handed_out(&mut machine).is_empty());
        end(&mut machine, id, 1);
        assert_eq!(machine.stats().ready, 2);
        worker(&mut machine, &["m"]);
        let names: Vec<_> = handed_out(&mut machine).iter().map(|task| task.name.to_string()).collect();
        assert_eq!(names, ["a", "c"]);
    }

    /// Tasks of two modules and three priorities; one of the modules may be unknown.
    fn many(priorities: &[u8]) -> String {
        let tasks = priorities.iter().enumerate().map(|(at, priority)| {
            let module = if priority & 4 == 0 { "m" } else { "n" };
            serde_json::json!({"name": format!("t{at}"), "task_name": module, "priority": priority & 3})
        });
        serde_json::json!({"name": "j", "tasks": tasks.collect::<Vec<_>>()}).to_string()
    }

    proptest! {
        /// Wherever a task is: it ends, the others go on, and what the pools count is what there is.
        #[test]
        fn any_task_can_end_alone(
            priorities in proptest::collection::vec(any::<u8>(), 1..30),
            steps in proptest::collection::vec((0..4_u8, any::<prop::sample::Index>()), 0..60),
        ) {
            let settings = Settings { window_floor: 3, ..Settings::default() };
            let (mut machine, id) = with_job(settings, &many(&priorities));
            let (mut out, mut ended) = (Vec::new(), BTreeSet::new());
            for (kind, at) in steps {
                match kind {
                    0 => worker(&mut machine, if at.index(2) == 0 { &["m"] } else { &["m", "n"] }),
                    1 => out.extend(handed_out(&mut machine)),
                    2 if !out.is_empty() => {
                        let task: crate::action::Assignment = out.swap_remove(at.index(out.len()));
                        let index = task.issue.task.index_in(id).unwrap();
                        if machine.is_live(id) && ended.insert(index) {
                            succeed(&mut machine, &task);
                        }
                    }
                    _ => {
                        let index = at.index(priorities.len()) as u32;
                        if machine.is_live(id) && ended.insert(index) {
                            end(&mut machine, id, index);
                        }
                    }
                }
                prop_assert_eq!(machine.is_live(id), ended.len() < priorities.len());
                if let Some(job) = machine.jobs.find(id) {
                    let waits = |place| matches!(place, Place::Queued | Place::Parked);
                    let ready = job.tasks.iter().filter(|task| waits(task.place)).count();
                    let window = job.tasks.iter().filter(|task| task.place == Place::Window).count();
                    let stats = machine.stats();
                    prop_assert_eq!((stats.ready, stats.in_flight), (ready as u64, window as u64));
                }
            }
            // What is left is handed out once workers have all modules.
            worker(&mut machine, &["m", "n"]);
            while machine.is_live(id) {
                out.extend(handed_out(&mut machine));
                prop_assert!(!out.is_empty(), "a task is left that is not handed out");
                for task in out.drain(..) {
                    if ended.insert(task.issue.task.index_in(id).unwrap()) {
                        succeed(&mut machine, &task);
                    }
                }
            }
            prop_assert_eq!(machine.stats().ready + machine.stats().in_flight, 0);
        }
    }
}
