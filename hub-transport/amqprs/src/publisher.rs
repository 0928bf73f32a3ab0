//! Publishes with confirms: one task counts the tags, callbacks resolve them.

use std::sync::Arc;

use amqprs::channel::{BasicPublishArguments, Channel, ConfirmSelectArguments};
use amqprs::connection::Connection;
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::calls::Calls;
use super::confirms::{OnPublishing, Open, Opens};
use super::convert;
use hub_transport::amqp::{Permit, Window, check_message};
use hub_transport::{Error, ErrorKind, Message, Operation, Outcome, Publisher, Receipt, Result};

/// Publishes on a channel of its own.
pub(super) struct AmqprsPublisher {
    orders: mpsc::UnboundedSender<Order>,
    window: Window,
    max_message_bytes: usize,
}

struct Order {
    message: Message,
    outcome: oneshot::Sender<Outcome>,
    permit: Permit,
}

impl AmqprsPublisher {
    /// Opens a channel in confirm mode. `opens` are resolved as unknown by whoever ends the session.
    pub(super) async fn open(
        connection: Connection,
        calls: &Calls,
        opens: Opens,
        window: Window,
        max_message_bytes: usize,
    ) -> Result<Arc<Self>> {
        let callback = OnPublishing { opens: opens.clone(), end: calls.end.clone() };
        let channel = calls.call(Operation::Publish, async move {
            let channel = connection.open_channel(None).await?;
            channel.register_callback(callback).await?;
            channel.confirm_select(ConfirmSelectArguments::default()).await?;
            Ok(channel)
        });
        let (orders, from_orders) = mpsc::unbounded_channel();
        let (writing, end) = (write(channel.await?, opens, window.clone(), from_orders), calls.end.clone());
        tokio::spawn(async move {
            // A panic of the client is as much an end as an error.
            match tokio::spawn(writing).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => end.come(Some(Arc::new(error))),
                Err(panic) => {
                    let error = Error::new(ErrorKind::Protocol, Operation::Publish, "the AMQP client failed");
                    end.come(Some(Arc::new(error.with_source(panic))));
                }
            }
        });
        Ok(Arc::new(Self { orders, window, max_message_bytes }))
    }
}

#[async_trait]
impl Publisher for AmqprsPublisher {
    async fn publish(&self, message: Message) -> Result<Receipt> {
        check_message(&message, self.max_message_bytes)?;
        let permit = self.window.enter().await?;
        let (outcome, receipt) = Receipt::new();
        let order = Order { message, outcome, permit };
        self.orders
            .send(order)
            .map_err(|_| Error::new(ErrorKind::Closed, Operation::Publish, "the session has ended"))?;
        Ok(receipt)
    }
}

async fn write(
    channel: Channel,
    opens: Opens,
    window: Window,
    mut orders: mpsc::UnboundedReceiver<Order>,
) -> Result<()> {
    let mut tag = 0;
    while let Some(Order { message, outcome, permit }) = orders.recv().await {
        tag += 1;
        // Noted before it goes out: the confirm may be quicker than the next line.
        opens.insert(tag, Open::new(outcome, message.body.len(), permit));
        let mark = message.mandatory.then_some(tag);
        let mut arguments = BasicPublishArguments::new(&message.exchange, &message.routing_key);
        let arguments = arguments.mandatory(message.mandatory).finish();
        let published = channel.basic_publish(convert::properties(&message, mark), message.body.to_vec(), arguments);
        published.await.map_err(|source| convert::error(Operation::Publish, source))?;
    }
    // Nobody publishes any more. The channel stays until the last publish has its outcome: the client closes it
    // when it is dropped.
    window.settled().await;
    opens.retire();
    Ok(())
}
