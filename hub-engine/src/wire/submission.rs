//! Submissions: messages with one job or several jobs.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use hub_core::JobId;
use hub_transport::{Message, Text};
use serde::{Deserialize, Serialize};

use super::control::MAXIMUM_NAME;
use super::request::{MANY, REPLIES_HEADER};
use super::{JSON, Names, VERSION, WireError, check_version, encode, object};

/// The header of a submission that is answered at the end of the job: the maximum wait in milliseconds.
pub const WAIT_HEADER: &str = "wait_ms";

/// The header of a message with several jobs. Its value is `many`.
const JOBS_HEADER: &str = "jobs";

/// Maximum number of jobs in a message.
const MAXIMUM_JOBS: usize = 1024;

/// The end of the list in a message with several jobs.
const END_OF_LIST: u8 = b'\n';

/// A submitted job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobMessage {
    /// The id of the job. Repeated submissions under one id are one job. Without an id, a redelivered message may
    /// create a second job.
    pub id: Option<JobId>,
    /// The job.
    pub text: Bytes,
    /// The correlation id for the answer.
    pub correlation_id: Option<Text>,
    /// The maximum time that the answer may be delayed until the end of the job. `None`: no wait.
    pub wait: Option<Duration>,
}

/// The first line of a message with several jobs, as JSON. It is followed by the unchanged texts of the jobs without
/// separators.
#[derive(Serialize, Deserialize)]
struct List {
    v: Option<u32>,
    #[serde(deserialize_with = "object::list")]
    jobs: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// Any text: see [`JobId::of_text`].
    id: Option<String>,
    /// The size of the text in bytes.
    bytes: usize,
    /// The correlation id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wait_ms: Option<u64>,
}

impl JobMessage {
    /// The message with these jobs. Their answers are sent to `reply_to`.
    #[must_use]
    pub fn message(mut jobs: Vec<Self>, names: &Names, reply_to: Option<Text>) -> Message {
        let message = match jobs.pop() {
            Some(job) if jobs.is_empty() => job.alone(names),
            last => {
                jobs.extend(last);
                Self::together(&jobs, names)
            }
        };
        // A broker confirms and drops a message that no queue is bound for. This can happen while another program declares the
        // queues.
        Message { reply_to, mandatory: true, ..message.with_header(REPLIES_HEADER, MANY) }
    }

    fn alone(self, names: &Names) -> Message {
        let key = self.id.map_or_else(|| names.jobs_key().to_owned(), |id| names.job_key(id));
        let mut message = Message::new(names.hub(), key, self.text);
        message.message_id = self.id.map(|id| id.to_string().into());
        message.content_type = Some(JSON);
        message.correlation_id = self.correlation_id;
        match self.wait {
            Some(wait) => message.with_header(WAIT_HEADER, millis(wait).to_string()),
            None => message,
        }
    }

    fn together(jobs: &[Self], names: &Names) -> Message {
        let entries = jobs.iter().map(|job| Entry {
            id: job.id.map(|id| id.to_string()),
            bytes: job.text.len(),
            to: job.correlation_id.as_deref().map(Into::into),
            wait_ms: job.wait.map(millis),
        });
        let list = encode(&List { v: Some(VERSION), jobs: entries.collect() });
        let mut body = BytesMut::with_capacity(list.len() + 1 + jobs.iter().map(|job| job.text.len()).sum::<usize>());
        body.put(list);
        body.put_u8(END_OF_LIST);
        jobs.iter().for_each(|job| body.put_slice(&job.text));
        Message::new(names.hub(), names.jobs_key(), body).with_header(JOBS_HEADER, MANY)
    }

    /// Decodes the jobs of a message in the queue of jobs.
    ///
    /// # Errors
    /// If a message with several jobs has a newer format, is malformed, or has more than 1,024 jobs.
    pub fn all_of(message: &Message) -> Result<Vec<Self>, WireError> {
        if message.headers.get(JOBS_HEADER).is_none_or(|value| value != MANY) {
            return Ok(vec![Self {
                id: message.message_id.as_deref().and_then(JobId::of_text),
                text: message.body.clone(),
                correlation_id: message.correlation_id.clone(),
                wait: message.headers.get(WAIT_HEADER).and_then(|wait| wait.parse().ok()).map(Duration::from_millis),
            }]);
        }
        let body = &message.body;
        let end = body.iter().position(|byte| *byte == END_OF_LIST).unwrap_or(body.len());
        let list: List = object::from_slice(&body[..end])?;
        check_version(list.v)?;
        if list.jobs.len() > MAXIMUM_JOBS {
            return Err(malformed("it has more than 1024 jobs"));
        }
        let mut rest = body.slice((end + 1).min(body.len())..);
        let mut jobs = Vec::with_capacity(list.jobs.len());
        for Entry { id, bytes, to, wait_ms } in list.jobs {
            if to.as_ref().is_some_and(|to| to.len() > MAXIMUM_NAME) {
                return Err(malformed("a correlation id has at most 255 bytes"));
            }
            if bytes > rest.len() {
                return Err(malformed("it ends within a job"));
            }
            let (text, wait) = (rest.split_to(bytes), wait_ms.map(Duration::from_millis));
            let id = id.as_deref().and_then(JobId::of_text);
            jobs.push(Self { id, text, correlation_id: to.map(Into::into), wait });
        }
        if rest.is_empty() { Ok(jobs) } else { Err(malformed("it has further bytes after its last job")) }
    }
}

