//! A client over the broker: requests with replies, and submissions that wait in the broker if no dispatcher is
//! running.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_core::{JobId, Json};
use hub_transport::supervisor::{Backoff, Link, LinkEvent, LinkEvents, LinkHealth, Plan};
use hub_transport::{Bytes, ErrorKind, Message, Outcome, Receipt, Text, Topology, Transport};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::follow::{MAXIMUM_STEP, carry_out};
use super::pieces::{Page, Pieces};
use super::replies::Replies;
use super::submissions::Submissions;
use super::unreachable::unreachable;
use crate::operations::{
    Answer, Document, Hub, Request, RequestError, RequestErrorKind, Submission, Submitted, TaskQuery, View,
};
use crate::wire::{self, JobMessage, Names, Reply, RequestMessage};

/// Maximum number of unconfirmed publishes.
const MAXIMUM_PUBLISHES: usize = 256;
/// Maximum time to disconnect.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before a job is published again that found no queue.
const BINDING_PAUSE: Duration = Duration::from_millis(50);
/// Minimum time after which a closed connection means a refused login. RabbitMQ delays the refusal of a wrong password
/// by three seconds.
const LOGIN_REFUSAL_TIME: Duration = Duration::from_secs(2);

/// A Hub behind a broker.
#[derive(Debug)]
pub struct AmqpHub {
    link: Link,
    names: Names,
    timeout: Duration,
    /// The current address for replies. `None` while the client is not connected.
    inbox: watch::Receiver<Option<Text>>,
    replies: Replies,
    submissions: Submissions,
    address: String,
    max_message_bytes: Option<usize>,
    _serving: DropGuard,
}

/// A message to a dispatcher.
enum Outgoing {
    Request(Message),
    Job(JobMessage),
}

/// Why a request has no answer.
enum Unanswered {
    /// The broker has not confirmed the request.
    NotDelivered(RequestError),
    /// The broker has confirmed the request, and no answer arrived.
    NoAnswer(RequestError),
    /// The dispatcher refused the request.
    Refused(RequestError),
}

impl AmqpHub {
    /// Connects to the broker. `timeout` limits connecting and each answer.
    ///
    /// # Errors
    /// `Unreachable` with the cause, if the broker does not answer in time or refuses the credentials.
    pub async fn connect(transport: Arc<dyn Transport>, prefix: &str, timeout: Duration) -> Result<Self, RequestError> {
        let names = Names::new(prefix);
        let address = transport.describe();
        let max_message_bytes = transport.capabilities().max_message_bytes;
        let plan = Plan {
            foundation: Some(names.foundation()),
            topology: Topology::default(),
            subscriptions: Vec::new(),
            inbox: true,
            window: MAXIMUM_PUBLISHES,
            backoff: Backoff { cap: Duration::from_secs(1), ..Backoff::default() },
            seed: Uuid::new_v4().as_u64_pair().0,
        };
        let (link, mut events) = Link::start(transport, plan);
        let connected = tokio::time::timeout(timeout, first_session(&mut events)).await;
        let inbox = match connected {
            Ok(Ok(inbox)) => inbox.map(Text::from),
            Ok(Err(cause)) => return Err(unreachable(&address, cause.as_deref())),
            Err(_) => return Err(lost_connection(&address, &link)),
        };
        let (announce, inbox) = watch::channel(inbox);
        let (replies, stop) = (Replies::default(), CancellationToken::new());
        tokio::spawn(replies.clone().serve(events, announce, link.clone(), stop.clone()));
        let submissions = Submissions::start(link.clone(), names.clone(), max_message_bytes);
        let _serving = stop.drop_guard();
        Ok(Self { link, names, timeout, inbox, replies, submissions, address, max_message_bytes, _serving })
    }

    /// Publishes a job without waiting for a dispatcher. Problems of the job appear only in the dispatcher's log.
    ///
    /// # Errors
    /// If the broker does not accept the message.
    pub async fn submit_detached(&self, submission: Submission) -> Result<JobId, RequestError> {
        let id = id_of(&submission);
        let (outgoing, deadline) = (Outgoing::Job(job_message(id, &submission, None)), self.deadline(Duration::ZERO));
        while !self.deliver(&outgoing, None, None, deadline).await? {}
        Ok(id)
    }

