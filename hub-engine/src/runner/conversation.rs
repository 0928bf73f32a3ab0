//! A Python process, and the lines that it and the worker exchange. What goes out is gathered and written
//! together; what comes in is read as far as it is there.

use std::io;
use std::path::PathBuf;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::modules::RunnerSettings;
use super::protocol::{self, Answer, ChildSettings};
use super::sdk::Sdk;
use super::{TaskReport, environment};

/// How much is read at a time, in bytes.
const READ: usize = 64 * 1024;

/// A process that answers requests.
#[derive(Debug)]
pub(super) struct Conversation {
    process: Child,
    requests: ChildStdin,
    answers: ChildStdout,
    output: PathBuf,
    unsent: BytesMut,
    unread: BytesMut,
    /// So much of `unread` has no line's end in it.
    searched: usize,
}

impl Conversation {
    /// Starts a process, the `number`th of its runner.
    pub(super) fn start(settings: &RunnerSettings, sdk: &Sdk, number: u64) -> io::Result<Self> {
        let output = sdk.output_file(number);
        let told = ChildSettings {
            tasks_dir: &settings.tasks_dir,
            output: &output,
            log_limit: settings.log_limit_bytes,
            result_limit: settings.result_limit_bytes,
            scan: None,
        };
        let mut process = protocol::python(&settings.python, sdk, &told).spawn()?;
        let missing = || io::Error::other("the process has no pipes");
        Ok(Self {
            requests: process.stdin.take().ok_or_else(missing)?,
            answers: process.stdout.take().ok_or_else(missing)?,
            process,
            output,
            unsent: BytesMut::new(),
            unread: BytesMut::new(),
            searched: 0,
        })
    }

    /// Has a line go out with the next [`Conversation::listen`].
    pub(super) fn say(&mut self, line: &[u8]) {
        self.unsent.extend_from_slice(line);
    }

    /// Writes what was said and waits for answers. `None`: the process says nothing more. Nothing is lost where this is
    /// given up halfway.
    ///
    /// The process reads in a thread of its own, so that neither side waits for the other with full pipes.
    pub(super) async fn listen(&mut self) -> Option<Vec<Answer>> {
        loop {
            let has_unsent = !self.unsent.is_empty();
            self.unread.reserve(READ);
            tokio::select! {
                written = self.requests.write_buf(&mut self.unsent), if has_unsent => {
                    if written.is_err() {
                        // It has ended; what it said before is still read.
                        self.unsent.clear();
                    }
                }
                read = self.answers.read_buf(&mut self.unread) => {
                    if !matches!(read, Ok(1..)) {
                        return None;
                    }
                    let answers = self.whole_lines().ok()?;
                    if !answers.is_empty() {
                        return Some(answers);
                    }
                }
            }
        }
    }

    fn whole_lines(&mut self) -> serde_json::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        while let Some(end) = self.unread[self.searched..].iter().position(|byte| *byte == b'\n') {
            let end = self.searched + end;
            answers.push(serde_json::from_slice(&self.unread[..end])?);
            self.unread.advance(end + 1);
            self.searched = 0;
        }
        self.searched = self.unread.len();
        Ok(answers)
    }

    /// Ends the process and everything it started: first by request, then by force.
    pub(super) async fn stop(mut self) {
        environment::stop(&mut self.process).await;
    }

    /// Has it end by itself, as it does at the end of its input.
    pub(super) async fn end(mut self) {
        drop(self.requests);
        let _ = self.process.wait().await;
    }

    /// What is to be said of a task whose process died under it.
    pub(super) async fn obituary(mut self) -> TaskReport {
        protocol::obituary(&mut self.process, &self.output).await
    }
}
