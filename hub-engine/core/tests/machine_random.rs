//! Random jobs under random faults of workers, the broker and the dispatcher end as an independent evaluator computes.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hub_core::action::{Action, Assignment};
use hub_core::machine::{Cancel, Outcome, PostError, Posted, Published, Remark, Returned, Settings, Update, Verdict};
use hub_core::{IssueId, JobId, JobStatus, TaskId, TaskStatus};
use proptest::prelude::*;
use support::{Hub, json};

/// The outcome of running a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Succeeds,
    Fails,
    /// It is launched, and its result is posted later.
    Launched,
}

/// A job of numbers. Each task adds its own number to those of the tasks that it refers to, or fails.
#[derive(Clone, Debug)]
struct Plan {
    tasks: Vec<(u64, Vec<usize>, Fate)>,
}

impl Plan {
    fn text(&self) -> String {
        let tasks: Vec<serde_json::Value> = self
            .tasks
            .iter()
            .enumerate()
            .map(|(at, (own, before, _))| {
                let values: Vec<String> = before.iter().map(|task| format!("_t{task}.data")).collect();
                let mut task = serde_json::json!({"name": format!("t{at}"), "args": [own, {"of": values}]});
                if own % 3 > 0 {
                    task["priority"] = (own % 3).into();
                }
                task
            })
            .collect();
        let output: Vec<String> = (0..self.tasks.len()).map(|at| format!("_t{at}.data")).collect();
        serde_json::json!({"name": "plan", "tasks": tasks, "output": output}).to_string()
    }

    /// The result of each task. `None` if it fails or does not run.
    fn evaluate(&self) -> Vec<Option<u64>> {
        let mut values: Vec<Option<u64>> = Vec::new();
        for (own, before, fate) in &self.tasks {
            let sum = before.iter().try_fold(*own, |sum, task| Some(sum + values[*task]?));
            values.push(sum.filter(|_| *fate != Fate::Fails));
        }
        values
    }

    /// The result that a worker, or a client that posts a result, computes from these arguments.
    fn run(&self, index: usize, args: &serde_json::Value) -> u64 {
        let own = self.tasks[index].0;
        assert_eq!(args[0], own);
        own + args[1]["of"].as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).sum::<u64>()
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let fate = prop_oneof![16 => Just(Fate::Succeeds), 1 => Just(Fate::Fails), 3 => Just(Fate::Launched)];
    let task = (0..1000_u64, proptest::collection::vec(any::<prop::sample::Index>(), 0..4), fate);
    proptest::collection::vec(task, 1..25).prop_map(|drawn| {
        let tasks = drawn.into_iter().enumerate().map(|(at, (own, before, fate))| {
            let before = before.iter().filter(|_| at > 0).map(|index| index.index(at));
            let before: BTreeSet<usize> = before.collect();
            (own, before.into_iter().collect(), fate)
        });
        Plan { tasks: tasks.collect() }
    })
}

/// A machine with a broker and workers whose behaviour is random.
struct World<'a> {
    hub: Hub,
    plan: &'a Plan,
    job: JobId,
    other: JobId,
    /// Issues that a worker may still receive, and whether the broker has confirmed them.
    on_broker: Vec<(Assignment, bool)>,
    /// Arguments of launched tasks whose results have not been posted yet.
    launched: BTreeMap<TaskId, serde_json::Value>,
    /// Tasks that have ended according to the machine, and whether they succeeded.
    ended: BTreeMap<usize, bool>,
    workers: u32,
}

