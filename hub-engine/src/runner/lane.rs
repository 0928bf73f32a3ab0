//! A lane: one Python process and the queue of tasks that it runs one after another.
//!
//! Short tasks are passed to the process before the running one has ended, so that the process does not wait for the
//! worker between two tasks. If the running task takes long, is interrupted, or ends the process, the queued tasks are
//! withdrawn. They are reported as [`NoOutcome::NotBegun`] and run elsewhere.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::pace::Paces;
use super::protocol::{self, ChildAnswer, Keys};
use super::python_process::{ProcessEnd, PythonProcess};
use super::{Interruption, NoOutcome, RunControl, TaskReport, TaskRequest};

/// Maximum time a task may block the tasks behind it before they are taken back.
const MAXIMUM_BLOCKING: Duration = Duration::from_millis(20);
/// Maximum time a process may take to confirm the withdrawal of queued tasks before it is ended.
const WITHDRAWAL_TIMEOUT: Duration = Duration::from_millis(200);

/// A handle to a lane.
#[derive(Debug)]
pub(super) struct Lane {
    orders: mpsc::UnboundedSender<Order>,
    /// Number of tasks in the lane.
    load: Arc<AtomicUsize>,
    /// Total number of tasks so far.
    pub(super) given: u64,
    keys: Keys,
}

/// A command for a lane.
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
    control: RunControl,
    report: oneshot::Sender<TaskReport>,
    /// Why it is ended early.
    interruption: Option<Interruption>,
    /// Whether its withdrawal was requested.
    withdrawn: bool,
}

/// A task in the queue of a lane.
#[derive(Debug)]
pub(super) struct QueuedTask {
    key: u64,
    orders: mpsc::UnboundedSender<Order>,
    /// Without an answer, the process ended before it received the task.
    pub(super) report: oneshot::Receiver<TaskReport>,
}

impl Lane {
    /// Creates a lane for this process, and the future that serves it.
    pub(super) fn new(python: PythonProcess, paces: Arc<Paces>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (orders, from_orders) = mpsc::unbounded_channel();
        let load = Arc::new(AtomicUsize::new(0));
        let tasks = VecDeque::new();
        let work = Work { python, tasks, load: Arc::clone(&load), paces, since: Instant::now(), ending: None };
        (Self { orders, load, given: 0, keys: Keys::default() }, work.run(from_orders))
    }

    /// Whether its process is alive, as far as known.
    pub(super) fn is_open(&self) -> bool {
        !self.orders.is_closed()
    }

    /// Number of tasks in the lane.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Appends a task to the queue.
    pub(super) fn give(&mut self, request: &TaskRequest, control: RunControl) -> QueuedTask {
        self.given += 1;
        let (report, reported) = oneshot::channel();
        let key = self.keys.make();
        let (module, message) = (Arc::clone(&request.task_name), protocol::run(key, request, false));
        let task = Task { key, module, message, control, report, interruption: None, withdrawn: false };
        self.load.fetch_add(1, Ordering::Relaxed);
        let _ = self.orders.send(Order::Run(task));
        QueuedTask { key, orders: self.orders.clone(), report: reported }
    }
}

impl QueuedTask {
    /// Stops the task.
    pub(super) fn stop(&self) {
        let _ = self.orders.send(Order::Stop(self.key));
    }
}

/// The state of the future that serves a process.
struct Work {
    python: PythonProcess,
    /// The queue. The first task is running.
    tasks: VecDeque<Task>,
    load: Arc<AtomicUsize>,
    paces: Arc<Paces>,
    /// The latest time at which the first task started.
    since: Instant,
    /// When the process is ended, even if withdrawals are not confirmed.
    ending: Option<Instant>,
}

/// The end of a lane.
enum End {
    /// It accepts no further tasks, and all its tasks have ended.
    Retired,
    /// Its process died, or is killed because of invalid output.
    Died(ProcessEnd),
    /// Its process must not run another task.
    Unusable,
    /// The running task is interrupted.
    Interrupted,
}

