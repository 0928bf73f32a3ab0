//! The one Python process in which every `async def` task runs, many at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::conversation::{Conversation, Silence};
use super::modules::RunnerSettings;
use super::protocol::{self, Keys};
use super::sdk::Sdk;
use super::{Outcome, TaskReport, TaskRequest};

/// The number of this process: the others count from 0.
const NUMBER: u64 = u64::MAX;
/// How long a coroutine that is told to stop may take before it is given up.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Starts the process when the first coroutine comes, and again when it has died.
#[derive(Debug)]
pub(super) struct Coroutines {
    settings: Arc<RunnerSettings>,
    sdk: Arc<Sdk>,
    orders: Mutex<Option<mpsc::UnboundedSender<Order>>>,
}

#[derive(Debug)]
enum Order {
    Run(Box<TaskRequest>, oneshot::Sender<TaskReport>, oneshot::Sender<u64>),
    Cancel(u64),
    End,
}

impl Coroutines {
    pub(super) fn new(settings: Arc<RunnerSettings>, sdk: Arc<Sdk>) -> Self {
        Self { settings, sdk, orders: Mutex::default() }
    }

    /// Runs a task among the others.
    pub(super) async fn run(&self, request: TaskRequest, stop: &CancellationToken) -> std::io::Result<TaskReport> {
        let (report, mut reported) = oneshot::channel();
        let (key, keyed) = oneshot::channel();
        let orders = self.process()?;
        let _ = orders.send(Order::Run(Box::new(request), report, key));
        tokio::select! {
            // Without a report the process had ended before it got the task.
            report = &mut reported => return Ok(report.unwrap_or_else(|_| TaskReport::silent(Outcome::NotBegun))),
            () = stop.cancelled() => {}
        }
        if let Ok(key) = keyed.await {
            let _ = orders.send(Order::Cancel(key));
        }
        // One that does not listen is left behind; its slot is free, its result is not wanted.
        let report = tokio::time::timeout(STOP_GRACE, reported).await;
        Ok(report.ok().and_then(Result::ok).unwrap_or_else(|| TaskReport::silent(Outcome::Cancelled)))
    }

    fn process(&self) -> std::io::Result<mpsc::UnboundedSender<Order>> {
        let mut known = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = known.as_ref().filter(|orders| !orders.is_closed()) {
            return Ok(orders.clone());
        }
        let talk = Conversation::start(&self.settings, &self.sdk, NUMBER, true)?;
        let (orders, from_orders) = mpsc::unbounded_channel();
        tokio::spawn(serve(talk, from_orders));
        *known = Some(orders.clone());
        Ok(orders)
    }

    pub(super) fn shutdown(&self) {
        if let Some(orders) = self.orders.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = orders.send(Order::End);
        }
    }
}

/// Keeps one process at work, to its end.
async fn serve(mut talk: Conversation, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut waiting: HashMap<u64, oneshot::Sender<TaskReport>> = HashMap::new();
    let mut keys = Keys::default();
    let silence = loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Run(request, report, keyed)) => {
                    let key = keys.make();
                    waiting.insert(key, report);
                    let _ = keyed.send(key);
                    talk.ask(key, &protocol::run(key, &request, true));
                }
                Some(Order::Cancel(key)) => talk.say(&protocol::cancel(key)),
                Some(Order::End) | None => break Silence::Ended,
            },
            answers = talk.listen() => match answers {
                Ok(answers) => {
                    for answer in answers {
                        if let Some(report) = waiting.remove(&answer.key) {
                            let _ = report.send(answer.report());
                        }
                    }
                }
                Err(silence) => break silence,
            },
        }
    };
    drop(orders);
    let obituary = talk.obituary(silence).await;
    for (_, report) in waiting {
        let _ = report.send(obituary.clone());
    }
}
