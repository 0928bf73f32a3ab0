//! A Python process and the messages that it exchanges with the worker. Outgoing messages are buffered and written
//! together. Incoming messages are read as far as they are available.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use hub_core::{IdSet, Json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::Instant;

use super::environment::{self, Group};
use super::protocol::{self, ChildAnswer, ChildSettings};
use super::sdk::{OutputFile, Sdk};
use super::settings::RunnerSettings;
use super::{NoOutcome, RunControl, TaskReport};

/// Number of bytes read at a time.
const READ_BYTES: usize = 64 * 1024;
/// Maximum time to wait for an answer after its process has ended.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_millis(50);

/// A process that answers requests.
#[derive(Debug)]
pub(super) struct PythonProcess {
    process: Child,
    group: Group,
    requests: ChildStdin,
    answers: ChildStdout,
    output: OutputFile,
    log_limit: usize,
    answer_limit: usize,
    /// The keys of the requests without an answer.
    open_requests: IdSet<u64>,
    unsent: BytesMut,
    unread: BytesMut,
    has_ended: bool,
}

/// Why a process sends no more answers.
#[derive(Debug)]
pub(super) enum ProcessEnd {
    /// The process has ended.
    Ended,
    /// The process has written something that is not an answer, described here. Its further output is ignored.
    Invalid(String),
}

impl PythonProcess {
    /// Starts a process.
    pub(super) fn start(settings: &RunnerSettings, sdk: &Sdk, coroutines: bool) -> io::Result<Self> {
        let output = sdk.output_file();
        let child = ChildSettings {
            tasks_dir: &settings.tasks_dir,
            output: output.path(),
            log_limit: settings.log_limit_bytes,
            result_limit: settings.result_limit_bytes,
            max_depth: Json::MAX_DEPTH,
            coroutines,
            scan: None,
        };
        sdk.restore()?;
        let mut process = protocol::python(&settings.python, sdk, &child).spawn()?;
        let missing = || io::Error::other("the process has no pipes");
        Ok(Self {
            group: Group::of(&process),
            requests: process.stdin.take().ok_or_else(missing)?,
            answers: process.stdout.take().ok_or_else(missing)?,
            process,
            output,
            log_limit: settings.log_limit_bytes,
            answer_limit: protocol::answer_limit(settings),
            open_requests: IdSet::default(),
            unsent: BytesMut::new(),
            unread: BytesMut::new(),
            has_ended: false,
        })
    }