    /// Disconnects. (Dropping this also disconnects, but later.)
    pub async fn close(&self) {
        self.submissions.flush().await;
        // Publishes without an outcome by then are abandoned.
        let _ = self.link.close(DISCONNECT_TIMEOUT).await;
    }

    /// Submits a job under an id, so that it can safely be sent again, and waits for the answer.
    async fn submit_job(&self, submission: Submission, wait: Option<Duration>) -> Result<Submitted, RequestError> {
        let (id, wait) = (id_of(&submission), wait.map(|wait| wait.min(MAXIMUM_STEP)));
        let outgoing = Outgoing::Job(job_message(id, &submission, wait));
        let is_new = submission.id.is_none();
        // Repeated submissions under one id are one job.
        let may_repeat = true;
        match self.exchange(&outgoing, wait, may_repeat, |text| serde_json::from_str(text)).await {
            Ok(submitted) => Ok(submitted),
            // The dispatcher may have stored the job and ended before it answered. Then the next dispatcher knows it.
            // (An id that is not new may belong to another job.)
            Err(Unanswered::NoAnswer(why)) if wait.is_some() && is_new => match self.summary(id, None).await {
                Ok(summary) if summary.status.is_terminal() => {
                    Ok(Submitted { record: self.job(id, None).await.ok(), ..Submitted::new(id) })
                }
                Ok(_) => Ok(Submitted::new(id)),
                Err(_) => Err(unanswered(id, Unanswered::NoAnswer(why))),
            },
            Err(why) => Err(unanswered(id, why)),
        }
    }

    /// Sends one request. A record that is too large for a message is requested in pages.
    async fn ask(&self, request: Request) -> Result<Answer, RequestError> {
        let answer = self.ask_for_one_message(&request).await;
        match (request, answer) {
            (Request::Job { id, view, .. }, Err(error))
                if error.kind == RequestErrorKind::TooLarge && view.shows_tasks() =>
            {
                let record = self.record_in_pieces(id, &view).await?;
                Ok(Answer::Job(Box::new(record.into())))
            }
            (Request::Document { id, after: None }, Ok(Answer::Document(first))) if first.next().is_some() => {
                self.document_in_pieces(id, &first).await.map(Answer::Document)
            }
            (_, answer) => answer,
        }
    }

    async fn document_in_pieces(&self, id: JobId, first: &Document) -> Result<Document, RequestError> {
        let (mut text, mut after) = (first.text().to_owned(), first.next());
        while after.is_some() {
            match self.ask_for_one_message(&Request::Document { id, after }).await? {
                Answer::Document(part) => {
                    text.push_str(part.text());
                    after = part.next().filter(|next| Some(*next) > after);
                }
                _ => return Err(Answer::unexpected()),
            }
        }
        Ok(Arc::<str>::from(text).into())
    }

    async fn ask_for_one_message(&self, request: &Request) -> Result<Answer, RequestError> {
        let body = wire::encode(&RequestMessage { v: wire::VERSION, request: request.clone() });
        let mut message = Message::new(self.names.requests(), self.names.request_key(), body).transient();
        message.mandatory = true;
        message.content_type = Some(wire::JSON);
        let (wait, read) = (request.wait(), |text: &str| Answer::read(request, text));
        let answer = self.exchange(&Outgoing::Request(message), wait, request.may_repeat(), read).await;
        answer.map_err(|unanswered| match unanswered {
            Unanswered::NotDelivered(error) | Unanswered::NoAnswer(error) | Unanswered::Refused(error) => error,
        })
    }

    async fn record_in_pieces(&self, id: JobId, view: &View) -> Result<Json, RequestError> {
        let head = Request::Job { id, wait: None, view: view.clone().without_tasks() };
        let head = match self.ask_for_one_message(&head).await? {
            Answer::Job(record) => record.into_json().await?,
            _ => return Err(Answer::unexpected()),
        };
        let (mut pieces, mut after) = (Pieces::new(&head), Some(0));
        while let Some(first) = after {
            let limit = Some(TaskQuery::MAX_PAGE);
            let query = TaskQuery { after: Some(first), limit, of: None, view: view.clone() };
            let page = self.tasks(id, query).await?;
            let page: Page = serde_json::from_str(page.get()).map_err(|error| unreadable(&error))?;
            pieces.add(&page);
            after = page.next.filter(|next| *next > first);
        }
        Ok(pieces.whole())
    }

