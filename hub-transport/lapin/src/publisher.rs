//! Publishes with confirms. Each channel has one task. It starts publishes in the order of the calls, so that lapin numbers them
//! in that order, and then waits for their confirms in the same order.
//!
//! Polling a publish once starts it: lapin then has numbered and queued it. Lapin writes all queued frames to the socket
//! together.

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
use hub_transport::amqp::{Lifecycle, Permit, Window, check_message, size_limit};
use hub_transport::{Error, ErrorKind, Message, Operation, Outcome, Publisher, Receipt, Result};

/// Maximum number of messages that are started together.
const BATCH: usize = 256;

/// Publishes on a separate channel.
pub(super) struct LapinPublisher {
    requests: mpsc::UnboundedSender<Request>,
    window: Window,
    max_message_bytes: usize,
}

struct Request {
    message: Message,
    outcome: oneshot::Sender<Outcome>,
    permit: Permit,
}

impl LapinPublisher {
    pub(super) fn new(channel: Channel, window: Window, lifecycle: Lifecycle, max_message_bytes: usize) -> Arc<Self> {
        let (requests, from_publisher) = mpsc::unbounded_channel();
        let task = PublishTask {
            channel: Arc::new(channel),
            open: VecDeque::new(),
            returned: HashSet::new(),
            marks: 0,
            lifecycle: lifecycle.clone(),
        };
        tokio::spawn(async move {
            if let Err(panic) = tokio::spawn(task.run(from_publisher)).await {
                let error = Error::new(ErrorKind::Protocol, Operation::Publish, "the AMQP client failed");
                lifecycle.end(Some(Arc::new(error.with_source(panic))));
            }
        });
        Arc::new(Self { requests, window, max_message_bytes })
    }
}

#[async_trait]
impl Publisher for LapinPublisher {
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

/// The task that publishes messages and reads their confirms.
struct PublishTask {
    channel: Arc<Channel>,
    /// Publishes without an outcome, in order.
    open: VecDeque<PendingPublish>,
    /// Marks of returned messages whose confirms have not been processed.
    returned: HashSet<i64>,
    /// Number of marks that were assigned.
    marks: i64,
    lifecycle: Lifecycle,
}

/// A publish without an outcome.
struct PendingPublish {
    progress: Progress,
    /// Set for a mandatory message.
    mark: Option<i64>,
    size: usize,
    outcome: oneshot::Sender<Outcome>,
    _permit: Permit,
}

enum Progress {
    Confirming(Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>),
    Done(Response),
}

/// The broker's response to a publish, without whether the message was returned.
enum Response {
    Ack,
    Nack,
    Failed(lapin::Error),
}

impl PublishTask {
    async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut more = true;
        while more || !self.open.is_empty() {
            tokio::select! {
                biased;
                count = requests.recv_many(&mut batch, BATCH), if more => {
                    more = count > 0;
                    batch.drain(..).for_each(|request| self.start(request));
                }
                response = poll_fn(|context| self.poll_first(context)) => {
                    self.conclude(response);
                    // Confirms often arrive in groups.
                    let mut context = Context::from_waker(Waker::noop());
                    while let Poll::Ready(response) = self.poll_first(&mut context) {
                        self.conclude(response);
                    }
                }
            }
        }
    }

    fn start(&mut self, request: Request) {
        let Request { message, outcome, permit } = request;
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
            Poll::Ready(confirmed) => Progress::Done(read_confirm(confirmed, &mut self.returned)),
        };
        self.open.push_back(PendingPublish { progress, mark, size, outcome, _permit: permit });
    }

    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<Response> {
        match self.open.front_mut() {
            Some(first) => first.progress.poll(context, &mut self.returned),
            None => Poll::Pending,
        }
    }

    /// Resolves the outcome of the first open publish.
    fn conclude(&mut self, response: Response) {
        let Some(PendingPublish { mark, size, outcome, _permit, .. }) = self.open.pop_front() else { return };
        if mark.is_some_and(|mark| self.was_returned(mark)) {
            let _ = outcome.send(Outcome::Unroutable);
            return;
        }
        let _ = outcome.send(match response {
            Response::Ack => Outcome::Confirmed,
            Response::Nack => Outcome::Refused,
            Response::Failed(error) => self.failed(size, error),
        });
    }

    /// Whether the message with this mark, which has just been confirmed, was returned.
    ///
    /// Lapin attaches a returned message to the publish that is confirmed next. The broker returns a message before it confirms
    /// it. So when this publish is confirmed, its returned message is attached to another confirmed publish: to an earlier one,
    /// which has been processed already, or to a later one.
    fn was_returned(&mut self, mark: i64) -> bool {
        if !self.returned.contains(&mark) {
            let mut context = Context::from_waker(Waker::noop());
            for open in &mut self.open {
                if let Progress::Confirming(_) = open.progress
                    && let Poll::Ready(response) = open.progress.poll(&mut context, &mut self.returned)
                {
                    open.progress = Progress::Done(response);
                }
            }
        }
        self.returned.remove(&mark)
    }

    /// Ends the session, which is useless without its publishing channel.
    fn failed(&self, size: usize, error: lapin::Error) -> Outcome {
        let error = Arc::new(convert::error(Operation::Publish, error));
        self.lifecycle.end(Some(Arc::clone(&error)));
        // The broker closes the channel over a message that is too large. This message must not be published again.
        match size_limit(error.message()) {
            Some(limit) if size > limit => Outcome::Rejected(error.message().to_owned()),
            _ => Outcome::Unknown(error),
        }
    }
}

impl Progress {
    fn poll(&mut self, context: &mut Context<'_>, returned: &mut HashSet<i64>) -> Poll<Response> {
        match self {
            Self::Confirming(confirming) => {
                confirming.as_mut().poll(context).map(|confirmed| read_confirm(confirmed, returned))
            }
            Self::Done(response) => Poll::Ready(std::mem::replace(response, Response::Ack)),
        }
    }
}

/// Reads a confirm, and keeps the mark of the returned message that is attached to it.
fn read_confirm(confirmed: lapin::Result<Confirmation>, returned: &mut HashSet<i64>) -> Response {
    match confirmed {
        Ok(confirmation) => {
            let response = if confirmation.is_nack() { Response::Nack } else { Response::Ack };
            returned.extend(confirmation.take_message().as_ref().and_then(convert::mark));
            response
        }
        Err(error) => Response::Failed(error),
    }
}