    /// Whether the process has ended, although it may have left answers.
    pub(super) fn has_died(&mut self) -> bool {
        self.has_ended || self.process.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Buffers the request to run a task. It is written by the next [`PythonProcess::receive`], and an answer with this
    /// key is expected.
    pub(super) fn send_request(&mut self, key: u64, message: &[u8]) {
        self.open_requests.insert(key);
        self.send(message);
    }

    /// Buffers a message, which the next [`PythonProcess::receive`] writes.
    pub(super) fn send(&mut self, message: &[u8]) {
        self.unsent.extend_from_slice(message);
    }

    /// Writes the buffered messages and waits for answers. Cancellation-safe.
    ///
    /// The process reads in a separate thread, so that full pipes cannot cause a deadlock. The end of the process is
    /// noticed even if another process keeps its pipes open.
    pub(super) async fn receive(&mut self) -> Result<Vec<ChildAnswer>, ProcessEnd> {
        // The data after the answers of the last read may be invalid.
        let answers = self.take_answers()?;
        if !answers.is_empty() {
            return Ok(answers);
        }
        loop {
            let has_unsent = !self.unsent.is_empty();
            self.unread.reserve(READ_BYTES);
            let has_ended = self.has_ended;
            let read = async {
                let read = self.answers.read_buf(&mut self.unread);
                if has_ended {
                    tokio::time::timeout(LAST_ANSWER_TIMEOUT, read).await.unwrap_or(Ok(0))
                } else {
                    read.await
                }
            };
            tokio::select! {
                written = self.requests.write_buf(&mut self.unsent), if has_unsent => {
                    if written.is_err() {
                        // The process has ended. Its previous answers are still read.
                        self.unsent.clear();
                    }
                }
                read = read => {
                    if !matches!(read, Ok(1..)) {
                        return Err(ProcessEnd::Ended);
                    }
                    let answers = self.take_answers()?;
                    if !answers.is_empty() {
                        return Ok(answers);
                    }
                }
                _ = self.process.wait(), if !has_ended => self.has_ended = true,
            }
        }
    }

    /// Removes and returns the complete answers that were read. Answers before invalid data are valid. The invalid data
    /// stays in the buffer, and is an error when it comes first.
    fn take_answers(&mut self) -> Result<Vec<ChildAnswer>, ProcessEnd> {
        let mut answers = Vec::new();
        while let Some((length, key)) = protocol::answer_head(&self.unread) {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            // Checked before the body has arrived, so that invalid data is neither awaited nor buffered.
            if let Err(invalid) = self.check_head(length, key) {
                if answers.is_empty() {
                    return Err(invalid);
                }
                break;
            }
            if self.unread.len() - protocol::ANSWER_HEAD < length {
                break;
            }
            self.unread.advance(protocol::ANSWER_HEAD);
            let answer = ChildAnswer::read(key, &self.unread[..length]);
            self.unread.advance(length);
            if !answer.is_progress() {
                self.open_requests.remove(&key);
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    fn check_head(&self, length: usize, key: u64) -> Result<(), ProcessEnd> {
        let limit = self.answer_limit;
        if !self.open_requests.contains(&key) {
            Err(ProcessEnd::Invalid("wrote something that is not an answer to its standard output".to_owned()))
        } else if length > limit {
            Err(ProcessEnd::Invalid(format!("began an answer of {length} bytes, the limit is {limit}")))
        } else {
            Ok(())
        }
    }

    /// Ends the process and its process group while it runs the task with this key: with SIGTERM, and what is left with
    /// SIGKILL, at `kill_at` or earlier if `control` says so. Returns the report of the task. If it has not ended in time,
    /// the report contains only its output.
    pub(super) async fn interrupt(mut self, key: u64, control: &RunControl, kill_at: Instant) -> TaskReport {
        self.group.terminate();
        let answer = tokio::select! {
            answer = self.last_answer(key, control) => answer,
            () = control.kill_due(kill_at) => None,
        };
        environment::kill(&mut self.process, self.group).await;
        answer.map_or_else(
            || {
                let log = protocol::printed(self.output.path(), self.log_limit);
                TaskReport { log, ..TaskReport::without(NoOutcome::Cancelled) }
            },
            ChildAnswer::report,
        )
    }

    /// The answer to this request. `None` if the process has ended without it.
    async fn last_answer(&mut self, key: u64, control: &RunControl) -> Option<ChildAnswer> {
        loop {
            let answers = match self.receive().await {
                Ok(answers) => answers,
                Err(ProcessEnd::Invalid(_)) => return None,
                Err(ProcessEnd::Ended) => {
                    let _ = self.process.wait().await;
                    // Processes that the task started may still be cleaning up.
                    self.group.end().await;
                    return None;
                }
            };
            for answer in answers.into_iter().filter(|answer| answer.key == key) {
                if !answer.is_progress() {
                    return Some(answer);
                }
                answer.note_progress(control);
            }
        }
    }

    /// Kills the process and its process group.
    pub(super) async fn kill(mut self) {
        environment::kill(&mut self.process, self.group).await;
    }

    /// Closes the input, at which the process ends by itself, and waits for its end.
    pub(super) async fn end(mut self) {
        drop(self.requests);
        let _ = self.process.wait().await;
    }

    /// The report of a task whose process has ended, or is killed because of invalid output.
    pub(super) async fn end_report(mut self, end: ProcessEnd) -> TaskReport {
        let why = match end {
            ProcessEnd::Ended => None,
            ProcessEnd::Invalid(what) => Some(format!("the process that ran the task {what}, and was killed")),
        };
        self.group.kill();
        let printed = protocol::printed(self.output.path(), self.log_limit);
        protocol::end_report(&mut self.process, why, printed).await
    }
}