    /// Sends a message and waits for the reply, which may be delayed by `wait`. The address for replies ends with its session. A
    /// message that may be repeated is then sent again in the next session.
    async fn exchange<T>(
        &self,
        outgoing: &Outgoing,
        wait: Option<Duration>,
        may_repeat: bool,
        read: impl Fn(&str) -> serde_json::Result<T>,
    ) -> Result<T, Unanswered> {
        let deadline = self.deadline(wait.unwrap_or_default());
        let mut inbox = self.inbox.clone();
        loop {
            let address = match tokio::time::timeout_at(deadline, inbox.wait_for(Option::is_some)).await {
                Ok(Ok(address)) => address.clone(),
                Ok(Err(_)) | Err(_) => {
                    return Err(Unanswered::NotDelivered(lost_connection(&self.address, &self.link)));
                }
            };
            let mut awaited = self.replies.expect();
            let correlation_id = Some(awaited.correlation_id.clone());
            let delivered =
                self.deliver(outgoing, address, correlation_id, deadline).await.map_err(Unanswered::NotDelivered)?;
            if delivered {
                tokio::select! {
                    biased;
                    Ok(body) = &mut awaited.body => return read_reply(&body, read),
                    _ = inbox.changed() => {}
                    () = tokio::time::sleep_until(deadline) => {
                        return Err(Unanswered::NoAnswer(self.timed_out("the dispatcher")));
                    }
                }
            }
            if !may_repeat {
                let message = format!(
                    "the connection to {} was lost before the answer arrived: the request may have been executed nevertheless",
                    self.address
                );
                return Err(Unanswered::NoAnswer(RequestError::new(RequestErrorKind::TimedOut, message)));
            }
        }
    }

    /// Publishes and waits for the broker's confirm. Returns `false` if the message has to be published again: the session
    /// died first, so that the outcome is unknown, or a job found no queue yet.
    async fn deliver(
        &self,
        outgoing: &Outgoing,
        reply_to: Option<Text>,
        correlation_id: Option<Text>,
        deadline: Instant,
    ) -> Result<bool, RequestError> {
        match tokio::time::timeout_at(deadline, self.publish(outgoing, reply_to, correlation_id)).await {
            Ok(Outcome::Confirmed) => Ok(true),
            Ok(Outcome::Unknown(_)) if !self.link.is_closed() => Ok(false),
            Ok(Outcome::Unknown(cause)) => Err(unreachable(&self.address, Some(&cause))),
            Ok(Outcome::Rejected(why)) => Err(self.rejected(outgoing, &why)),
            Ok(Outcome::Refused) => Err(self.rejected(outgoing, "the broker refused the message")),
            // Another program has just declared the queue of the jobs, and has not bound it yet.
            Ok(Outcome::Unroutable)
                if matches!(outgoing, Outgoing::Job(_)) && Instant::now() + BINDING_PAUSE < deadline =>
            {
                tokio::time::sleep(BINDING_PAUSE).await;
                Ok(false)
            }
            Ok(Outcome::Unroutable) => {
                let message = format!(
                    "no dispatcher serves the Hub {:?} at {}: start hub-dispatcher, or wait until it is listening, then try again",
                    self.names.hub(),
                    self.address
                );
                Err(RequestError::new(RequestErrorKind::Unreachable, message))
            }
            Err(_) if self.link.is_up() => Err(self.timed_out("the broker")),
            Err(_) => Err(lost_connection(&self.address, &self.link)),
        }
    }

    fn publish(&self, outgoing: &Outgoing, reply_to: Option<Text>, correlation_id: Option<Text>) -> Receipt {
        match outgoing {
            Outgoing::Request(message) => self.link.publish(Message { reply_to, correlation_id, ..message.clone() }),
            Outgoing::Job(job) => self.submissions.publish(JobMessage { correlation_id, ..job.clone() }, reply_to),
        }
    }

    fn deadline(&self, more: Duration) -> Instant {
        Instant::now() + self.timeout + more
    }

