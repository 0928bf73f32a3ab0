//! What happened, in order: a fingerprint that two runs of a seed must share, and the text for whoever looks for
//! the cause of a failure.

use std::fmt::Write as _;
use std::time::Duration;

/// So many of the latest lines are kept where not all are wanted.
const KEPT: usize = 400;

/// What happened, in order.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    length: u64,
    whole: bool,
    lines: std::collections::VecDeque<String>,
}

impl Trace {
    /// An empty trace; `whole` keeps every line instead of the latest.
    #[must_use]
    pub fn new(whole: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, whole, ..Self::default() }
    }

    /// Adds what happened after so long.
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

    /// What two runs of the same seed have in common, and hardly any others.
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
