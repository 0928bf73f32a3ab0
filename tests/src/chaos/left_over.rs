//! Finds processes that were started with a mark and are still running.

use std::path::Path;

use crate::eventually;

/// A variable in the environment of programs that child processes inherit.
#[derive(Clone, Debug)]
pub struct Mark(String);

impl Mark {
    /// The variable's name. (Hub hides its own variables from tasks.)
    pub const NAME: &'static str = "CHAOS_MARK";

    /// A unique mark.
    #[must_use]
    pub fn new(test: &str) -> Self {
        Self(format!("{test}-{}", std::process::id()))
    }

    /// The variable's value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.0
    }

    /// Waits until no process has the mark.
    ///
    /// # Panics
    /// If processes remain after the deadline. The message contains their command lines.
    pub fn wait_until_no_process_remains(&self) {
        eventually("no process is left", || {
            let left = self.processes();
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
    }

    /// The processes of this machine with the mark, with their command lines.
    fn processes(&self) -> Vec<String> {
        let entry = format!("{}={}", Self::NAME, self.0).into_bytes();
        let carries = |process: &Path| {
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == entry)
        };
        let shown = |process: &Path| {
            let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
            format!("{}: {}", process.display(), String::from_utf8_lossy(&line).replace('\0', " "))
        };
        let processes = std::fs::read_dir("/proc").expect("the system lists its processes").flatten();
        processes.map(|entry| entry.path()).filter(|process| carries(process)).map(|process| shown(&process)).collect()
    }
}
