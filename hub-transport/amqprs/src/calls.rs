//! Calls: what is asked of the broker and answered.

use std::sync::Arc;
use std::time::Duration;

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::Channel;
use amqprs::connection::Connection;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use tokio::sync::watch;

use super::convert::{closed_by_broker, error};
use hub_transport::amqp::End;
use hub_transport::{Error, ErrorKind, Operation, Result};

/// How long the broker's reason for closing a channel may come after the failed call.
const EXPLANATION: Duration = Duration::from_secs(1);

type Done<T> = std::result::Result<T, amqprs::error::Error>;

/// Asks the broker.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    pub(super) end: End,
    pub(super) limit: Duration,
}

impl Calls {
    /// Asks, in a task of its own: a call that is dropped half-way brings the client's own tasks down. A broker that does
    /// not answer ends the session, since the call would still be waiting in it.
    pub(super) async fn call<T, F>(&self, operation: Operation, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Done<T>> + Send + 'static,
    {
        if self.end.has_come() {
            return Err(Error::new(ErrorKind::Closed, operation, "the session has ended"));
        }
        match tokio::time::timeout(self.limit, tokio::spawn(call)).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(source))) => Err(error(operation, source)),
            Ok(Err(panic)) => {
                Err(Error::new(ErrorKind::Protocol, operation, "the AMQP client failed").with_source(panic))
            }
            Err(_) => Err(self.end.unanswered(operation)),
        }
    }
}

/// A channel for calls and for consuming, with the broker's reason where it ends it.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) channel: Channel,
    reason: watch::Sender<Option<Arc<Error>>>,
    operation: Operation,
    calls: Calls,
}

impl Line {
    pub(super) async fn open(connection: Connection, calls: &Calls, operation: Operation) -> Result<Self> {
        let reason = watch::channel(None).0;
        let callback = OnLine { reason: reason.clone(), operation };
        let channel = calls.call(operation, async move {
            let channel = connection.open_channel(None).await?;
            channel.register_callback(callback).await?;
            Ok(channel)
        });
        Ok(Self { channel: channel.await?, reason, operation, calls: calls.clone() })
    }

    /// Asks the broker. Where it answers by closing the channel, its reason is the error.
    pub(super) async fn call<T, F>(&self, asking: impl FnOnce(Channel) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Done<T>> + Send + 'static,
    {
        let error = match self.calls.call(self.operation, asking(self.channel.clone())).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if self.calls.end.has_come() {
            return Err(error);
        }
        let mut reason = self.reason.subscribe();
        let told = tokio::time::timeout(EXPLANATION, reason.wait_for(Option::is_some)).await;
        match told.ok().and_then(|told| told.ok()?.clone()) {
            Some(why) => {
                let told = Error::new(why.kind(), self.operation, why.message());
                Err(told.with_queue(why.queue()).with_source(error))
            }
            None => Err(error),
        }
    }

    /// Returns when the broker has ended the channel, or the consumer on it.
    pub(super) async fn ended(&self) {
        let mut reason = self.reason.subscribe();
        // This holds a sender itself, so that the wait does not fail.
        let _ = reason.wait_for(Option::is_some).await;
    }

    /// Whether what was delivered on it can be settled on it.
    pub(super) fn is_open(&self) -> bool {
        self.channel.is_open() && self.channel.is_connection_open() && !self.calls.end.has_come()
    }

    /// Closes the channel, without waiting for it.
    pub(super) fn close(&self) {
        let channel = self.channel.clone();
        // One that has died meanwhile is as closed as it can be.
        tokio::spawn(async move { channel.close().await });
    }
}

/// Hears why the broker closes the channel.
struct OnLine {
    reason: watch::Sender<Option<Arc<Error>>>,
    operation: Operation,
}

#[async_trait]
impl ChannelCallback for OnLine {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Done<()> {
        let error = closed_by_broker(self.operation, close.reply_code(), close.reply_text());
        self.reason.send_replace(Some(Arc::new(error)));
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Done<()> {
        let error = Error::new(ErrorKind::NotFound, self.operation, "the broker ended the consumer: its queue is gone");
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
