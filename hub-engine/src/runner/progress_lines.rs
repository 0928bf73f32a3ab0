//! The standard error of a program: the log of its task, and lines that report progress or say whether another attempt is of
//! use, which are not part of the log.

use hub_core::Json;
use hub_core::job::Delay;
use hub_core::machine::MAXIMUM_PROGRESS;
use hub_core::state::RetryAdvice;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::RunControl;
use super::streams::{READ_BYTES, Tail};

/// The beginning of a line that reports progress. The rest of the line is the value.
const PREFIX: &[u8] = b"::progress ";
/// A line that asks for another attempt, perhaps after the duration behind it.
const RETRY: &[u8] = b"::retry";
/// A line that says that another attempt is of no use, perhaps with the reason behind it, which is a part of the log.
const FATAL: &[u8] = b"::fatal";
/// Maximum length of such a line in bytes, without its end.
const MAXIMUM_LINE: usize = PREFIX.len() + MAXIMUM_PROGRESS;

/// The standard error of a program.
#[derive(Debug)]
pub(super) struct Errors<'a> {
    log: Tail,
    control: &'a RunControl,
    /// The beginning of the current line, as long as the line may be for the worker.
    line: Vec<u8>,
    /// Whether the beginning of the current line is in the log.
    is_logged: bool,
    /// Why the current line is not for the worker, although it begins like one that is, and what to write.
    flaw: Option<String>,
    /// What the newest line says of another attempt.
    advice: Option<RetryAdvice>,
    /// Whether such a line was explained.
    has_explained: bool,
}

impl<'a> Errors<'a> {
    pub(super) const fn new(log_limit: usize, control: &'a RunControl) -> Self {
        Self {
            log: Tail::new(log_limit),
            control,
            line: Vec::new(),
            is_logged: false,
            flaw: None,
            advice: None,
            has_explained: false,
        }
    }

    /// Reads to the end. Cancellation-safe.
    pub(super) async fn read(&mut self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            buffer[..read].split_inclusive(|byte| *byte == b'\n').for_each(|part| self.take(part));
        }
    }

    /// The log, with the last line, which may have no end.
    pub(super) fn text(&mut self) -> String {
        self.end_line(b"");
        self.log.text()
    }

    /// What the program has said of another attempt.
    pub(super) const fn advice(&self) -> Option<RetryAdvice> {
        self.advice
    }

    /// Takes a part of a line, possibly with its end.
    fn take(&mut self, part: &[u8]) {
        let (content, end) = match part.split_last() {
            Some((b'\n', content)) => (content, &b"\n"[..]),
            _ => (part, &b""[..]),
        };
        if self.is_logged {
            self.log.push(content);
        } else {
            self.line.extend_from_slice(content);
            if self.line.strip_prefix(FATAL).is_some_and(|rest| rest.starts_with(b" ")) {
                self.advice = Some(RetryAdvice::Never);
                self.line.drain(..=FATAL.len());
                self.log_line();
            } else if !may_be_for_the_worker(&self.line) {
                self.log_line();
            } else if self.line.len() > MAXIMUM_LINE {
                self.flaw =
                    Some(no_progress(&format!("it has more than {MAXIMUM_PROGRESS} bytes, which is the limit")));
                self.log_line();
            }
        }
        if !end.is_empty() {
            self.end_line(end);
        }
    }

    fn end_line(&mut self, end: &[u8]) {
        match self.obey() {
            Some(Ok(())) => self.line.clear(),
            reported => {
                self.flaw = self.flaw.take().or(reported.and_then(Result::err));
                self.log_line();
                self.log.push(end);
                self.explain(end);
            }
        }
        self.is_logged = false;
    }

    /// Does what the current line says, if it is for the worker.
    fn obey(&mut self) -> Option<Result<(), String>> {
        if let Some(value) = self.line.strip_prefix(PREFIX) {
            return Some(report(value, self.control).map_err(|flaw| no_progress(&flaw)));
        }
        let line = self.line.trim_ascii_end();
        let advice = match line.strip_prefix(RETRY) {
            Some(after) => {
                retry_after(after)?.map_err(|flaw| format!("asks for no attempt: {flaw}. Write ::retry or ::retry 30s"))
            }
            None if line == FATAL => Ok(RetryAdvice::Never),
            None => return None,
        };
        Some(advice.map(|advice| self.advice = Some(advice)))
    }

    /// Moves the current line to the log.
    fn log_line(&mut self) {
        self.log.push(&self.line);
        self.line.clear();
        self.is_logged = true;
    }

    /// Explains once in the log why a line was not obeyed.
    fn explain(&mut self, end: &[u8]) {
        let Some(flaw) = self.flaw.take().filter(|_| !self.has_explained) else { return };
        self.has_explained = true;
        let begin = if end.is_empty() { "\n" } else { "" };
        let hint = format!("{begin}[hub: the line above {flaw}]\n");
        self.log.push(hint.as_bytes());
    }
}

fn no_progress(flaw: &str) -> String {
    format!("reports no progress: {flaw}. Write ::progress JSON")
}

/// Whether a line with this beginning can be for the worker.
fn may_be_for_the_worker(line: &[u8]) -> bool {
    [PREFIX, RETRY, FATAL].into_iter().any(|prefix| {
        let compared = line.len().min(prefix.len());
        line[..compared] == prefix[..compared]
    })
}

