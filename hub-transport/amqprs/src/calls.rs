//! Calls that wait for a response of the broker.

use std::sync::Arc;
use std::time::Duration;

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::Channel;
use amqprs::connection::Connection;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use tokio::sync::watch;

use super::convert::{closed_by_broker, error};
use hub_transport::amqp::Lifecycle;
use hub_transport::{Error, ErrorKind, Operation, Result};

/// Maximum time to wait for the broker's reason for closing a channel after a failed call.
const EXPLANATION: Duration = Duration::from_secs(1);

type Done<T> = std::result::Result<T, amqprs::error::Error>;

/// Runs calls with a time limit.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    pub(super) lifecycle: Lifecycle,
    pub(super) limit: Duration,
}

impl Calls {
    /// Runs a call in a separate task, because dropping an unfinished call makes the client's tasks fail. If the broker does not
    /// answer, the session is ended, since the call would still be waiting in it.
    pub(super) async fn call<T, F>(&self, operation: Operation, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Done<T>> + Send + 'static,
    {
        if self.lifecycle.has_ended() {
            return Err(Error::new(ErrorKind::Closed, operation, "the session has ended"));
        }
        match tokio::time::timeout(self.limit, tokio::spawn(call)).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(source))) => Err(error(operation, source)),
            Ok(Err(panic)) => {
                Err(Error::new(ErrorKind::Protocol, operation, "the AMQP client failed").with_source(panic))
            }
            Err(_) => Err(self.lifecycle.unanswered(operation)),
        }
    }
}

/// A channel for calls and for consuming. It keeps the broker's reason if the broker closes the channel.
#[derive(Clone)]
pub(super) struct CallChannel {
    pub(super) channel: Channel,
    reason: watch::Sender<Option<Arc<Error>>>,
    operation: Operation,
    calls: Calls,
}

impl CallChannel {
    pub(super) async fn open(connection: Connection, calls: &Calls, operation: Operation) -> Result<Self> {
        let reason = watch::channel(None).0;
        let callback = CloseReason { reason: reason.clone(), operation };
        let channel = calls.call(operation, async move {
            let channel = connection.open_channel(None).await?;
            channel.register_callback(callback).await?;
            Ok(channel)
        });
        Ok(Self { channel: channel.await?, reason, operation, calls: calls.clone() })
    }

    /// Runs a call. If the broker closes the channel in response, its reason becomes the error.
    pub(super) async fn call<T, F>(&self, asking: impl FnOnce(Channel) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Done<T>> + Send + 'static,
    {
        let error = match self.calls.call(self.operation, asking(self.channel.clone())).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if self.calls.lifecycle.has_ended() {
            return Err(error);
        }
        let mut reason = self.reason.subscribe();
        let received = tokio::time::timeout(EXPLANATION, reason.wait_for(Option::is_some)).await;
        match received.ok().and_then(|reason| reason.ok()?.clone()) {
            Some(reason) => {
                let explained = Error::new(reason.kind(), self.operation, reason.message());
                Err(explained.with_queue(reason.queue()).with_source(error))
            }
            None => Err(error),
        }
    }

    /// Waits until the broker has closed the channel or cancelled its consumer.
    pub(super) async fn ended(&self) {
        let mut reason = self.reason.subscribe();
        // `self` holds a sender, so the wait does not fail.
        let _ = reason.wait_for(Option::is_some).await;
    }

    /// Whether deliveries of this channel can still be settled.
    pub(super) fn is_open(&self) -> bool {
        self.channel.is_open() && self.channel.is_connection_open() && !self.calls.lifecycle.has_ended()
    }

    /// Closes the channel in the background.
    pub(super) fn close(&self) {
        let channel = self.channel.clone();
        // An error means that the channel is closed already.
        tokio::spawn(async move { channel.close().await });
    }
}

/// Receives the broker's reason for closing the channel.
struct CloseReason {
    reason: watch::Sender<Option<Arc<Error>>>,
    operation: Operation,
}

#[async_trait]
impl ChannelCallback for CloseReason {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Done<()> {
        let error = closed_by_broker(self.operation, close.reply_code(), close.reply_text());
        self.reason.send_replace(Some(Arc::new(error)));
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Done<()> {
        let error = Error::new(
            ErrorKind::NotFound,
            self.operation,
            "the broker cancelled the consumer, because its queue was deleted",
        );
        self.reason.send_replace(Some(Arc::new(error)));
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Done<bool> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, _: Ack) {}

    async fn publish_nack(&mut self, _: &Channel, _: Nack) {}

    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {}
}
