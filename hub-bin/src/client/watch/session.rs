//! Looks at a job again and again, and shows what happens until it has ended.

use std::io::Stderr;
use std::pin::pin;
use std::time::Duration;

use hub_core::JobId;
use hub_core::state::JobSummary;
use hub_engine::clock::wall;
use hub_engine::operations::{Hub, RequestError, RequestErrorKind, TaskQuery, View};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::super::followed::Followed;
use super::super::output::Output;
use super::super::style::Style;
use super::changes::Change;
use super::frame;
use super::line::Line;
use super::model::Model;
use super::report;
use super::screen::Screen;
use super::seen::{DETAIL_KEYS, Detail, KEYS, TaskSeen, tasks_with_items};
use super::story::{self, Entry, Story};
use crate::exit::Failure;

/// Minimum time between two looks at a job.
const MINIMUM_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum time between two looks at a job.
const MAXIMUM_INTERVAL: Duration = Duration::from_secs(10);
/// Part of the time that the answers to one look may take, at most: one in this number.
const SHARE: u32 = 10;
/// Interval between two redraws of the live view.
const TICK: Duration = Duration::from_millis(250);
/// Maximum number of tasks in one answer.
const PAGE: usize = 1000;
/// Maximum time without an answer from the Hub.
const MAXIMUM_SILENCE: Duration = Duration::from_secs(3600);

/// A job that is being watched.
struct Session<'s> {
    hub: &'s dyn Hub,
    id: JobId,
    begun: Instant,
    model: Option<Model>,
    story: Story,
    /// Changes of the look that is under way. They are shown when it is complete, though a request failed and was repeated.
    changes: Vec<Change>,
    /// Whether a look is complete.
    has_looked: bool,
    screen: Screen<Stderr>,
    /// Whether there is a live view.
    is_live: bool,
}

/// Shows what happens in a job until it has ended or `limit` has passed.
///
/// # Errors
/// The permanent errors of the requests.
pub(in super::super) async fn follow(
    hub: &dyn Hub,
    id: JobId,
    limit: Option<Duration>,
    view: &View,
    output: &Output,
) -> Result<Followed, Failure> {
    let style = output.message_style();
    let mut session = Session {
        hub,
        id,
        begun: Instant::now(),
        model: None,
        story: Story::default(),
        changes: Vec::new(),
        has_looked: false,
        screen: Screen::new(std::io::stderr(), style.has_colors),
        is_live: output.has_live_view(),
    };
    let followed = session.until_ended(limit).await?;
    session.clear();
    if let (Followed::Ended(_), Some(model)) = (&followed, &session.model) {
        // The job has ended, whether its failures can be described or not.
        match report::failures(hub, id, model, output.describes_failures(view), style).await {
            Ok(Some(text)) => print_failures(&text),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the failures cannot be described"),
        }
    }
    Ok(followed)
}

/// The text is escaped where it was made. It has colours, so it is not escaped again.
fn print_failures(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}\n");
}

