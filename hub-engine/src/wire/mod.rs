//! What Hub's programs say to each other over the broker: names of exchanges and queues, and the JSON of
//! every message. `docs/wire-format.md` describes the same for other languages.
//!
//! Every message carries `"v"`, the version of this format; one without it is of version 1. Readers ignore keys that
//! they do not know, so that a newer Hub can add some; a message of a higher version is refused, since its meaning may
//! differ. What people write is read strictly, since an unknown key there is a misspelt one: posted results and filters.

mod control;
mod ended;
mod names;
mod not_a_number;
pub(crate) mod object;
mod request;
mod result;
mod submission;
mod task;

use std::sync::Arc;

use bytes::Bytes;
use hub_core::text::cut;
use hub_transport::Text;
use serde::Serialize;
use serde_json::value::RawValue;

pub(crate) use control::MAXIMUM_SHORTAGE;
pub use control::{Control, ControlMessage, Heartbeat};
pub use ended::{ResultStatus, Span, TaskEnded};
pub use names::Names;
pub(crate) use names::TASK_DELIVERY_LIMIT;
pub use request::{MANY, REPLIES_HEADER, Replies, Reply, ReplyFor, RequestMessage, reads_many};
pub use result::{FromWorker, ResultMessage, Results, ReturnReason, Returned, RunningIssue, Started};
pub use submission::{JobMessage, WAIT_HEADER};
pub use task::TaskMessage;

/// The version of the message format that this Hub speaks.
pub const VERSION: u32 = 1;

/// Maximum length of the reason why a message cannot be read, in bytes; the beginning and the end are kept.
const MAXIMUM_REASON: usize = 1000;

/// The MIME type of bodies.
pub const JSON: Text = Text::new_static("application/json");

/// Why a body could not be understood.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The version is higher than [`VERSION`].
    #[error("the message has format version {0}, this Hub speaks {VERSION}: upgrade it")]
    TooNew(u32),
    /// It is not JSON, or not the JSON that is expected here.
    #[error("the message is not as docs/wire-format.md describes: {}", brief(.0))]
    Malformed(#[from] serde_json::Error),
}

/// Turns a message into a body.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> Bytes {
    // Most are of some hundred bytes.
    let mut body = Vec::with_capacity(512);
    // Hub's own messages have string keys and checked JSON inside: writing them cannot fail.
    serde_json::to_writer(&mut body, message).expect("a message of Hub's own is always JSON");
    body.into()
}

/// The same, as a part of another message.
#[must_use]
pub fn raw<T: Serialize>(message: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(message).expect("a message of Hub's own is always JSON")
}

/// An error in words: it may quote what it was about, which may be as long as a message.
fn brief(error: &serde_json::Error) -> Arc<str> {
    cut(error.to_string().into(), MAXIMUM_REASON)
}

/// The version of a message that names none.
const fn first_version() -> u32 {
    1
}

fn check_version(v: Option<u32>) -> Result<(), WireError> {
    match v {
        Some(v) if v > VERSION => Err(WireError::TooNew(v)),
        _ => Ok(()),
    }
}
