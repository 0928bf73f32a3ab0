//! Publishes with confirms. One task does it all for a channel: it starts publishes in the order in which they
//! were asked for, so that lapin numbers them in that order, and then waits for their confirms in that order.
//!
//! A publish is started by polling it once: lapin has numbered and queued it then, and whatever has been queued
//! goes to the socket together.

use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};

use super::convert;
use hub_transport::amqp::{End, Permit, Window, check_message, size_limit};
use hub_transport::{Error, ErrorKind, Message, Operation, Outcome, Publisher, Receipt, Result};

/// How many messages are started in one go.
const BATCH: usize = 256;

/// Publishes on a channel of its own.
pub(super) struct LapinPublisher {
    orders: mpsc::UnboundedSender<Order>,
    window: Window,
    max_message_bytes: usize,
}

struct Order {
    message: Message,
    outcome: oneshot::Sender<Outcome>,
    permit: Permit,
}

impl LapinPublisher {
    pub(super) fn new(channel: Channel, window: Window, end: End, max_message_bytes: usize) -> Arc<Self> {
        let (orders, from_orders) = mpsc::unbounded_channel();
        let desk = Desk {
            channel: Arc::new(channel),
            open: VecDeque::new(),
            returned: HashSet::new(),
            marks: 0,
            end: end.clone(),
        };
        tokio::spawn(async move {
            if let Err(panic) = tokio::spawn(desk.run(from_orders)).await {
                let error = Error::new(ErrorKind::Protocol, Operation::Publish, "the AMQP client failed");
                end.come(Some(Arc::new(error.with_source(panic))));
            }
        });
        Arc::new(Self { orders, window, max_message_bytes })
    }
}

#[async_trait]
impl Publisher for LapinPublisher {
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

/// Where publishes are written and their confirms are read.
struct Desk {
    channel: Arc<Channel>,
    /// Without an outcome, in the order in which they went out.
    open: VecDeque<Open>,
    /// Marks of messages that came back, and whose confirms have not been looked at.
    returned: HashSet<i64>,
    /// How many marks were given out.
    marks: i64,
    end: End,
}

/// A publish without an outcome.
struct Open {
    progress: Progress,
    /// Set for a mandatory message.
    mark: Option<i64>,
    size: usize,
    outcome: oneshot::Sender<Outcome>,
    _permit: Permit,
}

enum Progress {
    Confirming(Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>),
    Judged(Verdict),
}

/// What became of a publish, but for whether the message came back.
enum Verdict {
    Taken,
    Refused,
    Failed(lapin::Error),
}

impl Desk {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut more = true;
        while more || !self.open.is_empty() {
            tokio::select! {
                biased;
                count = orders.recv_many(&mut batch, BATCH), if more => {
                    more = count > 0;
                    batch.drain(..).for_each(|order| self.start(order));
                }
                verdict = poll_fn(|context| self.poll_first(context)) => {
                    self.conclude(verdict);
                    // Confirms come many at a time.
                    let mut context = Context::from_waker(Waker::noop());
                    while let Poll::Ready(verdict) = self.poll_first(&mut context) {
                        self.conclude(verdict);
                    }
                }
            }
        }
    }

    fn start(&mut self, order: Order) {
        let Order { message, outcome, permit } = order;
        let mark = message.mandatory.then(|| {
            self.marks += 1;
            self.marks
        });
        let size = message.body.len();
        let channel = Arc::clone(&self.channel);
        let mut confirming = Box::pin(async move {
            let options = BasicPublishOptions { mandatory: message.mandatory, immediate: false };
            let (exchange, key) = (message.exchange.as_str().into(), message.routing_key.as_str().into());
            let properties = convert::properties(&message, mark);
            channel.basic_publish(exchange, key, options, &message.body, properties).await?.await
        });
        let progress = match confirming.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Progress::Confirming(confirming),
            Poll::Ready(confirmed) => Progress::Judged(judge(confirmed, &mut self.returned)),
        };
        self.open.push_back(Open { progress, mark, size, outcome, _permit: permit });
    }

    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<Verdict> {
        match self.open.front_mut() {
            Some(first) => first.progress.poll(context, &mut self.returned),
            None => Poll::Pending,
        }
    }

    /// Gives the first open publish its outcome.
    fn conclude(&mut self, verdict: Verdict) {
        let Some(Open { mark, size, outcome, _permit, .. }) = self.open.pop_front() else { return };
        if mark.is_some_and(|mark| self.came_back(mark)) {
            let _ = outcome.send(Outcome::Unroutable);
            return;
        }
        let _ = outcome.send(match verdict {
            Verdict::Taken => Outcome::Confirmed,
            Verdict::Refused => Outcome::Refused,
            Verdict::Failed(error) => self.failed(size, error),
        });
    }

    /// Whether the message with this mark, confirmed just now, came back.
    ///
    /// Lapin hands a message that came back to whichever publish is confirmed next. A broker returns a message
    /// before it confirms it, so when this one is confirmed, its return is with some publish that has been
    /// confirmed too: with one before it, looked at already, or with one after it.
    fn came_back(&mut self, mark: i64) -> bool {
        if !self.returned.contains(&mark) {
            let mut context = Context::from_waker(Waker::noop());
            for open in &mut self.open {
                if let Progress::Confirming(_) = open.progress
                    && let Poll::Ready(verdict) = open.progress.poll(&mut context, &mut self.returned)
                {
                    open.progress = Progress::Judged(verdict);
                }
            }
        }
        self.returned.remove(&mark)
    }

    /// A channel that has died publishes nothing more, and the session with it.
    fn failed(&self, size: usize, error: lapin::Error) -> Outcome {
        let error = Arc::new(convert::error(Operation::Publish, error));
        self.end.come(Some(Arc::clone(&error)));
        // One message that is too large takes the channel with it. It must not go out again for ever.
        match size_limit(error.message()) {
            Some(limit) if size > limit => Outcome::Rejected(error.message().to_owned()),
            _ => Outcome::Unknown(error),
        }
    }
}

impl Progress {
    fn poll(&mut self, context: &mut Context<'_>, returned: &mut HashSet<i64>) -> Poll<Verdict> {
        match self {
            Self::Confirming(confirming) => {
                confirming.as_mut().poll(context).map(|confirmed| judge(confirmed, returned))
            }
            Self::Judged(verdict) => Poll::Ready(std::mem::replace(verdict, Verdict::Taken)),
        }
    }
}

/// Reads a confirm, and notes whichever message came back with it.
fn judge(confirmed: lapin::Result<Confirmation>, returned: &mut HashSet<i64>) -> Verdict {
    match confirmed {
        Ok(confirmation) => {
            let verdict = if confirmation.is_nack() { Verdict::Refused } else { Verdict::Taken };
            returned.extend(confirmation.take_message().as_ref().and_then(convert::mark));
            verdict
        }
        Err(error) => Verdict::Failed(error),
    }
}
