//! How a worker says that it lives, what it has, and what it holds.

use std::sync::Arc;

use hub_transport::Message;

use super::attempts::Attempts;
use super::settings::{WorkerSettings, host_name};
use crate::runner::Catalogue;
use crate::wire::{self, Heartbeat};

/// The heartbeat of a worker with this catalogue and these issues, whose machine is short of this.
pub(super) fn message(
    settings: &WorkerSettings,
    catalogue: &Catalogue,
    attempts: &Attempts,
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
        running: u32::try_from(attempts.running_count()).unwrap_or(u32::MAX),
        held: attempts.held().map(Into::into).collect(),
        present: attempts.present().map(Into::into).collect(),
        tasks: catalogue
            .tasks
            .iter()
            .map(|(name, info)| (name.as_str().into(), info.signature.as_deref().map(Into::into)))
            .collect(),
        broken: catalogue.broken.iter().map(|(name, why)| (name.as_str().into(), why.as_str().into())).collect(),
        shortage: shortage.cloned(),
        leaving,
    };
    let key = settings.names.heartbeat_key(&settings.id);
    let mut message = Message::new(settings.names.events(), key, wire::encode(&heartbeat)).transient();
    message.content_type = Some(wire::JSON);
    message
}