impl Work {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let end = self.serve(&mut orders).await;
        orders.close();
        // Tasks that came too late have not started.
        while let Ok(order) = orders.try_recv() {
            if let Order::Run(task) = order {
                self.tasks.push_back(task);
            }
        }
        let Self { python, mut tasks, load, .. } = self;
        load.store(0, Ordering::Relaxed);
        let first = match end {
            End::Retired => return python.end().await,
            End::Died(end) => python.end_report(end).await,
            End::Unusable => TaskReport::without(NoOutcome::NotBegun),
            End::Interrupted => interrupt(python, tasks.front()).await,
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
            if self.ending.is_some_and(|due| self.has_single_task() || due <= Instant::now()) {
                return End::Interrupted;
            }
            let due = self.due();
            tokio::select! {
                biased;
                order = orders.recv(), if !retired => {
                    retired = order.is_none();
                    // Requests that arrived together are written together.
                    let mut next = order;
                    while let Some(order) = next {
                        if let Err(end) = self.handle_order(order) {
                            return end;
                        }
                        next = orders.try_recv().ok();
                    }
                }
                answers = self.python.receive() => match answers {
                    Ok(answers) => {
                        for answer in answers {
                            if let Err(end) = self.handle_answer(answer) {
                                return end;
                            }
                        }
                        self.check_limit();
                    }
                    Err(end) => return End::Died(end),
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.withdraw();
                    self.check_limit();
                }
            }
        }
    }

    /// Whether the process has exactly one task, which it is running.
    fn has_single_task(&self) -> bool {
        self.tasks.len() == 1 && self.tasks.front().is_some_and(|first| !first.withdrawn)
    }

    /// When the next timed action is due.
    fn due(&self) -> Option<Instant> {
        let waits = self.tasks.iter().skip(1).any(|task| !task.withdrawn);
        let withdrawal = waits.then(|| self.since + MAXIMUM_BLOCKING);
        let limit = self.tasks.front().and_then(|first| first.control.next_limit(self.since)).map(|(due, _)| due);
        self.ending.or_else(|| withdrawal.into_iter().chain(limit).min())
    }

    /// Interrupts the running task if it has exceeded a time limit. Called when no answer is waiting, so that a task that
    /// ended in time is not interrupted after a pause of this program.
    fn check_limit(&mut self) {
        if let Some(interruption) = self.tasks.front().and_then(|first| first.control.interruption(self.since)) {
            self.interrupt_first(interruption);
        }
    }

    fn handle_order(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Run(task) => {
                if self.tasks.is_empty() {
                    // A process that ended while it had nothing to do takes no task with it.
                    if self.python.has_died() {
                        self.tasks.push_back(task);
                        return Err(End::Unusable);
                    }
                    self.since = Instant::now();
                }
                self.python.send_request(task.key, &task.message);
                self.tasks.push_back(Task { message: Vec::new(), ..task });
            }
            Order::Stop(key) => {
                let Some(at) = self.tasks.iter().position(|task| task.key == key) else { return Ok(()) };
                if at == 0 {
                    self.interrupt_first(Interruption::Stopped);
                } else {
                    let task = &mut self.tasks[at];
                    task.interruption = Some(Interruption::Stopped);
                    task.withdrawn = true;
                    self.python.send(&protocol::withdraw(key));
                }
            }
        }
        Ok(())
    }

    fn handle_answer(&mut self, answer: ChildAnswer) -> Result<(), End> {
        let found = self.tasks.iter().position(|task| task.key == answer.key);
        let Some((at, task)) = found.and_then(|at| Some((at, self.tasks.get(at)?))) else { return Ok(()) };
        // Only the running task may answer, and only requested withdrawals may be confirmed. Any other answer is forged
        // by a task. Withdrawn tasks before it are skipped, because the process may start the next task before it
        // confirms a withdrawal.
        let is_due = if answer.is_dropped() {
            task.withdrawn
        } else {
            self.tasks.iter().take(at).all(|before| before.withdrawn)
        };
        if !is_due {
            return Err(End::Died(ProcessEnd::Invalid("answered for a task that it did not run".to_owned())));
        }
        if answer.is_progress() {
            answer.note_progress(&task.control);
            return Ok(());
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
            return Err(End::Unusable);
        }
        if at == 0
            && let Some(interruption) = self.tasks.front().and_then(|first| first.interruption)
        {
            self.interrupt_first(interruption);
        }
        Ok(())
    }

    /// Ends the process together with its running task, after the queued tasks are withdrawn.
    fn interrupt_first(&mut self, interruption: Interruption) {
        let Some(first) = self.tasks.front_mut() else { return };
        first.interruption.get_or_insert(interruption);
        self.ending.get_or_insert_with(|| Instant::now() + WITHDRAWAL_TIMEOUT);
        self.withdraw();
    }

    /// Requests the withdrawal of the queued tasks.
    fn withdraw(&mut self) {
        for task in self.tasks.iter_mut().skip(1).filter(|task| !task.withdrawn) {
            task.withdrawn = true;
            self.python.send(&protocol::withdraw(task.key));
        }
    }
}

impl Task {
    fn answer(self, report: TaskReport) {
        let report = match self.interruption {
            Some(interruption) => interruption.apply(report),
            None => report,
        };
        let _ = self.report.send(report);
    }
}

/// Ends a process together with the task that it is running.
async fn interrupt(python: PythonProcess, first: Option<&Task>) -> TaskReport {
    let Some(Task { key, control, interruption: Some(interruption), .. }) = first else {
        python.kill().await;
        return TaskReport::without(NoOutcome::NotBegun);
    };
    python.interrupt(*key, control, control.kill_time(*interruption)).await
}
