//! The connection between a run and its worker: the worker can stop the task, the task reports progress, and both know
//! the time limits of the attempt.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_core::Json;
use hub_core::job::{AttemptLimits, Timeout};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::interruption::Interruption;
use super::mask::Mask;
use crate::progress;

/// Time that a stopped task has to end if the request names none.
const DEFAULT_GRACE: Duration = Duration::from_secs(2);
/// Maximum time that a stopped task has to end.
const MAXIMUM_GRACE: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Maximum time for which the progress of a Python task is collected before it is passed on. Limits of the time without
/// progress are longer by this time.
const PROGRESS_DELAY: Duration = Duration::from_millis(100);

/// A handle to a run. Clones refer to the same run.
#[derive(Clone, Debug, Default)]
pub struct RunControl(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    limits: Option<AttemptLimits>,
    state: Mutex<State>,
    /// Notified when the task is stopped, or is to be killed earlier.
    stops: Notify,
    /// Notified when the progress has changed.
    progressed: Option<Arc<Notify>>,
}

#[derive(Debug, Default)]
struct State {
    /// When a stopped task is killed.
    kill_at: Option<Instant>,
    progress: Option<Json>,
    /// When progress was last reported.
    progressed_at: Option<Instant>,
    /// Whether the progress has changed since the worker took it.
    is_new: bool,
    /// What is masked in progress.
    mask: Mask,
}

impl RunControl {
    /// A handle to a run with these time limits. `progressed` is notified when the task reports another progress.
    #[must_use]
    pub fn new(limits: Option<AttemptLimits>, progressed: Arc<Notify>) -> Self {
        Self(Arc::new(Shared { limits, progressed: Some(progressed), ..Shared::default() }))
    }

    /// Stops the task. It is killed if it has not ended after `grace`, by default two seconds. A further call with a `grace`
    /// can shorten this time.
    pub fn stop(&self, grace: Option<Duration>) {
        let at = Instant::now() + grace.unwrap_or(DEFAULT_GRACE).min(MAXIMUM_GRACE);
        {
            let mut state = self.state();
            state.kill_at = Some(match state.kill_at {
                Some(earlier) if grace.is_none() => earlier,
                Some(earlier) => earlier.min(at),
                None => at,
            });
        }
        self.0.stops.notify_waiters();
    }

