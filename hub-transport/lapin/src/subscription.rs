//! Consumes a queue on a separate channel.

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use std::sync::Arc;
use tokio::sync::mpsc;

use super::calls::{Calls, DONE};
use super::convert;
use hub_transport::amqp::{Ledger, check_name};
use hub_transport::{
    Delivery, DeliveryTag, Error, ErrorKind, Operation, Result, Settlement, Settler, SubscribeOptions, Subscription,
};

/// Starts consuming a queue.
pub(super) async fn subscribe(
    calls: Calls,
    channel: Channel,
    queue: &str,
    options: SubscribeOptions,
) -> Result<Subscription> {
    check_name(queue, Operation::Subscribe)?;
    calls.limited(Operation::Subscribe, channel.basic_qos(options.prefetch.max(1), BasicQosOptions::default())).await?;
    let consume = BasicConsumeOptions { exclusive: options.exclusive, ..BasicConsumeOptions::default() };
    let consuming = channel.basic_consume(queue.into(), ShortString::default(), consume, FieldTable::default());
    let consumer = calls.limited(Operation::Subscribe, consuming).await?;
    let settler = LapinSettler { calls, channel, tag: consumer.tag(), ledger: Ledger::default() };
    let (sender, deliveries) = mpsc::unbounded_channel();
    tokio::spawn(pass_on(consumer, sender, settler.clone()));
    Ok(Subscription { deliveries, settler: Arc::new(settler) })
}

async fn pass_on(mut consumer: Consumer, sender: mpsc::UnboundedSender<Delivery>, settler: LapinSettler) {
    // Both an error and the end of the stream end the subscription.
    while let Some(Ok(delivery)) = consumer.next().await {
        settler.ledger.note(delivery.delivery_tag);
        if sender.send(convert::delivery(delivery)).is_err() {
            // The receiver was dropped. Its owner may still settle earlier deliveries.
            break;
        }
    }
    drop(sender);
    settler.ledger.end();
    settler.close_if_done();
}

#[derive(Clone)]
struct LapinSettler {
    calls: Calls,
    channel: Channel,
    tag: ShortString,
    ledger: Ledger,
}

impl LapinSettler {
    fn close_if_done(&self) {
        if self.ledger.is_done() && self.channel.status().connected() {
            let channel = self.channel.clone();
            tokio::spawn(async move {
                // An error means that the channel is closed already.
                let _ = channel.close(DONE, "done".into()).await;
            });
        }
    }
}

#[async_trait]
impl Settler for LapinSettler {
    async fn settle(&self, tag: DeliveryTag, settlement: Settlement, multiple: bool) -> Result<()> {
        if !self.channel.status().connected() {
            return Err(Error::new(ErrorKind::Stale, Operation::Settle, "the session of the delivery has ended"));
        }
        let settling = self.ledger.take(tag.0, multiple)?;
        let settled = match settlement {
            Settlement::Ack => self.channel.basic_ack(tag.0, BasicAckOptions { multiple }).await,
            Settlement::Requeue => self.channel.basic_nack(tag.0, BasicNackOptions { multiple, requeue: true }).await,
            Settlement::DeadLetter => {
                self.channel.basic_nack(tag.0, BasicNackOptions { multiple, requeue: false }).await
            }
        };
        drop(settling);
        self.close_if_done();
        settled.map_err(|error| {
            Error::new(ErrorKind::Stale, Operation::Settle, "the session of the delivery has ended").with_source(error)
        })
    }

    async fn cancel(&self) -> Result<()> {
        self.calls
            .limited(Operation::Subscribe, self.channel.basic_cancel(self.tag.clone(), BasicCancelOptions::default()))
            .await
    }
}
