//! Consumes a queue on a separate channel.

use std::sync::Arc;

use amqprs::channel::{
    BasicAckArguments, BasicCancelArguments, BasicConsumeArguments, BasicNackArguments, BasicQosArguments,
    ConsumerMessage,
};
use async_trait::async_trait;
use tokio::sync::mpsc;

use super::calls::CallChannel;
use super::convert;
use hub_transport::amqp::Ledger;
use hub_transport::{
    Delivery, DeliveryTag, Error, ErrorKind, Operation, Result, Settlement, Settler, SubscribeOptions, Subscription,
};

/// Starts consuming a queue.
pub(super) async fn subscribe(line: CallChannel, queue: &str, options: SubscribeOptions) -> Result<Subscription> {
    let qos = BasicQosArguments::new(0, options.prefetch.max(1), false);
    line.call(|channel| async move { channel.basic_qos(qos).await }).await?;
    let mut consume = BasicConsumeArguments::new(queue, "");
    consume.manual_ack(true).exclusive(options.exclusive);
    let consume = consume.finish();
    let (tag, messages) = line.call(|channel| async move { channel.basic_consume_rx(consume).await }).await?;
    let settler = AmqprsSettler { line, tag, ledger: Ledger::default() };
    let (sender, deliveries) = mpsc::unbounded_channel();
    tokio::spawn(pass_on(messages, sender, settler.clone()));
    Ok(Subscription { deliveries, settler: Arc::new(settler) })
}

async fn pass_on(
    mut messages: mpsc::UnboundedReceiver<ConsumerMessage>,
    sender: mpsc::UnboundedSender<Delivery>,
    settler: AmqprsSettler,
) {
    loop {
        let message = tokio::select! {
            // Deliveries that arrived before the end are passed on first.
            biased;
            message = messages.recv() => message,
            // The client does not end the stream of a consumer whose queue was deleted. The callback reports it.
            () = settler.line.ended() => None,
        };
        let Some(delivery) = message.and_then(convert::delivery) else { break };
        settler.ledger.note(delivery.tag.0);
        if sender.send(delivery).is_err() {
            // The receiver was dropped. Its owner may still settle earlier deliveries.
            break;
        }
    }
    drop(sender);
    settler.ledger.end();
    settler.close_if_done();
}

#[derive(Clone)]
struct AmqprsSettler {
    line: CallChannel,
    tag: String,
    ledger: Ledger,
}

impl AmqprsSettler {
    fn close_if_done(&self) {
        if self.ledger.is_done() && self.line.is_open() {
            self.line.close();
        }
    }
}

#[async_trait]
impl Settler for AmqprsSettler {
    async fn settle(&self, tag: DeliveryTag, settlement: Settlement, multiple: bool) -> Result<()> {
        if !self.line.is_open() {
            return Err(Error::new(ErrorKind::Stale, Operation::Settle, "the session of the delivery has ended"));
        }
        let settling = self.ledger.take(tag.0, multiple)?;
        let channel = &self.line.channel;
        let settled = match settlement {
            Settlement::Ack => channel.basic_ack(BasicAckArguments::new(tag.0, multiple)).await,
            Settlement::Requeue => channel.basic_nack(BasicNackArguments::new(tag.0, multiple, true)).await,
            Settlement::DeadLetter => channel.basic_nack(BasicNackArguments::new(tag.0, multiple, false)).await,
        };
        drop(settling);
        self.close_if_done();
        settled.map_err(|error| {
            Error::new(ErrorKind::Stale, Operation::Settle, "the session of the delivery has ended")
                .with_source(convert::error(Operation::Settle, error))
        })
    }

    async fn cancel(&self) -> Result<()> {
        let tag = self.tag.clone();
        self.line.call(|channel| async move { channel.basic_cancel(BasicCancelArguments::new(&tag)).await }).await?;
        Ok(())
    }
}
