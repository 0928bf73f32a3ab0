//! The heartbeat of a worker: its modules, the issues that it holds, those that it has received, and the progress of those
//! that it runs. And when it is sent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hub_core::TaskKinds;
use hub_core::text::{beginning, cut};
use hub_transport::Message;
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::issues::Issues;
use super::settings::{WorkerSettings, host_name};
use crate::runner::Catalogue;
use crate::wire::{self, Heartbeat};

/// Maximum length of a module's signature and of the reason why it is broken, in bytes. The beginning and the end are
/// kept.
const MAXIMUM_TEXT: usize = 4000;

/// Minimum interval of heartbeats that are sent because of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Why a heartbeat is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// It is time, or something that heartbeats report has changed.
    Regular,
    /// A task has reported progress.
    Progress,
    /// The worker stops.
    Leaving,
}

/// When heartbeats are due: at an interval, and when a task has reported progress.
#[derive(Debug)]
pub(super) struct Rhythm {
    interval: Interval,
    progressed: Arc<Notify>,
    /// When the next heartbeat about progress may be sent.
    next_progress: Instant,
    /// Whether there is progress to report.
    has_progress: bool,
}

impl Rhythm {
    pub(super) fn new(interval: Duration, progressed: Arc<Notify>) -> Self {
        let mut interval = tokio::time::interval(interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, progressed, next_progress: Instant::now(), has_progress: false }
    }

    /// Waits until a heartbeat is due. Cancellation-safe.
    pub(super) async fn next(&mut self) -> Occasion {
        let occasion = loop {
            tokio::select! {
                biased;
                _ = self.interval.tick() => break Occasion::Regular,
                () = tokio::time::sleep_until(self.next_progress), if self.has_progress => break Occasion::Progress,
                () = self.progressed.notified(), if !self.has_progress => self.has_progress = true,
            }
        };
        self.has_progress = false;
        // The heartbeat contains what was reported until now.
        let _ = self.progressed.notified().now_or_never();
        self.next_progress = Instant::now() + PROGRESS_INTERVAL;
        occasion
    }
}

/// The heartbeat of a worker with this catalogue, these allowed kinds of tasks, these issues and this shortage.
pub(super) fn message(
    settings: &WorkerSettings,
    catalogue: &Catalogue,
    allow: TaskKinds,
    issues: &Issues,
    shortage: Option<&Arc<str>>,
    occasion: Occasion,
) -> Message {
    let heartbeat = Heartbeat {
        v: wire::VERSION,
        worker: Arc::clone(&settings.id),
        host: host_name().into(),
        pid: std::process::id(),
        pools: settings.pools.iter().map(|pool| pool.as_str().into()).collect(),
        slots: settings.slots,
        running: u32::try_from(issues.running_count()).unwrap_or(u32::MAX),
        held: issues.held().collect(),
        present: issues.present().collect(),
        progress: issues.take_progress(occasion == Occasion::Progress),
        tasks: catalogue
            .tasks
            .iter()
            .map(|(name, info)| (name.as_str().into(), info.signature.as_deref().map(short)))
            .collect(),
        contents: catalogue.contents.iter().map(|(name, content)| (name.as_str().into(), *content)).collect(),
        defaults: catalogue
            .tasks
            .iter()
            .filter_map(|(name, info)| Some((name.as_str().into(), Arc::clone(info.defaults.as_ref()?))))
            .collect(),
        broken: catalogue.broken.iter().map(|(name, why)| (name.as_str().into(), short(why))).collect(),
        allow,
        shortage: shortage.map(|what| beginning(what, wire::MAXIMUM_SHORTAGE).into()),
        leaving: occasion == Occasion::Leaving,
    };
    let key = settings.names.heartbeat_key(&settings.id);
    let mut message = Message::new(settings.names.events(), key, wire::encode(&heartbeat)).transient();
    message.content_type = Some(wire::JSON);
    message
}

/// Truncates a text. The dispatcher ignores heartbeats that are too large.
fn short(text: &str) -> Arc<str> {
    cut(text.into(), MAXIMUM_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_with_long_texts_is_readable() {
        let long = "\u{1f600}".repeat(1_000_000);
        let catalogue = Catalogue { broken: [("a".to_owned(), long.clone())].into(), ..Catalogue::default() };
        let settings = WorkerSettings::new("hub", 1);
        let (issues, allow) = (Issues::default(), TaskKinds::default());
        let message = message(&settings, &catalogue, allow, &issues, Some(&long.into()), Occasion::Regular);
        let heartbeat = wire::Heartbeat::decode(&message.body).unwrap();
        let (shortage, broken) = (heartbeat.shortage.unwrap(), &heartbeat.broken["a"]);
        assert!((990..=wire::MAXIMUM_SHORTAGE).contains(&shortage.len()), "{} bytes", shortage.len());
        assert!(broken.len() < MAXIMUM_TEXT + 100 && broken.contains("left out"), "{} bytes", broken.len());
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_sent_at_most_once_a_second() {
        let (progressed, begun) = (Arc::new(Notify::new()), Instant::now());
        let mut rhythm = Rhythm::new(Duration::from_secs(5), Arc::clone(&progressed));
        assert_eq!(rhythm.next().await, Occasion::Regular);
        let reports = async {
            for _ in 0..22 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                progressed.notify_one();
            }
        };
        let heartbeats = async {
            let mut sent = Vec::new();
            while sent.last().is_none_or(|(_, occasion)| *occasion != Occasion::Regular) {
                let occasion = rhythm.next().await;
                sent.push((begun.elapsed().as_secs(), occasion));
            }
            sent
        };
        let (sent, ()) = tokio::join!(heartbeats, reports);
        assert_eq!(
            sent,
            [(1, Occasion::Progress), (2, Occasion::Progress), (3, Occasion::Progress), (5, Occasion::Regular)]
        );
    }
}