impl World<'_> {
    /// Executes the pending actions.
    fn look(&mut self) -> Result<(), TestCaseError> {
        for action in self.hub.actions() {
            let Action::Publish(task) = action else { continue };
            if task.job == self.job {
                let index = task.issue.task.index_in(self.job).unwrap() as usize;
                for before in &self.plan.tasks[index].1 {
                    prop_assert_eq!(self.ended.get(before), Some(&true), "t{} started before t{}", index, before);
                }
                prop_assert!(!self.ended.contains_key(&index), "t{index} is handed out again although it has ended");
            }
            self.on_broker.push((*task, false));
        }
        Ok(())
    }

    /// One event happens. `luck` decides its kind and its task.
    fn step(&mut self, luck: u16) -> Result<(), TestCaseError> {
        let (kind, luck) = (luck & 15, usize::from(luck >> 4));
        match kind {
            0 => return self.crash(luck),
            1 => return self.post_too_early(luck),
            2 if luck < 200 => {
                // The second job only competes for slots until it is cancelled.
                let _ = self.hub.machine.cancel(self.other, Cancel::default(), self.hub.now);
                return Ok(());
            }
            2 => {
                let id = if luck.is_multiple_of(2) { self.other } else { self.job };
                let priority = (luck % 5) as i32 - 2;
                let _ = self.hub.machine.set_priority(id, priority, Remark::default(), self.hub.now);
                return Ok(());
            }
            3 => {
                self.hub.machine.handle_link(false, self.hub.now);
                self.hub.pass(Duration::from_secs(3600));
                self.hub.machine.handle_link(true, self.hub.now);
                return Ok(());
            }
            _ => {}
        }
        if self.on_broker.is_empty() || (kind == 4 && !self.launched.is_empty()) {
            return self.post(luck);
        }
        let at = luck % self.on_broker.len();
        let (issue, now) = (self.on_broker[at].0.issue, self.hub.now);
        match kind {
            5 => _ = self.hub.machine.handle_returned(issue, Returned::Busy, &"w".into(), now),
            6 => self.lose_worker(issue),
            7 | 8 => {
                self.on_broker[at].1 = true;
                self.hub.machine.handle_published(issue, Published::Confirmed, now);
            }
            9 => {
                self.hub.machine.handle_returned(issue, Returned::UnknownModule, &"w".into(), now);
                let names: Vec<String> = (0..25).map(|at| format!("t{at}")).collect();
                self.hub.worker("knows", &names.iter().map(String::as_str).collect::<Vec<_>>());
            }
            _ => self.run(at, luck & 1 == 0)?,
        }
        Ok(())
    }

    /// A worker runs a task. The broker may deliver it again.
    fn run(&mut self, at: usize, again: bool) -> Result<(), TestCaseError> {
        let task = self.on_broker[at].0.clone();
        let (is_mine, index) = (task.job == self.job, task.issue.task.index_in(task.job).unwrap() as usize);
        let args: serde_json::Value = serde_json::from_str(task.args.get()).unwrap();
        let fate = if is_mine { self.plan.tasks[index].2 } else { Fate::Succeeds };
        let outcome = match fate {
            Fate::Succeeds if !is_mine => Outcome::Success { data: json("0") },
            Fate::Succeeds => Outcome::Success { data: json(&self.plan.run(index, &args).to_string()) },
            Fate::Fails => Outcome::Failed { msg: "as planned".into(), error: None },
            Fate::Launched => Outcome::Launched { data: json("\"launched\"") },
        };
        let verdict = self.hub.result(&task, outcome);
        if verdict == Verdict::Applied && is_mine {
            if fate == Fate::Launched {
                self.launched.insert(task.issue.task, args);
            } else {
                self.ended.insert(index, fate == Fate::Succeeds);
            }
        }
        if !again {
            // The delivery is acknowledged, so its effect has been stored.
            self.look()?;
            self.on_broker.remove(at);
        }
        Ok(())
    }

    /// Posts the result of a task that was launched.
    fn post(&mut self, luck: usize) -> Result<(), TestCaseError> {
        let Some(task) = self.launched.keys().copied().nth(luck % self.launched.len().max(1)) else {
            // All tasks are delayed or wait for a lease to expire, so time must pass.
            self.hub.pass(Duration::from_secs(60));
            return Ok(());
        };
        let index = task.index_in(self.job).unwrap() as usize;
        let data = self.plan.run(index, &self.launched[&task]).to_string();
        let update = Update { status: TaskStatus::Success, data: Some(json(&data)), msg: None };
        prop_assert_eq!(self.hub.machine.post_result(task, update, self.hub.now), Ok(Posted::Applied));
        self.launched.remove(&task);
        self.ended.insert(index, true);
        // The request is answered, so its effect has been stored.
        self.look()
    }

    /// Posts a result for a task that waits or has ended, which must have no effect.
    fn post_too_early(&mut self, luck: usize) -> Result<(), TestCaseError> {
        let index = luck % self.plan.tasks.len();
        let snapshot = self.hub.machine.job(self.job).unwrap();
        let status = snapshot.tasks[index].status;
        let update = Update { status: TaskStatus::Success, data: Some(json("\"wrong\"")), msg: None };
        let post =
            |world: &mut Self| world.hub.machine.post_result(world.job.task(index as u32), update, world.hub.now);
        match status {
            TaskStatus::Pending => prop_assert_eq!(post(self), Err(PostError::NotStarted)),
            status if status.is_terminal() => prop_assert_eq!(post(self), Err(PostError::AlreadyEnded)),
            _ => {}
        }
        Ok(())
    }

    /// A worker reports that the task runs, and sends no more heartbeats.
    fn lose_worker(&mut self, issue: IssueId) {
        self.workers += 1;
        let worker = format!("w{}", self.workers).as_str().into();
        self.hub.machine.handle_started(&worker, &[issue], self.hub.now);
        self.hub.pass(Duration::from_secs(if self.workers.is_multiple_of(2) { 60 } else { 1 }));
    }

    /// The dispatcher is killed. Its last input was not stored and not acknowledged, so it is delivered again. Issues
    /// that the broker had not confirmed may not have reached it.
    fn crash(&mut self, luck: usize) -> Result<(), TestCaseError> {
        self.look()?;
        if !self.on_broker.is_empty() && luck & 1 == 0 {
            let at = luck % self.on_broker.len();
            let (ended, launched) = (self.ended.clone(), self.launched.clone());
            self.run(at, true)?;
            (self.ended, self.launched) = (ended, launched);
        }
        if luck & 2 == 0 {
            self.on_broker.retain(|(_, is_confirmed)| *is_confirmed);
        }
        self.hub.crash();
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn ends_as_evaluated(
        plan in plans(),
        other in plans(),
        luck in proptest::collection::vec(any::<u16>(), 600),
    ) {
        let mut hub = Hub::with(Settings { window_floor: 3, window_factor: 0, crash_limit: 1000, ..Settings::default() });
        let job = hub.submit(1, &plan.text());
        let other = hub.submit(2, &other.text());
        let (on_broker, launched, ended) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut world = World { hub, plan: &plan, job, other, on_broker, launched, ended, workers: 0 };
        world.look()?;
        let mut luck = luck.into_iter();
        for _ in 0..20_000 {
            if !world.hub.machine.is_live(job) {
                break;
            }
            // After the random events, all issues are run, the oldest first.
            world.step(luck.next().unwrap_or(15 | 1 << 4))?;
            world.look()?;
        }
        prop_assert!(!world.hub.machine.is_live(job), "the job does not end: {:?}", world.hub.machine.job(job));
        let _ = world.hub.machine.cancel(other, Cancel::default(), world.hub.now);
        world.hub.pass(Duration::from_secs(200));
        world.look()?;

        let expected = plan.evaluate();
        let stored = world.hub.stored(job);
        for (index, value) in expected.iter().enumerate() {
            let task = &stored.tasks[index];
            let data = task.data.as_ref().and_then(|data| data.to_value().as_u64());
            prop_assert_eq!(data, *value);
            prop_assert_eq!(task.status == TaskStatus::Success, value.is_some());
        }
        let all: Option<Vec<u64>> = expected.into_iter().collect();
        prop_assert_eq!(stored.state.status == JobStatus::Success, all.is_some());
        if let Some(all) = all {
            prop_assert_eq!(stored.state.output.as_ref().unwrap().to_value(), serde_json::json!(all));
        }
        let stats = world.hub.machine.stats();
        prop_assert_eq!((stats.in_flight, stats.ready, stats.live_jobs, stats.live_tasks), (0, 0, 0, 0));
    }
}
