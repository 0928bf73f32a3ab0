//! Publishes that wait for their confirms, and the callback that resolves them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::Channel;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use tokio::sync::oneshot;

use super::convert::{closed_by_broker, mark};
use hub_transport::amqp::{End, Permit, size_limit};
use hub_transport::{Error, ErrorKind, Operation, Outcome};

type Done<T> = std::result::Result<T, amqprs::error::Error>;

/// A publish without an outcome.
pub(super) struct Open {
    outcome: oneshot::Sender<Outcome>,
    size: usize,
    came_back: bool,
    _permit: Permit,
}

impl Open {
    pub(super) fn new(outcome: oneshot::Sender<Outcome>, size: usize, permit: Permit) -> Self {
        Self { outcome, size, came_back: false, _permit: permit }
    }

    fn conclude(self, outcome: &Outcome) {
        let _ = self.outcome.send(if self.came_back { Outcome::Unroutable } else { outcome.clone() });
    }
}

/// The publishes of a channel that have no outcome, by their tags.
#[derive(Clone, Default)]
pub(super) struct Opens(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    open: BTreeMap<u64, Open>,
    ended: bool,
    /// Nobody publishes any more: the channel may go.
    retired: bool,
}

impl Opens {
    /// Notes a publish. On a channel that has ended it is dropped, and so its outcome is unknown.
    pub(super) fn insert(&self, tag: u64, open: Open) {
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

    fn came_back(&self, tag: u64) {
        if let Some(open) = self.state().open.get_mut(&tag) {
            open.came_back = true;
        }
    }

    /// The channel is closed because it is not needed any more.
    pub(super) fn retire(&self) {
        self.state().retired = true;
    }

    /// The channel has ended: every outcome is unknown, but of a message that was too large.
    pub(super) fn end(&self, cause: &Arc<Error>) {
        let open = {
            let mut state = self.state();
            state.ended = true;
            std::mem::take(&mut state.open)
        };
        let limit = size_limit(cause.message());
        for open in open.into_values() {
            // One message that is too large takes the channel with it. It must not go out again for ever.
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

/// Resolves the publishes of a channel. Lives as long as the client's task that serves the channel.
pub(super) struct OnPublishing {
    pub(super) opens: Opens,
    pub(super) end: End,
}

impl Drop for OnPublishing {
    fn drop(&mut self) {
        let retired = self.opens.state().retired;
        if !retired {
            // A channel that has died publishes nothing more, and the session with it.
            let error = Error::new(ErrorKind::Closed, Operation::Publish, "the channel was lost");
            self.end.come(Some(Arc::new(error)));
        }
        self.opens.end(&self.end.cause());
    }
}

#[async_trait]
impl ChannelCallback for OnPublishing {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Done<()> {
        let error = Arc::new(closed_by_broker(Operation::Publish, close.reply_code(), close.reply_text()));
        self.opens.end(&error);
        self.end.come(Some(error));
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Done<()> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Done<bool> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.opens.resolve(ack.delivery_tag(), ack.mutiple(), &Outcome::Confirmed);
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        self.opens.resolve(nack.delivery_tag(), nack.multiple(), &Outcome::Refused);
    }

    /// A broker returns a message before it confirms it.
    async fn publish_return(&mut self, _: &Channel, _: Return, properties: BasicProperties, _: Vec<u8>) {
        if let Some(tag) = mark(&properties) {
            self.opens.came_back(tag);
        }
    }
}
