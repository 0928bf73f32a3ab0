//! Publishes without an outcome, and the callback that resolves them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::Channel;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use tokio::sync::oneshot;

use super::convert::{closed_by_broker, mark};
use hub_transport::amqp::{Lifecycle, Permit, size_limit};
use hub_transport::{Error, ErrorKind, Operation, Outcome};

type Done<T> = std::result::Result<T, amqprs::error::Error>;

/// A publish without an outcome.
pub(super) struct PendingPublish {
    outcome: oneshot::Sender<Outcome>,
    size: usize,
    returned: bool,
    _permit: Permit,
}

impl PendingPublish {
    pub(super) fn new(outcome: oneshot::Sender<Outcome>, size: usize, permit: Permit) -> Self {
        Self { outcome, size, returned: false, _permit: permit }
    }

    fn conclude(self, outcome: &Outcome) {
        let _ = self.outcome.send(if self.returned { Outcome::Unroutable } else { outcome.clone() });
    }
}

/// The publishes of a channel without an outcome, by their delivery tags.
#[derive(Clone, Default)]
pub(super) struct PendingPublishes(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    open: BTreeMap<u64, PendingPublish>,
    ended: bool,
    /// The publisher was dropped and all its publishes have outcomes, so the end of the channel is not an error.
    retired: bool,
}

impl PendingPublishes {
    /// Adds a publish. If the channel has ended, the publish is dropped, so its outcome is unknown.
    pub(super) fn insert(&self, tag: u64, open: PendingPublish) {
        let mut state = self.state();
        if !state.ended {
            state.open.insert(tag, open);
        }
    }

    fn resolve(&self, tag: u64, multiple: bool, outcome: &Outcome) {
        let mut state = self.state();
        if multiple {
            let later = state.open.split_off(&(tag + 1));
            let resolved = std::mem::replace(&mut state.open, later);
            drop(state);
            resolved.into_values().for_each(|open| open.conclude(outcome));
        } else {
            let resolved = state.open.remove(&tag);
            drop(state);
            resolved.into_iter().for_each(|open| open.conclude(outcome));
        }
    }

    fn returned(&self, tag: u64) {
        if let Some(open) = self.state().open.get_mut(&tag) {
            open.returned = true;
        }
    }

    /// Marks the channel as no longer needed.
    pub(super) fn retire(&self) {
        self.state().retired = true;
    }

    /// Handles the end of the channel: all outcomes become unknown, except that of a message that was too large.
    pub(super) fn end(&self, cause: &Arc<Error>) {
        let open = {
            let mut state = self.state();
            state.ended = true;
            std::mem::take(&mut state.open)
        };
        let limit = size_limit(cause.message());
        for open in open.into_values() {
            // The broker closes the channel over a message that is too large. This message must not be published again.
            let too_large = limit.is_some_and(|limit| open.size > limit);
            let _ = open.outcome.send(if too_large {
                Outcome::Rejected(cause.message().to_owned())
            } else {
                Outcome::Unknown(Arc::clone(cause))
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves the publishes of a channel. It is dropped with the client's task for the channel.
pub(super) struct PublishCallback {
    pub(super) pending: PendingPublishes,
    pub(super) lifecycle: Lifecycle,
}

impl Drop for PublishCallback {
    fn drop(&mut self) {
        let retired = self.pending.state().retired;
        if !retired {
            // Without its publishing channel, the session is useless.
            let error = Error::new(ErrorKind::Closed, Operation::Publish, "the channel was lost");
            self.lifecycle.end(Some(Arc::new(error)));
        }
        self.pending.end(&self.lifecycle.cause());
    }
}

#[async_trait]
impl ChannelCallback for PublishCallback {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Done<()> {
        let error = Arc::new(closed_by_broker(Operation::Publish, close.reply_code(), close.reply_text()));
        self.pending.end(&error);
        self.lifecycle.end(Some(error));
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Done<()> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Done<bool> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.pending.resolve(ack.delivery_tag(), ack.mutiple(), &Outcome::Confirmed);
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        self.pending.resolve(nack.delivery_tag(), nack.multiple(), &Outcome::Refused);
    }

    /// The broker returns a message before it confirms it.
    async fn publish_return(&mut self, _: &Channel, _: Return, properties: BasicProperties, _: Vec<u8>) {
        if let Some(tag) = mark(&properties) {
            self.pending.returned(tag);
        }
    }
}
