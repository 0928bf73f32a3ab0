//! The Python process that runs all `async def` tasks concurrently. A process that must not accept further tasks
//! completes those that it has, and another process replaces it. A coroutine that is interrupted is cancelled. If it has
//! not ended in time, its process is killed, and the other coroutines of this process run again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::protocol::{self, ChildAnswer, Keys};
use super::python_process::{ProcessEnd, PythonProcess};
use super::sdk::Sdk;
use super::settings::RunnerSettings;
use super::{NoOutcome, RunControl, TaskReport, TaskRequest};

/// Minimum time that a cancelled coroutine has to end. The other coroutines of its process suffer if it is killed.
const MINIMUM_GRACE: Duration = Duration::from_millis(500);

/// Starts the process for the first coroutine, and again when it has died or must not accept further tasks.
#[derive(Debug)]
pub(super) struct Coroutines {
    settings: Arc<RunnerSettings>,
    sdk: Arc<Sdk>,
    /// The last process, if any, accepts further tasks. The others end after the tasks that they have.
    processes: Mutex<Vec<Process>>,
}

/// A handle to a process.
#[derive(Clone, Debug)]
struct Process {
    orders: mpsc::UnboundedSender<Order>,
    /// Whether it accepts no further tasks.
    is_retired: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Order {
    Run(Box<Start>),
    /// Report when the answers that the process has written are handled.
    Sync(oneshot::Sender<()>),
    Cancel(u64),
    /// Kill the process, unless this coroutine has ended. Its coroutines receive no report.
    Kill(u64),
    End,
}

/// A coroutine to run.
#[derive(Debug)]
struct Start {
    request: TaskRequest,
    control: RunControl,
    report: oneshot::Sender<TaskReport>,
    keyed: oneshot::Sender<u64>,
}

/// A coroutine that runs.
#[derive(Debug)]
struct Running {
    control: RunControl,
    report: oneshot::Sender<TaskReport>,
}

impl Coroutines {
    pub(super) fn new(settings: Arc<RunnerSettings>, sdk: Arc<Sdk>) -> Self {
        Self { settings, sdk, processes: Mutex::default() }
    }

    /// Runs a task concurrently with others.
    pub(super) async fn run(&self, request: TaskRequest, control: &RunControl) -> std::io::Result<TaskReport> {
        let ((report, mut reported), (keyed, key)) = (oneshot::channel(), oneshot::channel());
        let (orders, since) = (self.process()?, Instant::now());
        let _ = orders.send(Order::Run(Box::new(Start { request, control: control.clone(), report, keyed })));
        let interruption = loop {
            tokio::select! {
                biased;
                report = &mut reported => return Ok(received(report)),
                _ = control.interrupted(since) => {
                    // After a pause of this program, its answer or its progress may be waiting.
                    let (handled, are_handled) = oneshot::channel();
                    let _ = orders.send(Order::Sync(handled));
                    let _ = are_handled.await;
                    if let Ok(report) = reported.try_recv() {
                        return Ok(report);
                    }
                    if let Some(interruption) = control.interruption(since) {
                        break interruption;
                    }
                }
            }
        };
        let Ok(key) = key.await else { return Ok(received(reported.await)) };
        let _ = orders.send(Order::Cancel(key));
        let kill_at = control.kill_time(interruption);
        let report = tokio::select! {
            biased;
            report = &mut reported => report,
            () = kill_due(control, kill_at) => {
                let _ = orders.send(Order::Kill(key));
                reported.await
            }
        };
        // Without a report, its process was killed.
        Ok(interruption.apply(report.unwrap_or_else(|_| TaskReport::without(NoOutcome::Cancelled))))
    }

    fn process(&self) -> std::io::Result<mpsc::UnboundedSender<Order>> {
        let mut processes = self.processes();
        processes.retain(|process| !process.orders.is_closed());
        if let Some(last) = processes.last().filter(|last| !last.is_retired.load(Ordering::Relaxed)) {
            return Ok(last.orders.clone());
        }
        let python = PythonProcess::start(&self.settings, &self.sdk, true)?;
        let (orders, from_orders) = mpsc::unbounded_channel();
        let is_retired = Arc::<AtomicBool>::default();
        tokio::spawn(serve(python, from_orders, Arc::clone(&is_retired)));
        processes.push(Process { orders: orders.clone(), is_retired });
        Ok(orders)
    }

    pub(super) fn shutdown(&self) {
        for process in self.processes().drain(..) {
            let _ = process.orders.send(Order::End);
        }
    }

    fn processes(&self) -> MutexGuard<'_, Vec<Process>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The report of a coroutine that was not interrupted. Without a report, the process ended before it received the task,
/// or was killed because of another coroutine.
fn received(report: Result<TaskReport, oneshot::error::RecvError>) -> TaskReport {
    report.unwrap_or_else(|_| TaskReport::without(NoOutcome::NotBegun))
}

/// Waits until an interrupted coroutine has to be killed.
async fn kill_due(control: &RunControl, kill_at: Instant) {
    tokio::join!(control.kill_due(kill_at), tokio::time::sleep(MINIMUM_GRACE));
}

/// Serves one process until its end.
async fn serve(mut python: PythonProcess, mut orders: mpsc::UnboundedReceiver<Order>, is_retired: Arc<AtomicBool>) {
    let mut running: HashMap<u64, Running> = HashMap::new();
    let mut keys = Keys::default();
    let end = loop {
        let must_retire = is_retired.load(Ordering::Relaxed);
        if must_retire && running.is_empty() {
            break ProcessEnd::Ended;
        }
        tokio::select! {
            biased;
            answers = python.receive() => match answers {
                Ok(answers) => {
                    for answer in answers {
                        if answer.is_last() {
                            is_retired.store(true, Ordering::Relaxed);
                        }
                        handle_answer(answer, &mut running);
                    }
                }
                Err(end) => break end,
            },
            order = orders.recv() => match order {
                // The request came too late. Without a report, it counts as not started.
                Some(Order::Run(_)) if must_retire => {}
                Some(Order::Run(start)) => {
                    let Start { request, control, report, keyed } = *start;
                    let key = keys.make();
                    running.insert(key, Running { control, report });
                    let _ = keyed.send(key);
                    python.send_request(key, &protocol::run(key, &request, true));
                }
                Some(Order::Sync(handled)) => drop(handled.send(())),
                Some(Order::Cancel(key)) => python.send(&protocol::cancel(key)),
                Some(Order::Kill(key)) if running.contains_key(&key) => {
                    drop(orders);
                    return python.kill().await;
                }
                Some(Order::Kill(_)) => {}
                Some(Order::End) | None => break ProcessEnd::Ended,
            },
        }
    };
    drop(orders);
    let report = python.end_report(end).await;
    for (_, Running { report: waits, .. }) in running {
        let _ = waits.send(report.clone());
    }
}

fn handle_answer(answer: ChildAnswer, running: &mut HashMap<u64, Running>) {
    if !answer.is_progress() {
        if let Some(Running { report, .. }) = running.remove(&answer.key) {
            let _ = report.send(answer.report());
        }
    } else if let Some(Running { control, .. }) = running.get(&answer.key) {
        answer.note_progress(control);
    }
}
