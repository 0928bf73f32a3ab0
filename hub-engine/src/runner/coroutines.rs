//! The Python process that runs all `async def` tasks concurrently. A process that must not accept further tasks
//! completes those that it has, and another process replaces it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::protocol::{self, Keys};
use super::python_process::{ProcessEnd, PythonProcess};
use super::sdk::Sdk;
use super::settings::RunnerSettings;
use super::{NoOutcome, TaskReport, TaskRequest};

/// Maximum time a cancelled coroutine may take to end before it is abandoned.
const STOP_GRACE: Duration = Duration::from_secs(5);

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
    Run(Box<TaskRequest>, oneshot::Sender<TaskReport>, oneshot::Sender<u64>),
    Cancel(u64),
    End,
}

impl Coroutines {
    pub(super) fn new(settings: Arc<RunnerSettings>, sdk: Arc<Sdk>) -> Self {
        Self { settings, sdk, processes: Mutex::default() }
    }

    /// Runs a task concurrently with others.
    pub(super) async fn run(&self, request: TaskRequest, stop: &CancellationToken) -> std::io::Result<TaskReport> {
        let (report, mut reported) = oneshot::channel();
        let (key, keyed) = oneshot::channel();
        let orders = self.process()?;
        let _ = orders.send(Order::Run(Box::new(request), report, key));
        tokio::select! {
            // Without a report, the process ended before it received the task.
            report = &mut reported => return Ok(report.unwrap_or_else(|_| TaskReport::without(NoOutcome::NotBegun))),
            () = stop.cancelled() => {}
        }
        if let Ok(key) = keyed.await {
            let _ = orders.send(Order::Cancel(key));
        }
        // A coroutine that ignores the cancellation is abandoned. Its slot becomes free, and its result is ignored.
        let report = tokio::time::timeout(STOP_GRACE, reported).await;
        Ok(report.ok().and_then(Result::ok).unwrap_or_else(|| TaskReport::without(NoOutcome::Cancelled)))
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

/// Serves one process until its end.
async fn serve(mut python: PythonProcess, mut orders: mpsc::UnboundedReceiver<Order>, is_retired: Arc<AtomicBool>) {
    let mut waiting: HashMap<u64, oneshot::Sender<TaskReport>> = HashMap::new();
    let mut keys = Keys::default();
    let end = loop {
        let must_retire = is_retired.load(Ordering::Relaxed);
        if must_retire && waiting.is_empty() {
            break ProcessEnd::Ended;
        }
        tokio::select! {
            order = orders.recv() => match order {
                // The request came too late. Without a report, it counts as not started.
                Some(Order::Run(..)) if must_retire => {}
                Some(Order::Run(request, report, keyed)) => {
                    let key = keys.make();
                    waiting.insert(key, report);
                    let _ = keyed.send(key);
                    python.send_request(key, &protocol::run(key, &request, true));
                }
                Some(Order::Cancel(key)) => python.send(&protocol::cancel(key)),
                Some(Order::End) | None => break ProcessEnd::Ended,
            },
            answers = python.receive() => match answers {
                Ok(answers) => {
                    for answer in answers {
                        if answer.is_last() {
                            is_retired.store(true, Ordering::Relaxed);
                        }
                        if let Some(report) = waiting.remove(&answer.key) {
                            let _ = report.send(answer.report());
                        }
                    }
                }
                Err(end) => break end,
            },
        }
    };
    drop(orders);
    let report = python.end_report(end).await;
    for (_, waits) in waiting {
        let _ = waits.send(report.clone());
    }
}
