//! What the bodies of all messages have in common: the version, the encoding, and why one cannot be read.

use std::sync::Arc;

use bytes::Bytes;
use hub_core::text::cut;
use hub_transport::Text;
use serde::Serialize;
use serde_json::value::RawValue;

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

/// The text of an error. It may quote its subject, which may be as long as a message, so it is cut.
pub(super) fn brief(error: &serde_json::Error) -> Arc<str> {
    cut(error.to_string().into(), MAXIMUM_REASON)
}

/// The version of a message that names none.
pub(super) const fn first_version() -> u32 {
    1
}

pub(super) fn check_version(v: Option<u32>) -> Result<(), WireError> {
    match v {
        Some(v) if v > VERSION => Err(WireError::TooNew(v)),
        _ => Ok(()),
    }
}
