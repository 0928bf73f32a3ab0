//! One Python process and the tasks that it runs one after the other.
//!
//! Short tasks are handed over before the one at work has ended, so that the process never waits for the worker
//! between two of them. Such a task has not begun: where the one before it takes its time after all, is stopped,
//! or takes the process with it, the tasks behind it come back as [`NoOutcome::NotBegun`] and are run elsewhere.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::conversation::{Conversation, EndOfAnswers};
use super::pace::Paces;
use super::protocol::{self, ChildAnswer, Keys};
use super::{NoOutcome, TaskReport};

/// Maximum time a task may block the tasks behind it before they are taken back.
const PATIENCE: Duration = Duration::from_millis(20);
/// Maximum time a process may take to give back tasks that it has not begun, before it is ended without them.
const GIVING_BACK: Duration = Duration::from_millis(200);

/// The way to a process.
#[derive(Debug)]
pub(super) struct Lane {
    orders: mpsc::UnboundedSender<Order>,
    /// How many tasks it has.
    load: Arc<AtomicUsize>,
    /// How many it was ever given.
    pub(super) given: u64,
    keys: Keys,
}

/// What is asked of a lane.
#[derive(Debug)]
enum Order {
    Run(Task),
    Stop(u64),
}

/// A task of a lane.
#[derive(Debug)]
struct Task {
    key: u64,
    module: Arc<str>,
    message: Vec<u8>,
    report: oneshot::Sender<TaskReport>,
    /// It is not wanted any more.
    stopping: bool,
    /// The process was asked to give it back, if it has not begun.
    withdrawn: bool,
}

/// A task that a lane was given.
#[derive(Debug)]
pub(super) struct Given {
    key: u64,
    orders: mpsc::UnboundedSender<Order>,
    /// Without an answer the process had ended before it got the task.
    pub(super) report: oneshot::Receiver<TaskReport>,
}

impl Lane {
    /// A lane for this process, and what keeps it at work.
    pub(super) fn new(talk: Conversation, paces: Arc<Paces>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (orders, from_orders) = mpsc::unbounded_channel();
        let load = Arc::new(AtomicUsize::new(0));
        let tasks = VecDeque::new();
        let work = Work { talk, tasks, load: Arc::clone(&load), paces, since: Instant::now(), ending: None };
        (Self { orders, load, given: 0, keys: Keys::default() }, work.run(from_orders))
    }

    /// Whether its process lives, as far as known.
    pub(super) fn is_open(&self) -> bool {
        !self.orders.is_closed()
    }

    /// How many tasks it has.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Gives it a task, to be run after those that it has.
    pub(super) fn give(&mut self, module: Arc<str>, message: impl FnOnce(u64) -> Vec<u8>) -> Given {
        self.given += 1;
        let (report, reported) = oneshot::channel();
        let key = self.keys.make();
        let task = Task { key, module, message: message(key), report, stopping: false, withdrawn: false };
        self.load.fetch_add(1, Ordering::Relaxed);
        let _ = self.orders.send(Order::Run(task));
        Given { key, orders: self.orders.clone(), report: reported }
    }
}

impl Given {
    /// It is not wanted any more.
    pub(super) fn stop(&self) {
        let _ = self.orders.send(Order::Stop(self.key));
    }
}

/// What keeps a process at work.
struct Work {
    talk: Conversation,
    /// The first one runs.
    tasks: VecDeque<Task>,
    load: Arc<AtomicUsize>,
    paces: Arc<Paces>,
    /// When the first one began, at the latest.
    since: Instant,
    /// When the process is ended, whatever it has not given back.
    ending: Option<Instant>,
}

/// How a lane ends.
enum End {
    /// It is given no further tasks, and has run all that it had.
    Retired,
    /// Its process died, or is ended for what it did.
    Died(EndOfAnswers),
    /// Its process must not be given another task.
    Spent,
    /// The task that it ran was not wanted any more.
    Stopped,
}