    /// Whether the task was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state().kill_at.is_some()
    }

    /// Waits until the task is stopped.
    pub async fn stopped(&self) {
        loop {
            let stops = self.0.stops.notified();
            if self.is_stopped() {
                return;
            }
            stops.await;
        }
    }

    /// Waits until the worker ends the task early: because it is stopped, or has exceeded a time limit. `since` is the
    /// start of the run.
    pub async fn interrupted(&self, since: Instant) -> Interruption {
        loop {
            if let Some(interruption) = self.interruption(since) {
                return interruption;
            }
            let limit = self.next_limit(since).map(|(due, _)| due);
            tokio::select! {
                () = self.stopped() => {}
                () = tokio::time::sleep_until(limit.unwrap_or(since)), if limit.is_some() => {}
            }
        }
    }

    /// Why the worker ends the task early, if it has to.
    pub(super) fn interruption(&self, since: Instant) -> Option<Interruption> {
        if self.is_stopped() {
            return Some(Interruption::Stopped);
        }
        self.next_limit(since).filter(|(due, _)| *due <= Instant::now()).map(|(_, interruption)| interruption)
    }

    /// The time limit that is exceeded next, unless the task reports progress or ends, and when.
    pub(super) fn next_limit(&self, since: Instant) -> Option<(Instant, Interruption)> {
        let limits = self.0.limits?;
        let run = limits.start_to_close.map(|limit| (since + limit, limit, Timeout::StartToClose));
        let silence = limits.heartbeat.map(|limit| {
            let last = self.state().progressed_at.map_or(since, |at| at.max(since));
            (last + limit + PROGRESS_DELAY, limit, Timeout::Heartbeat)
        });
        let next = run.into_iter().chain(silence).min_by_key(|(due, ..)| *due);
        next.map(|(due, limit, which)| (due, Interruption::TimedOut { which, limit }))
    }

    /// When a task that is interrupted now has to be killed, unless it is to be killed earlier.
    pub(super) fn kill_time(&self, interruption: Interruption) -> Instant {
        let grace = self.0.limits.map_or(DEFAULT_GRACE, |limits| limits.grace);
        match interruption {
            Interruption::Stopped => self.state().kill_at.unwrap_or_else(|| Instant::now() + DEFAULT_GRACE),
            Interruption::TimedOut { .. } => Instant::now() + grace,
        }
    }

    /// Waits until an interrupted task has to be killed: at `latest`, or earlier if it is stopped with less time.
    pub(super) async fn kill_due(&self, latest: Instant) {
        loop {
            let stops = self.0.stops.notified();
            let due = self.state().kill_at.map_or(latest, |at| at.min(latest));
            tokio::select! {
                () = tokio::time::sleep_until(due) => return,
                () = stops => {}
            }
        }
    }

    /// Masks the progress of the task from now on.
    pub(super) fn mask_progress(&self, mask: Mask) {
        self.state().mask = mask;
    }

    /// The task has reported progress.
    ///
    /// # Errors
    /// If the value cannot be a progress, with the reason. It counts as a report of progress all the same.
    pub fn report_progress(&self, value: Json) -> Result<(), String> {
        let flaw = progress::flaw(&value);
        let mut state = self.state();
        state.progressed_at = Some(Instant::now());
        if let Some(flaw) = flaw {
            return Err(flaw);
        }
        let value = if state.mask.is_empty() { value } else { state.mask.value(value) };
        if state.progress.as_ref() != Some(&value) {
            state.progress = Some(value);
            state.is_new = true;
            if let Some(progressed) = &self.0.progressed {
                progressed.notify_one();
            }
        }
        Ok(())
    }

    /// The newest progress of the task.
    #[must_use]
    pub fn progress(&self) -> Option<Json> {
        self.state().progress.clone()
    }

    /// Whether the progress has changed since [`RunControl::take_new_progress`].
    pub(crate) fn has_new_progress(&self) -> bool {
        self.state().is_new
    }

    /// The worker passes the progress on.
    pub(crate) fn take_new_progress(&self) {
        self.state().is_new = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(start_to_close: u64, heartbeat: u64) -> AttemptLimits {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        AttemptLimits {
            start_to_close: seconds(start_to_close),
            heartbeat: seconds(heartbeat),
            grace: Duration::from_secs(7),
        }
    }

    fn control(limits: AttemptLimits) -> RunControl {
        RunControl::new(Some(limits), Arc::default())
    }

    fn which(interruption: Interruption) -> Option<Timeout> {
        match interruption {
            Interruption::Stopped => None,
            Interruption::TimedOut { which, .. } => Some(which),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn progress_postpones_only_the_limit_of_silence() {
        let (control, since) = (control(limits(100, 30)), Instant::now());
        let works = async {
            for step in 0..3 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                control.report_progress(Json::from_checked(step.to_string())).unwrap();
            }
        };
        let (interruption, ()) = tokio::join!(control.interrupted(since), works);
        assert_eq!(which(interruption), Some(Timeout::Heartbeat));
        assert!((90..=91).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
        let control = super::tests::control(limits(50, 40));
        control.report_progress(Json::null()).unwrap();
        let started = Instant::now();
        let works = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            // It is a sign of life, although the value is refused.
            control.report_progress(Json::string(&"x".repeat(5000))).unwrap_err();
        };
        let (interruption, ()) = tokio::join!(control.interrupted(started), works);
        assert_eq!((which(interruption), started.elapsed().as_secs()), (Some(Timeout::StartToClose), 50));
        assert_eq!(control.progress(), Some(Json::null()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_stop_shortens_the_grace_and_does_not_extend_it() {
        let (control, begun) = (control(limits(100, 100)), Instant::now());
        control.stop(Some(Duration::from_secs(10)));
        control.stop(Some(Duration::from_secs(60)));
        control.stop(None);
        assert_eq!(which(control.interrupted(begun).await), None);
        let latest = control.kill_time(Interruption::Stopped);
        assert_eq!(latest - begun, Duration::from_secs(10));
        let stops = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            control.stop(Some(Duration::ZERO));
        };
        tokio::join!(control.kill_due(latest), stops);
        assert_eq!(begun.elapsed().as_secs(), 3);
    }

    #[test]
    fn only_a_changed_progress_is_new() {
        let control = RunControl::default();
        let one = || Json::from_checked("1");
        control.report_progress(one()).unwrap();
        assert!(control.has_new_progress());
        control.take_new_progress();
        control.report_progress(one()).unwrap();
        assert!(!control.has_new_progress());
        control.report_progress(Json::parse("1e999").unwrap()).unwrap_err();
        assert_eq!((control.has_new_progress(), control.progress()), (false, Some(one())));
    }
}
