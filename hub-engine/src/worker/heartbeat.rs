//! The heartbeat of a worker: its modules, the issues that it holds, and those that it has received.

use std::sync::Arc;

use hub_core::text::{beginning, cut};
use hub_transport::Message;

use super::issues::Issues;
use super::settings::{WorkerSettings, host_name};
use crate::runner::Catalogue;
use crate::wire::{self, Heartbeat};

/// Maximum length of a module's signature and of the reason why it is broken, in bytes. The beginning and the end are
/// kept.
const MAXIMUM_TEXT: usize = 4000;

/// The heartbeat of a worker with this catalogue, these issues and this shortage.
pub(super) fn message(
    settings: &WorkerSettings,
    catalogue: &Catalogue,
    issues: &Issues,
    shortage: Option<&Arc<str>>,
    leaving: bool,
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
        tasks: catalogue
            .tasks
            .iter()
            .map(|(name, info)| (name.as_str().into(), info.signature.as_deref().map(short)))
            .collect(),
        broken: catalogue.broken.iter().map(|(name, why)| (name.as_str().into(), short(why))).collect(),
        shortage: shortage.map(|what| beginning(what, wire::MAXIMUM_SHORTAGE).into()),
        leaving,
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
        let message = message(&settings, &catalogue, &Issues::default(), Some(&long.into()), false);
        let heartbeat = wire::Heartbeat::decode(&message.body).unwrap();
        let (shortage, broken) = (heartbeat.shortage.unwrap(), &heartbeat.broken["a"]);
        assert!((990..=wire::MAXIMUM_SHORTAGE).contains(&shortage.len()), "{} bytes", shortage.len());
        assert!(broken.len() < MAXIMUM_TEXT + 100 && broken.contains("left out"), "{} bytes", broken.len());
    }
}
