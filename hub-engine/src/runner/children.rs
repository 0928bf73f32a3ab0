//! Python processes that run one task at a time and are used again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio_util::sync::CancellationToken;

use super::modules::RunnerSettings;
use super::protocol::{self, Answer, ChildSettings};
use super::sdk::Sdk;
use super::{Outcome, TaskReport, TaskRequest, environment};

/// The processes that are free at present. As many run as there are tasks at a time.
#[derive(Debug)]
pub(super) struct Children {
    settings: Arc<RunnerSettings>,
    sdk: Arc<Sdk>,
    free: Mutex<Vec<Runs>>,
    started: AtomicU64,
}

/// A process that runs tasks.
#[derive(Debug)]
struct Runs {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    output: PathBuf,
    /// How many tasks it has run.
    tasks: u64,
    line: Vec<u8>,
}

/// What came of handing a task to a process.
enum Answered {
    Yes(Box<Answer>),
    Died,
    Stopped,
}

impl Children {
    pub(super) fn new(settings: Arc<RunnerSettings>, sdk: Arc<Sdk>) -> Self {
        Self { settings, sdk, free: Mutex::default(), started: AtomicU64::new(0) }
    }

    /// Runs a task in a free process, or in a new one.
    pub(super) async fn run(&self, request: &TaskRequest, stop: &CancellationToken) -> std::io::Result<TaskReport> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // A process that died while it was free is no fault of this task's.
        let free = free.filter_map_alive();
        let mut child = match free {
            Some(child) => child,
            None => self.start()?,
        };
        match child.ask(request, stop).await {
            Answered::Yes(answer) => {
                self.put_back(child);
                Ok(answer.report())
            }
            Answered::Died => Ok(protocol::obituary(&mut child.process, &child.output).await),
            Answered::Stopped => {
                environment::stop(&mut child.process).await;
                Ok(TaskReport::silent(Outcome::Cancelled))
            }
        }
    }

    fn start(&self) -> std::io::Result<Runs> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let output = self.sdk.output_file(number);
        let settings = ChildSettings {
            tasks_dir: &self.settings.tasks_dir,
            output: &output,
            log_limit: self.settings.log_limit_bytes,
            result_limit: self.settings.result_limit_bytes,
            scan: None,
        };
        let mut process = protocol::python(&self.settings.python, &self.sdk, &settings).spawn()?;
        let missing = || std::io::Error::other("the process has no pipes");
        Ok(Runs {
            requests: process.stdin.take().ok_or_else(missing)?,
            answers: BufReader::with_capacity(64 * 1024, process.stdout.take().ok_or_else(missing)?),
            process,
            output,
            tasks: 0,
            line: Vec::new(),
        })
    }

    fn put_back(&self, child: Runs) {
        let worn_out = self.settings.max_tasks_per_child != 0 && child.tasks >= self.settings.max_tasks_per_child;
        if !worn_out {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        }
    }

    /// Ends the processes that are free.
    pub(super) async fn shutdown(&self, grace: Duration) {
        let free = std::mem::take(&mut *self.free.lock().unwrap_or_else(PoisonError::into_inner));
        for mut child in free {
            // The end of its input is the word to end.
            drop(child.requests);
            if tokio::time::timeout(grace, child.process.wait()).await.is_err() {
                environment::kill(&mut child.process).await;
            }
        }
    }
}

trait Alive {
    fn filter_map_alive(self) -> Option<Runs>;
}

impl Alive for Option<Runs> {
    fn filter_map_alive(self) -> Option<Runs> {
        self.and_then(|mut child| match child.process.try_wait() {
            Ok(None) => Some(child),
            Ok(Some(_)) | Err(_) => None,
        })
    }
}

impl Runs {
    async fn ask(&mut self, request: &TaskRequest, stop: &CancellationToken) -> Answered {
        self.tasks += 1;
        let key = self.tasks;
        let line = protocol::line(key, request, false);
        self.line.clear();
        let exchange = async {
            // Arguments may be larger than the pipe: the child reads in a thread of its own, so that this ends.
            self.requests.write_all(&line).await?;
            self.answers.read_until(b'\n', &mut self.line).await
        };
        tokio::select! {
            read = exchange => match read {
                Ok(1..) => serde_json::from_slice(&self.line).map_or(Answered::Died, |answer| Answered::Yes(Box::new(answer))),
                Ok(0) | Err(_) => Answered::Died,
            },
            () = stop.cancelled() => Answered::Stopped,
        }
    }
}
