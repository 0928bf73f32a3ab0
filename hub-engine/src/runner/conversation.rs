//! A Python process, and the messages that it and the worker exchange. What goes out is gathered and written
//! together; what comes in is read as far as it is there.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use hub_core::Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::TaskReport;
use super::environment::{self, Group};
use super::protocol::{self, ChildAnswer, ChildSettings};
use super::sdk::{OutputFile, Sdk};
use super::settings::RunnerSettings;

/// How much is read at a time, in bytes.
const READ: usize = 64 * 1024;
/// How long an answer may take to be there when its process has ended.
const LAST_ANSWER: Duration = Duration::from_millis(50);

/// A process that answers requests.
#[derive(Debug)]
pub(super) struct Conversation {
    process: Child,
    group: Group,
    requests: ChildStdin,
    answers: ChildStdout,
    output: OutputFile,
    log_limit: usize,
    answer_limit: usize,
    /// The keys of what it was asked and has not answered.
    asked: HashSet<u64>,
    unsent: BytesMut,
    unread: BytesMut,
    has_ended: bool,
}

/// Why a process answers no more.
#[derive(Debug)]
pub(super) enum EndOfAnswers {
    /// It has ended.
    Ended,
    /// It has written something else than an answer, described here. Its further output cannot be relied on.
    Invalid(String),
}

impl Conversation {
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
            asked: HashSet::new(),
            unsent: BytesMut::new(),
            unread: BytesMut::new(),
            has_ended: false,
        })
    }

    /// Has a task handed over with the next [`Conversation::listen`]; an answer under its key is expected.
    pub(super) fn ask(&mut self, key: u64, message: &[u8]) {
        self.asked.insert(key);
        self.say(message);
    }

    /// Has a message go out with the next [`Conversation::listen`].
    pub(super) fn say(&mut self, message: &[u8]) {
        self.unsent.extend_from_slice(message);
    }

    /// Writes what was said and waits for answers. Nothing is lost where this is given up halfway.
    ///
    /// The process reads in a thread of its own, so that neither side waits for the other with full pipes. That it has
    /// ended is noticed even where something that it started keeps its pipes open.
    pub(super) async fn listen(&mut self) -> Result<Vec<ChildAnswer>, EndOfAnswers> {
        // Behind the answers of the last read there may be something that is no answer.
        let answers = self.take_answers()?;
        if !answers.is_empty() {
            return Ok(answers);
        }
        loop {
            let has_unsent = !self.unsent.is_empty();
            self.unread.reserve(READ);
            let has_ended = self.has_ended;
            let read = async {
                let read = self.answers.read_buf(&mut self.unread);
                if has_ended { tokio::time::timeout(LAST_ANSWER, read).await.unwrap_or(Ok(0)) } else { read.await }
            };
            tokio::select! {
                written = self.requests.write_buf(&mut self.unsent), if has_unsent => {
                    if written.is_err() {
                        // It has ended; what it said before is still read.
                        self.unsent.clear();
                    }
                }
                read = read => {
                    if !matches!(read, Ok(1..)) {
                        return Err(EndOfAnswers::Ended);
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

    /// Takes the complete answers out of what was read. The answers before a text that is no answer are valid: the text
    /// stays, and is an error once it comes first.
    fn take_answers(&mut self) -> Result<Vec<ChildAnswer>, EndOfAnswers> {
        let mut answers = Vec::new();
        while let Some((length, key)) = protocol::answer_head(&self.unread) {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            // Checked before the rest has arrived: what is no answer is neither waited for nor kept.
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
            answers.push(ChildAnswer::read(key, &self.unread[..length]));
            self.unread.advance(length);
            self.asked.remove(&key);
        }
        Ok(answers)
    }

    fn check_head(&self, length: usize, key: u64) -> Result<(), EndOfAnswers> {
        let limit = self.answer_limit;
        if !self.asked.contains(&key) {
            Err(EndOfAnswers::Invalid("wrote something else than its answer where the worker reads".to_owned()))
        } else if length > limit {
            Err(EndOfAnswers::Invalid(format!("began an answer of {length} bytes; the limit is {limit}")))
        } else {
            Ok(())
        }
    }

    /// Ends the process and everything it started: first by request, then by force. Returns what was printed.
    pub(super) async fn stop(mut self) -> Option<String> {
        environment::stop(&mut self.process).await;
        protocol::printed(self.output.path(), self.log_limit)
    }

    /// Has it end by itself, as it does at the end of its input.
    pub(super) async fn end(mut self) {
        drop(self.requests);
        let _ = self.process.wait().await;
    }

    /// The report of a task whose process has ended, or is ended now because of its output.
    pub(super) async fn end_report(mut self, end: EndOfAnswers) -> TaskReport {
        let why = match end {
            EndOfAnswers::Ended => None,
            EndOfAnswers::Invalid(what) => Some(format!("the process that ran the task {what}, and was ended for it")),
        };
        self.group.kill();
        let printed = protocol::printed(self.output.path(), self.log_limit);
        protocol::end_report(&mut self.process, why, printed).await
    }
}
