//! Publishes with confirms. One task publishes and counts the delivery tags, callbacks resolve them.

use std::sync::Arc;

use amqprs::channel::{BasicPublishArguments, Channel, ConfirmSelectArguments};
use amqprs::connection::Connection;
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::calls::Calls;
use super::confirms::{PendingPublish, PendingPublishes, PublishCallback};
use super::convert;
use hub_transport::amqp::{Permit, Window, check_message};
use hub_transport::{Error, ErrorKind, Message, Operation, Outcome, Publisher, Receipt, Result};

/// Publishes on a separate channel.
pub(super) struct AmqprsPublisher {
    requests: mpsc::UnboundedSender<Request>,
    window: Window,
    max_message_bytes: usize,
}

struct Request {
    message: Message,
    outcome: oneshot::Sender<Outcome>,
    permit: Permit,
}

impl AmqprsPublisher {
    /// Opens a channel in confirm mode. The end of the session resolves `pending` as unknown.
    pub(super) async fn open(
        connection: Connection,
        calls: &Calls,
        pending: PendingPublishes,
        window: Window,
        max_message_bytes: usize,
    ) -> Result<Arc<Self>> {
        let callback = PublishCallback { pending: pending.clone(), lifecycle: calls.lifecycle.clone() };
        let channel = calls.call(Operation::Publish, async move {
            let channel = connection.open_channel(None).await?;
            channel.register_callback(callback).await?;
            channel.confirm_select(ConfirmSelectArguments::default()).await?;
            Ok(channel)
        });
        let (requests, from_publisher) = mpsc::unbounded_channel();
        let (writing, lifecycle) =
            (write(channel.await?, pending, window.clone(), from_publisher), calls.lifecycle.clone());
        tokio::spawn(async move {
            // A panic of the client ends the session like an error.
            match tokio::spawn(writing).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => lifecycle.end(Some(Arc::new(error))),
                Err(panic) => {
                    let error = Error::new(ErrorKind::Protocol, Operation::Publish, "the AMQP client failed");
                    lifecycle.end(Some(Arc::new(error.with_source(panic))));
                }
            }
        });
        Ok(Arc::new(Self { requests, window, max_message_bytes }))
    }
}

#[async_trait]
impl Publisher for AmqprsPublisher {
    async fn publish(&self, message: Message) -> Result<Receipt> {
        check_message(&message, self.max_message_bytes)?;
        let permit = self.window.enter().await?;
        let (outcome, receipt) = Receipt::new();
        let request = Request { message, outcome, permit };
        self.requests
            .send(request)
            .map_err(|_| Error::new(ErrorKind::Closed, Operation::Publish, "the session has ended"))?;
        Ok(receipt)
    }
}

async fn write(
    channel: Channel,
    pending: PendingPublishes,
    window: Window,
    mut requests: mpsc::UnboundedReceiver<Request>,
) -> Result<()> {
    let mut tag = 0;
    while let Some(Request { message, outcome, permit }) = requests.recv().await {
        tag += 1;
        // Added before the publish, because the confirm may arrive before the call returns.
        pending.insert(tag, PendingPublish::new(outcome, message.body.len(), permit));
        let mark = message.mandatory.then_some(tag);
        let mut arguments = BasicPublishArguments::new(&message.exchange, &message.routing_key);
        let arguments = arguments.mandatory(message.mandatory).finish();
        let published = channel.basic_publish(convert::properties(&message, mark), message.body.to_vec(), arguments);
        published.await.map_err(|source| convert::error(Operation::Publish, source))?;
    }
    // The publisher was dropped. The client closes the channel when it is dropped, so it is kept until the last publish has its
    // outcome.
    window.settled().await;
    pending.retire();
    Ok(())
}
