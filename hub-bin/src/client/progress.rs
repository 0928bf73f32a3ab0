//! The progress bar of a job.

use std::time::Duration;

use hub_core::state::JobSummary;
use hub_core::text::Shown;
use indicatif::{ProgressBar, ProgressStyle};

/// Interval between two redraws of the bar.
const TICK: Duration = Duration::from_millis(120);

/// A bar on standard error.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(is_shown: bool) -> Self {
        if !is_shown {
            return Self(ProgressBar::hidden());
        }
        // A spinner is shown until the number of tasks is known.
        let bar = ProgressBar::no_length();
        bar.set_style(style("{spinner} {elapsed}"));
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    pub(super) fn is_shown(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Shows the number of ended tasks of a job.
    pub(super) fn show(&self, job: &JobSummary) {
        if self.0.length().is_none() {
            self.0.set_style(style("{spinner} {msg} {wide_bar} {pos}/{len} tasks {elapsed}"));
        }
        self.0.set_length(job.tasks.into());
        self.0.set_position(job.tasks_ended.into());
        self.0.set_message(Shown(&job.name).to_string());
    }

    /// Runs `say` while the bar is hidden.
    pub(super) fn suspend(&self, say: impl FnOnce()) {
        self.0.suspend(say);
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