impl Session<'_> {
    async fn until_ended(&mut self, limit: Option<Duration>) -> Result<Followed, Failure> {
        let deadline = limit.map(|limit| self.begun + limit);
        let left = |step: Duration| {
            deadline.map_or(step, |deadline| deadline.saturating_duration_since(Instant::now()).min(step))
        };
        let (mut wait, mut answered_at, mut is_silent) = (Duration::ZERO, None, false);
        let mut ticks = Ticks::new(self.is_live);
        loop {
            let step = left(wait);
            let looked = match self.summary(step, &mut ticks).await {
                Ok(summary) => {
                    let begun = Instant::now();
                    let seen = self.look(&summary).await;
                    wait = (begun.elapsed() * SHARE).clamp(MINIMUM_INTERVAL, MAXIMUM_INTERVAL);
                    // The end of the job counts, even if its last tasks cannot be seen.
                    if summary.status.is_terminal() {
                        if seen.is_err() {
                            self.show_changes().await;
                        }
                        return Ok(Followed::Ended(summary));
                    }
                    seen
                }
                Err(error) => Err(error),
            };
            match looked {
                Ok(()) => (answered_at, is_silent) = (Some(Instant::now()), false),
                Err(error) if is_temporary(&error, answered_at) => {
                    tracing::debug!(%error, "the request failed and is repeated");
                    if !std::mem::replace(&mut is_silent, true) {
                        self.show(vec![story::silence(self.model.as_ref(), wall())]);
                    }
                    wait = MINIMUM_INTERVAL;
                    tokio::time::sleep(left(MINIMUM_INTERVAL)).await;
                }
                Err(error) => return Err(error.into()),
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(Followed::TimedOut);
            }
        }
    }

    /// The summary of the job, when it has ended or `wait` has passed. Meanwhile the view is drawn again.
    async fn summary(&mut self, wait: Duration, ticks: &mut Ticks) -> Result<JobSummary, RequestError> {
        let hub = self.hub;
        let mut asking = pin!(hub.summary(self.id, Some(wait)));
        loop {
            tokio::select! {
                biased;
                answer = &mut asking => return answer,
                was_stopped = ticks.next() => {
                    if was_stopped {
                        self.screen.forget();
                    }
                    self.show(Vec::new());
                }
            }
        }
    }

    /// Looks at the tasks that have not ended, and shows what has changed.
    async fn look(&mut self, summary: &JobSummary) -> Result<(), RequestError> {
        if self.model.is_none() {
            let document = async { self.hub.document(self.id).await.map(|document| tasks_with_items(document.text())) };
            let names = document.await.ok().flatten();
            self.model = Some(Model::new(summary, names));
        }
        let Some(model) = &mut self.model else { return Ok(()) };
        model.status = summary.status;
        let mut next = model.next_open(0, PAGE);
        while let Some((from, limit)) = next {
            let query = TaskQuery {
                after: u32::try_from(from).ok(),
                limit: u32::try_from(limit).ok(),
                of: None,
                view: View::whole().with_fields(KEYS),
            };
            let page = report::read::<TaskSeen>(&self.hub.tasks(self.id, query).await?)?;
            self.changes.extend(model.see(from, page.tasks));
            next = match page.next {
                Some(after) => model.next_open(after as usize, PAGE),
                None => {
                    model.complete();
                    None
                }
            };
        }
        model.note(self.begun.elapsed());
        self.show_changes().await;
        Ok(())
    }

    /// Shows what has changed. A job that has ended before the watch began has its record, which is printed.
    async fn show_changes(&mut self) {
        let mut changes = std::mem::take(&mut self.changes);
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        let Some(model) = &self.model else { return };
        if is_first && model.status.is_terminal() {
            return;
        }
        let (at, mut lines) = (wall(), Vec::new());
        let had_ended = |change: &Change| matches!(change.kind, super::changes::Kind::Ended(_));
        if is_first && changes.iter().any(had_ended) {
            lines.push(story::before(model, at));
            changes.retain(|change| !had_ended(change));
        }
        let entries = self.story.entries(&changes, model.tasks().len());
        for entry in &entries {
            let detail = match entry {
                Entry::One(change) if change.kind.has_detail() => self.detail(change.position).await,
                _ => None,
            };
            lines.push(story::line(entry, model, detail.as_ref(), at));
        }
        if !self.is_live {
            lines.extend(self.story.progress(model, self.begun.elapsed(), at));
        }
        self.show(lines);
    }

    /// Why a task failed. `None` if the Hub does not say.
    async fn detail(&self, position: usize) -> Option<Detail> {
        let query = TaskQuery {
            after: u32::try_from(position).ok(),
            limit: Some(1),
            of: None,
            view: View::whole().with_fields(DETAIL_KEYS),
        };
        report::read::<Detail>(&self.hub.tasks(self.id, query).await.ok()?).ok()?.tasks.into_iter().next()
    }

    /// Prints lines, and draws the live view again.
    fn show(&mut self, lines: Vec<Line>) {
        match &self.model {
            Some(model) if self.is_live => {
                let size = Style::size_of_stderr();
                let view = frame::lines(model, self.begun.elapsed(), wall(), size);
                self.screen.draw(&lines, &view, size);
            }
            _ if lines.is_empty() => {}
            _ => self.screen.print(&lines),
        }
    }

    fn clear(&mut self) {
        self.screen.clear(Style::size_of_stderr());
    }
}

impl Drop for Session<'_> {
    /// An interrupted watch leaves no view behind.
    fn drop(&mut self) {
        self.clear();
    }
}

/// When the live view is drawn again.
struct Ticks {
    interval: Option<Interval>,
    continued: Option<Signal>,
}

impl Ticks {
    fn new(is_live: bool) -> Self {
        let mut every = interval(TICK);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let continued = signal(SignalKind::from_raw(nix::libc::SIGCONT)).ok();
        Self { interval: is_live.then_some(every), continued: continued.filter(|_| is_live) }
    }

    /// Waits for the next time. Returns whether the program was stopped meanwhile, so that the shell has used the terminal.
    async fn next(&mut self) -> bool {
        let Some(interval) = &mut self.interval else { return std::future::pending().await };
        match &mut self.continued {
            Some(continued) => tokio::select! {
                biased;
                _ = continued.recv() => true,
                _ = interval.tick() => false,
            },
            None => {
                interval.tick().await;
                false
            }
        }
    }
}

/// Whether the request may be repeated: the dispatcher may be restarting. A Hub that has never answered is not waited for.
fn is_temporary(error: &RequestError, answered_at: Option<Instant>) -> bool {
    let is_silent_too_long = answered_at.is_some_and(|at| at.elapsed() > MAXIMUM_SILENCE);
    match error.kind {
        RequestErrorKind::TimedOut | RequestErrorKind::Unavailable => !is_silent_too_long,
        RequestErrorKind::Unreachable => answered_at.is_some() && !is_silent_too_long,
        _ => false,
    }
}