    fn rejected(&self, outgoing: &Outgoing, why: &str) -> RequestError {
        let bytes = match outgoing {
            Outgoing::Request(message) => message.body.len(),
            Outgoing::Job(job) => job.text.len(),
        };
        let too_large = self.max_message_bytes.is_some_and(|limit| bytes > limit);
        let kind = if too_large { RequestErrorKind::TooLarge } else { RequestErrorKind::Unavailable };
        RequestError::new(kind, format!("the broker at {} does not accept the message: {why}", self.address))
    }

    fn timed_out(&self, who: &str) -> RequestError {
        let seconds = self.timeout.as_secs_f32();
        let mut message = format!("{who} at {} did not answer within {seconds} s", self.address);
        if let LinkHealth::Blocked(reason) = &*self.link.health().borrow() {
            let _ = write!(message, " (it blocks publishers: {reason})");
        } else {
            message
                .push_str(". Is hub-dispatcher running? Check with ctrl-hub-dispatcher status or its service manager");
        }
        RequestError::new(RequestErrorKind::TimedOut, message)
    }
}

/// Waits for the first session. A failed attempt is repeated only once, for a broker that is just starting, so that the
/// user soon sees the error. A broker that closes the connection with a delay has refused the login, even if the client
/// library hides the reason.
async fn first_session(events: &mut LinkEvents) -> Result<Option<String>, Option<Arc<hub_transport::Error>>> {
    let begun = Instant::now();
    loop {
        match events.next().await {
            Some(LinkEvent::Up { inbox, .. }) => return Ok(inbox),
            Some(LinkEvent::Down { cause, attempt, .. }) => {
                let refused_login = cause.kind() == ErrorKind::Protocol && begun.elapsed() >= LOGIN_REFUSAL_TIME;
                if attempt > 1 || refused_login || !cause.is_retryable() {
                    return Err(Some(cause));
                }
            }
            Some(_) => {}
            None => return Err(None),
        }
    }
}

fn id_of(submission: &Submission) -> JobId {
    submission.id.unwrap_or_else(|| JobId::new(Uuid::now_v7()))
}

/// The message of a submission.
fn job_message(id: JobId, submission: &Submission, wait: Option<Duration>) -> JobMessage {
    let text = Bytes::copy_from_slice(submission.text.as_bytes());
    JobMessage { id: Some(id), text, correlation_id: None, wait }
}

/// The error for a submission without an answer.
fn unanswered(id: JobId, why: Unanswered) -> RequestError {
    let (error, advice) = match why {
        Unanswered::Refused(error) => return error,
        Unanswered::NoAnswer(error) => {
            (error, format!("The broker has the job as {id}: a dispatcher will check and run it as soon as one starts"))
        }
        Unanswered::NotDelivered(error) if error.kind == RequestErrorKind::TimedOut => {
            (error, format!("The broker may have the job as {id}: submit it again under this id"))
        }
        Unanswered::NotDelivered(error) => return error,
    };
    RequestError::new(error.kind, format!("{}. {advice}", error.message))
}

fn read_reply<T>(body: &[u8], read: impl Fn(&str) -> serde_json::Result<T>) -> Result<T, Unanswered> {
    let answer = Reply::decode_with(body, read);
    answer.unwrap_or_else(|error| Err(unreadable(&error))).map_err(Unanswered::Refused)
}

fn unreadable(error: &dyn std::error::Error) -> RequestError {
    RequestError::new(RequestErrorKind::Internal, format!("the dispatcher's answer cannot be read: {error}"))
}

/// The error of a client without a connection, with the last known cause.
fn lost_connection(address: &str, link: &Link) -> RequestError {
    let cause = match &*link.health().borrow() {
        LinkHealth::Down(cause) => cause.clone(),
        LinkHealth::Up | LinkHealth::Blocked(_) | LinkHealth::Closed => None,
    };
    unreachable(address, cause.as_deref())
}

#[async_trait]
impl Hub for AmqpHub {
    async fn call(&self, request: Request) -> Result<Answer, RequestError> {
        carry_out(request, self.timeout, |request| self.ask(request)).await
    }

    async fn submit_with(&self, submission: Submission, wait: Option<Duration>) -> Result<Submitted, RequestError> {
        self.submit_job(submission, wait).await
    }
}