impl Work {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let end = self.serve(&mut orders).await;
        orders.close();
        // Whatever was given too late has not begun.
        while let Ok(order) = orders.try_recv() {
            if let Order::Run(task) = order {
                self.tasks.push_back(task);
            }
        }
        let Self { talk, mut tasks, load, .. } = self;
        load.store(0, Ordering::Relaxed);
        let first = match end {
            End::Retired => return talk.end().await,
            End::Died(end) => talk.end_report(end).await,
            End::Spent => TaskReport::without(NoOutcome::NotBegun),
            End::Stopped => TaskReport { log: talk.stop().await, ..TaskReport::without(NoOutcome::Cancelled) },
        };
        if let Some(task) = tasks.pop_front() {
            task.answer(first);
        }
        tasks.into_iter().for_each(|task| task.answer(TaskReport::without(NoOutcome::NotBegun)));
    }

    async fn serve(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> End {
        let mut retired = false;
        loop {
            if retired && self.tasks.is_empty() {
                return End::Retired;
            }
            if self.ending.is_some_and(|due| self.stands_alone() || due <= Instant::now()) {
                return End::Stopped;
            }
            let due = self.due();
            tokio::select! {
                biased;
                order = orders.recv(), if !retired => {
                    match order {
                        Some(order) => self.handle_order(order),
                        None => retired = true,
                    }
                    // What has come together goes out together.
                    while let Ok(order) = orders.try_recv() {
                        self.handle_order(order);
                    }
                }
                answers = self.talk.listen() => match answers {
                    Ok(answers) => {
                        for answer in answers {
                            if let Err(end) = self.handle_answer(answer) {
                                return end;
                            }
                        }
                    }
                    Err(end) => return End::Died(end),
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.withdraw(),
            }
        }
    }

    /// Whether the process has one task, and has begun it.
    fn stands_alone(&self) -> bool {
        self.tasks.len() == 1 && self.tasks.front().is_some_and(|first| !first.withdrawn)
    }

    /// When the next timed action is due.
    fn due(&self) -> Option<Instant> {
        let waits = self.tasks.iter().skip(1).any(|task| !task.withdrawn);
        self.ending.or_else(|| waits.then(|| self.since + PATIENCE))
    }

    fn handle_order(&mut self, order: Order) {
        match order {
            Order::Run(task) => {
                if self.tasks.is_empty() {
                    self.since = Instant::now();
                }
                self.talk.ask(task.key, &task.message);
                self.tasks.push_back(Task { message: Vec::new(), ..task });
            }
            Order::Stop(key) => {
                let Some(at) = self.tasks.iter().position(|task| task.key == key) else { return };
                let task = &mut self.tasks[at];
                task.stopping = true;
                if at == 0 {
                    self.stop_first();
                } else {
                    task.withdrawn = true;
                    self.talk.say(&protocol::drop_unbegun(key));
                }
            }
        }
    }

    fn handle_answer(&mut self, answer: ChildAnswer) -> Result<(), End> {
        let found = self.tasks.iter().position(|task| task.key == answer.key);
        let Some((at, task)) = found.and_then(|at| Some((at, self.tasks.get(at)?))) else { return Ok(()) };
        // Only the first one runs, and only what was asked for comes back: anything else is a task that speaks for another.
        // One that was given back is not waited for: its process may have begun the next one before it says so.
        let is_due = if answer.is_dropped() {
            task.withdrawn
        } else {
            self.tasks.iter().take(at).all(|before| before.withdrawn)
        };
        if !is_due {
            return Err(End::Died(EndOfAnswers::Invalid("answered for a task that it did not run".to_owned())));
        }
        let Some(task) = self.tasks.remove(at) else { return Ok(()) };
        self.load.fetch_sub(1, Ordering::Relaxed);
        let took = answer.took();
        if at == 0 {
            self.since = Instant::now();
            self.ending = None;
        }
        if let Some(took) = took {
            self.paces.note(&task.module, took);
        }
        let is_last = answer.is_last();
        task.answer(answer.report());
        if is_last {
            return Err(End::Spent);
        }
        if at == 0 && self.tasks.front().is_some_and(|first| first.stopping) {
            self.stop_first();
        }
        Ok(())
    }

    /// The process must end with the task that it runs; the tasks behind it are saved before.
    fn stop_first(&mut self) {
        self.ending = Some(Instant::now() + GIVING_BACK);
        self.withdraw();
    }

    /// Takes back what has not begun.
    fn withdraw(&mut self) {
        for task in self.tasks.iter_mut().skip(1).filter(|task| !task.withdrawn) {
            task.withdrawn = true;
            self.talk.say(&protocol::drop_unbegun(task.key));
        }
    }
}

impl Task {
    fn answer(self, report: TaskReport) {
        let outcome = if self.stopping { Err(NoOutcome::Cancelled) } else { report.outcome };
        let report = TaskReport { outcome, ..report };
        let _ = self.report.send(report);
    }
}
