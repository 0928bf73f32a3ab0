//! The publisher of the raw client: it pipelines publishes and reads their confirms in order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Result};

use super::load::BODY;

type Confirming = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Publishes to one queue. `T` is kept for each message until its confirm.
pub(super) struct Desk<T> {
    channel: Channel,
    queue: &'static str,
    open: VecDeque<(Confirming, T)>,
}

impl<T> Desk<T> {
    pub(super) fn new(channel: Channel, queue: &'static str) -> Self {
        Self { channel, queue, open: VecDeque::new() }
    }

    /// Number of messages without a confirm.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Starts to publish a message. Messages that are started together are sent together.
    pub(super) fn send(&mut self, note: T) {
        let (channel, queue) = (self.channel.clone(), self.queue);
        let mut confirming: Confirming = Box::pin(async move {
            let properties = BasicProperties::default().with_delivery_mode(2);
            let options = BasicPublishOptions::default();
            let confirm = channel.basic_publish("".into(), queue.into(), options, &BODY, properties).await?.await?;
            assert!(confirm.is_ack(), "the broker refuses a message");
            Ok(())
        });
        // The confirm of a fast broker may be there already. A future that has ended must not be polled again.
        if let Poll::Ready(outcome) = confirming.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            confirming = Box::pin(std::future::ready(outcome));
        }
        self.open.push_back((confirming, note));
    }

    /// Waits for the confirm of the oldest message, takes further confirms that have arrived, and returns the note of the last one. Waits
    /// without a limit if no message is open.
    pub(super) async fn confirmed(&mut self) -> Result<T> {
        let mut last = poll_fn(|context| self.poll_first(context)).await?;
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(note) = self.poll_first(&mut context) {
            last = note?;
        }
        Ok(last)
    }

    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<Result<T>> {
        let Some((confirming, _)) = self.open.front_mut() else { return Poll::Pending };
        match confirming.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(outcome) => {
                let (_, note) = self.open.pop_front().expect("it was there");
                Poll::Ready(outcome.map(|()| note))
            }
        }
    }
}