/// What a line says that has this text behind its first word. `None`: the first word is longer.
fn retry_after(text: &[u8]) -> Option<Result<RetryAdvice, String>> {
    if text.is_empty() {
        return Some(Ok(RetryAdvice::Again));
    }
    let text = String::from_utf8_lossy(text.strip_prefix(b" ")?);
    let written = Json::parse(&text).ok().filter(|value| value.to_value().is_number());
    let wait = Delay::read(&written.unwrap_or_else(|| Json::string(text.trim())));
    Some(wait.map(|wait| RetryAdvice::AfterMs(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))))
}

/// Reports a value.
fn report(value: &[u8], control: &RunControl) -> Result<(), String> {
    let text = std::str::from_utf8(value).map_err(|error| error.to_string())?;
    control.report_progress(Json::parse(text).map_err(|error| format!("it is not JSON ({error})"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log, and the newest progress, of what a program writes in pieces of this size.
    fn read(text: &str, size: usize) -> (String, Option<Json>) {
        let control = RunControl::default();
        let mut errors = Errors::new(100_000, &control);
        for piece in text.as_bytes().chunks(size) {
            piece.split_inclusive(|byte| *byte == b'\n').for_each(|part| errors.take(part));
        }
        (errors.text(), control.progress())
    }

    #[test]
    fn lines_of_progress_are_not_in_the_log() {
        for (text, log, progress) in [
            ("a\n::progress 1\nb\n::progress {\"at\": 2}\r\nc", "a\nb\nc", Some(r#"{"at": 2}"#)),
            ("::progress 1\n::progress 2", "", Some("2")),
            ("::progress null\n", "", Some("null")),
            (
                " ::progress 1\n::progres\n::progress\n::progress",
                " ::progress 1\n::progres\n::progress\n::progress",
                None,
            ),
            ("a ::progress 1\n\n\n::pro\n", "a ::progress 1\n\n\n::pro\n", None),
            ("", "", None),
        ] {
            for size in [1, 2, 7, 1000] {
                let (read_log, read_progress) = read(text, size);
                assert_eq!((&*read_log, read_progress.as_ref().map(Json::get)), (log, progress), "{text:?} in {size}");
            }
        }
    }

    #[test]
    fn the_last_line_about_another_attempt_counts() {
        use RetryAdvice::{AfterMs, Again, Never};
        for (text, log, advice) in [
            ("a\n::retry\nb", "a\nb", Some(Again)),
            ("::retry 1m30s\r\n", "", Some(AfterMs(90_000))),
            ("::retry 2.5", "", Some(AfterMs(2_500))),
            ("::retry 0s\n", "", Some(AfterMs(0))),
            ("::fatal\n", "", Some(Never)),
            ("::fatal no such table\n", "no such table\n", Some(Never)),
            ("::fatal\n::retry 5s\n", "", Some(AfterMs(5_000))),
            ("::retry 5s\n::fatal it is gone", "it is gone", Some(Never)),
            ("::retrying\n::fatality\n ::fatal\n::ret\n", "::retrying\n::fatality\n ::fatal\n::ret\n", None),
        ] {
            for size in [1, 3, 1000] {
                let control = RunControl::default();
                let mut errors = Errors::new(100_000, &control);
                for piece in text.as_bytes().chunks(size) {
                    piece.split_inclusive(|byte| *byte == b'\n').for_each(|part| errors.take(part));
                }
                assert_eq!((&*errors.text(), errors.advice()), (log, advice), "{text:?} in {size}");
            }
        }
        for wrong in ["::retry soon", "::retry -1", "::retry 400d", "::retry {}"] {
            let (log, _) = read(wrong, 4);
            assert!(log.starts_with(&format!("{wrong}\n[hub: the line above asks for no attempt: ")), "{log}");
        }
        let long = format!("::fatal {}", "x".repeat(MAXIMUM_PROGRESS * 2));
        assert_eq!(read(&long, 100).0, long["::fatal ".len()..]);
    }

    #[test]
    fn a_faulty_line_stays_in_the_log_and_is_explained_once() {
        let long = "x".repeat(MAXIMUM_PROGRESS);
        for (faulty, why) in [
            ("::progress half".to_owned(), "it is not JSON"),
            (format!("::progress \"{long}\""), "it has more than 4096 bytes"),
            (format!("::progress {}1{}", "[".repeat(600), "]".repeat(600)), "it is nested more than 500 levels deep"),
            ("::progress 1e999".to_owned(), "it has a number"),
        ] {
            let text = format!("::progress 7\n{faulty}\n{faulty}\nend");
            for size in [1, 100, 10_000] {
                let (log, progress) = read(&text, size);
                assert_eq!(progress.as_ref().map(Json::get), Some("7"));
                let hint = log.lines().find(|line| line.starts_with("[hub: ")).unwrap();
                assert!(hint.contains(why), "{hint}");
                assert_eq!(log, format!("{faulty}\n{hint}\n{faulty}\nend"));
            }
        }
        let (log, _) = read("::progress half", 3);
        assert!(log.starts_with("::progress half\n[hub: ") && log.ends_with("]\n"), "{log}");
    }
}
