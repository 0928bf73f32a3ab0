//! The one Python process in which every `async def` task runs, many at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::modules::RunnerSettings;
use super::protocol::{self, Answer, ChildSettings};
use super::sdk::Sdk;
use super::{Outcome, TaskReport, TaskRequest, environment};

/// The number of this process's output file: the others count from 0.
const OUTPUT: u64 = u64::MAX;
/// How long a coroutine that is told to stop may take before it is given up.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Starts the process when the first coroutine comes, and again when it has died.
#[derive(Debug)]
pub(super) struct Coroutines {
    settings: Arc<RunnerSettings>,
    sdk: Arc<Sdk>,
    process: Mutex<Option<Process>>,
}

/// The way to the process.
#[derive(Clone, Debug)]
struct Process {
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    Run(Box<TaskRequest>, oneshot::Sender<TaskReport>, oneshot::Sender<u64>),
    Cancel(u64),
    End,
}

impl Coroutines {
    pub(super) fn new(settings: Arc<RunnerSettings>, sdk: Arc<Sdk>) -> Self {
        Self { settings, sdk, process: Mutex::default() }
    }

    /// Runs a task among the others.
    pub(super) async fn run(&self, request: TaskRequest, stop: &CancellationToken) -> std::io::Result<TaskReport> {
        let (report, reported) = oneshot::channel();
        let (key, keyed) = oneshot::channel();
        let process = self.process()?;
        let _ = process.orders.send(Order::Run(Box::new(request), report, key));
        tokio::pin!(reported);
        let lost = || {
            TaskReport::silent(Outcome::Failed {
                msg: "the process that ran the task ended before it began".to_owned(),
                error: hub_core::state::TaskError {
                    kind: hub_core::state::ErrorKind::ChildDied,
                    type_name: None,
                    traceback: None,
                },
            })
        };
        tokio::select! {
            report = &mut reported => return Ok(report.unwrap_or_else(|_| lost())),
            () = stop.cancelled() => {}
        }
        if let Ok(key) = keyed.await {
            let _ = process.orders.send(Order::Cancel(key));
        }
        // One that does not listen is left behind; its slot is free, its result is not wanted.
        let report = tokio::time::timeout(STOP_GRACE, reported).await;
        Ok(report.ok().and_then(Result::ok).unwrap_or_else(|| TaskReport::silent(Outcome::Cancelled)))
    }

    fn process(&self) -> std::io::Result<Process> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = process.as_ref().filter(|process| !process.orders.is_closed()) {
            return Ok(process.clone());
        }
        let started = self.start()?;
        *process = Some(started.clone());
        Ok(started)
    }

    fn start(&self) -> std::io::Result<Process> {
        let output = self.sdk.output_file(OUTPUT);
        let settings = ChildSettings {
            tasks_dir: &self.settings.tasks_dir,
            output: &output,
            log_limit: self.settings.log_limit_bytes,
            result_limit: self.settings.result_limit_bytes,
            scan: None,
        };
        let mut child = protocol::python(&self.settings.python, &self.sdk, &settings).spawn()?;
        let missing = || std::io::Error::other("the process has no pipes");
        let mut requests = child.stdin.take().ok_or_else(missing)?;
        let mut answers = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        let (orders, mut from_orders) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut waiting: HashMap<u64, oneshot::Sender<TaskReport>> = HashMap::new();
            let mut keys = 0_u64;
            let mut line = Vec::new();
            loop {
                tokio::select! {
                    order = from_orders.recv() => {
                        let bytes = match order {
                            Some(Order::Run(request, report, key)) => {
                                keys += 1;
                                waiting.insert(keys, report);
                                let _ = key.send(keys);
                                protocol::line(keys, &request, true)
                            }
                            Some(Order::Cancel(key)) => protocol::cancel_line(key),
                            Some(Order::End) | None => break,
                        };
                        if requests.write_all(&bytes).await.is_err() {
                            break;
                        }
                    }
                    // What was read of a line when an order came in between stays in `line`.
                    read = answers.read_until(b'\n', &mut line) => {
                        if !matches!(read, Ok(1..)) {
                            break;
                        }
                        if let Ok(answer) = serde_json::from_slice::<Answer>(&line)
                            && let Some(report) = waiting.remove(&answer.id)
                        {
                            let _ = report.send(answer.report());
                        }
                        line.clear();
                    }
                }
            }
            from_orders.close();
            let obituary = protocol::obituary(&mut child, &output).await;
            for (_, report) in waiting {
                let _ = report.send(obituary.clone());
            }
            environment::kill(&mut child).await;
        });
        Ok(Process { orders })
    }

    pub(super) fn shutdown(&self) {
        if let Some(process) = self.process.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = process.orders.send(Order::End);
        }
    }
}
