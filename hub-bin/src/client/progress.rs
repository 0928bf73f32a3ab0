//! The progress of a job that is waited for.

use std::time::Duration;

use hub_core::text::Shown;
use indicatif::{ProgressBar, ProgressStyle};

/// Interval between two pictures of the bar.
const TICK: Duration = Duration::from_millis(120);

/// A bar on standard error.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(is_shown: bool) -> Self {
        if !is_shown {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len} tasks {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    pub(super) fn is_shown(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Shows how many tasks of a job of this name have ended.
    pub(super) fn show(&self, name: &str, ended: u64, tasks: u64) {
        self.0.set_length(tasks);
        self.0.set_position(ended);
        self.0.set_message(Shown(name).to_string());
    }

    /// Runs `say` while the bar is not there.
    pub(super) fn suspend(&self, say: impl FnOnce()) {
        self.0.suspend(say);
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
