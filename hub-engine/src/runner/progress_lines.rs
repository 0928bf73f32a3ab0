//! The standard error of a program: the log of its task, and lines that report progress, which are not part of the log.

use hub_core::Json;
use hub_core::machine::MAXIMUM_PROGRESS;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::RunControl;
use super::streams::{READ_BYTES, Tail};

/// The beginning of a line that reports progress. The rest of the line is the value.
const PREFIX: &[u8] = b"::progress ";
/// Maximum length of such a line in bytes, without its end.
const MAXIMUM_LINE: usize = PREFIX.len() + MAXIMUM_PROGRESS;

/// The standard error of a program.
#[derive(Debug)]
pub(super) struct Errors<'a> {
    log: Tail,
    control: &'a RunControl,
    /// The beginning of the current line, as long as the line may report progress.
    line: Vec<u8>,
    /// Whether the beginning of the current line is in the log.
    is_logged: bool,
    /// Why the current line reports no progress, although it begins like one that does.
    flaw: Option<String>,
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
            let compared = self.line.len().min(PREFIX.len());
            if self.line[..compared] != PREFIX[..compared] {
                self.log_line();
            } else if self.line.len() > MAXIMUM_LINE {
                self.flaw = Some(format!("it has more than {MAXIMUM_PROGRESS} bytes, which is the limit"));
                self.log_line();
            }
        }
        if !end.is_empty() {
            self.end_line(end);
        }
    }

    fn end_line(&mut self, end: &[u8]) {
        let value = self.line.strip_prefix(PREFIX);
        match value.map(|value| report(value, self.control)) {
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

    /// Moves the current line to the log.
    fn log_line(&mut self) {
        self.log.push(&self.line);
        self.line.clear();
        self.is_logged = true;
    }

    /// Explains once in the log why a line was not taken as progress.
    fn explain(&mut self, end: &[u8]) {
        let Some(flaw) = self.flaw.take().filter(|_| !self.has_explained) else { return };
        self.has_explained = true;
        let begin = if end.is_empty() { "\n" } else { "" };
        let hint = format!("{begin}[hub: the line above reports no progress: {flaw}. Write ::progress JSON]\n");
        self.log.push(hint.as_bytes());
    }
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
