//! The trace of a run: a fingerprint that is equal for two runs of a seed, and a text for the analysis of a failure.

use std::fmt::Write as _;
use std::time::Duration;

/// Number of the latest lines that are kept by default.
const KEPT: usize = 400;

/// The trace of events.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    length: u64,
    whole: bool,
    lines: std::collections::VecDeque<String>,
}

impl Trace {
    /// An empty trace. With `whole`, all lines are kept instead of the latest ones.
    #[must_use]
    pub fn new(whole: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, whole, ..Self::default() }
    }

    /// Adds an event at this time.
    pub fn add(&mut self, after: Duration, what: impl std::fmt::Display) {
        let mut line = String::with_capacity(96);
        let _ = write!(line, "{:>9} ms  {what}", after.as_millis());
        // FNV-1a.
        self.hash = line.bytes().fold(self.hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.length += 1;
        if !self.whole && self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The fingerprint of the trace.
    #[must_use]
    pub const fn fingerprint(&self) -> (u64, u64) {
        (self.hash, self.length)
    }

    /// The lines that were kept.
    #[must_use]
    pub fn text(&self) -> String {
        let skipped = self.length - self.lines.len() as u64;
        let mut text = if skipped > 0 { format!("({skipped} lines before)\n") } else { String::new() };
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}