fn malformed(what: &str) -> WireError {
    WireError::Malformed(serde::de::Error::custom(what))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn job(number: u128, text: &'static str) -> JobMessage {
        let id = (number > 0).then(|| JobId::new(Uuid::from_u128(number << 64)));
        let correlation_id = (number > 1).then(|| Text::from(format!("question {number}")));
        let wait = (number > 2).then(|| Duration::from_millis(500));
        JobMessage { id, text: Bytes::from_static(text.as_bytes()), correlation_id, wait }
    }

    #[test]
    fn jobs_are_decoded_unchanged_from_single_and_combined_messages() {
        let names = Names::new("hub");
        let jobs = [job(0, ""), job(1, "{}\n"), job(2, "no JSON\n\nat all"), job(3, "\u{feff} []")];
        let reply_to = Some(Text::from("inbox"));
        let message = JobMessage::message(jobs.to_vec(), &names, reply_to.clone());
        assert_eq!((&message.reply_to, &*message.routing_key), (&reply_to, "jobs"));
        assert_eq!(JobMessage::all_of(&message).unwrap(), jobs);
        for job in jobs {
            let message = JobMessage::message(vec![job.clone()], &names, reply_to.clone());
            assert_eq!((&message.reply_to, &message.body), (&reply_to, &job.text));
            assert_eq!(JobMessage::all_of(&message).unwrap(), [job]);
        }
    }

    #[test]
    fn any_message_id_becomes_the_id_of_the_job() {
        let names = Names::new("hub");
        let mut alone = JobMessage::message(vec![job(0, "{}")], &names, None);
        let list = r#"{"jobs":[{"id":"order-17","bytes":2},{"id":"","bytes":2},{"bytes":2}]}"#;
        let many = Message { body: format!("{list}\n{{}}[]{{}}").into(), ..Message::default() };
        let ids: Vec<_> = JobMessage::all_of(&many.with_header(JOBS_HEADER, MANY)).unwrap();
        let named = JobId::of_text("order-17");
        assert_eq!(ids.iter().map(|job| job.id).collect::<Vec<_>>(), [named, None, None]);
        for (id, expected) in [(Some("order-17"), named), (Some(""), None), (None, None)] {
            alone.message_id = id.map(Into::into);
            assert_eq!(JobMessage::all_of(&alone).unwrap()[0].id, expected);
        }
    }

    #[test]
    fn a_message_with_missing_or_further_bytes_is_refused() {
        let whole = JobMessage::message(vec![job(1, "{}"), job(2, "[]")], &Names::new("hub"), None);
        let refusal = |body: Bytes| JobMessage::all_of(&Message { body, ..whole.clone() }).unwrap_err().to_string();
        for end in 0..whole.body.len() {
            refusal(whole.body.slice(..end));
        }
        assert!(refusal([&whole.body[..], b" "].concat().into()).ends_with("it has further bytes after its last job"));
        assert!(refusal(whole.body.slice(..whole.body.len() - 1)).ends_with("it ends within a job"));
        let newer = String::from_utf8(whole.body.to_vec()).unwrap().replace(r#""v":1"#, r#""v":2"#);
        assert!(refusal(newer.into()).contains("format version 2"));
        let list = |count: usize| format!("{{\"jobs\":[{}]}}\n", vec![r#"{"bytes":0}"#; count].join(","));
        assert!(refusal(list(MAXIMUM_JOBS + 1).into()).ends_with("more than 1024 jobs"));
        assert_eq!(
            JobMessage::all_of(&Message { body: list(MAXIMUM_JOBS).into(), ..whole.clone() }).unwrap().len(),
            MAXIMUM_JOBS
        );
    }
}
