//! The common parts of all message bodies: the version, the encoding and the errors.

use std::sync::Arc;

use bytes::Bytes;
use hub_core::text::cut;
use hub_transport::Text;
use serde::Serialize;
use serde_json::value::RawValue;

/// The version of the message format that this Hub supports.
pub const VERSION: u32 = 1;

/// Maximum length of an error about a message in bytes. The beginning and the end are kept.
const MAXIMUM_REASON: usize = 1000;

/// The MIME type of bodies.
pub const JSON: Text = Text::new_static("application/json");

/// Why a body could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The version is higher than [`VERSION`].
    #[error("the message has format version {0}, this Hub supports {VERSION}: upgrade it")]
    TooNew(u32),
    /// It is not JSON, or not the expected JSON.
    #[error("the message is not as docs/wire-format.md describes: {}", brief(.0))]
    Malformed(#[from] serde_json::Error),
}

/// Encodes a message as a body.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> Bytes {
    // Most messages have some hundred bytes.
    let mut body = Vec::with_capacity(512);
    // Hub's own messages have string keys and checked JSON inside: writing them cannot fail.
    serde_json::to_writer(&mut body, message).expect("Hub's own messages can be written as JSON");
    body.into()
}

/// Encodes a message as a part of another one.
#[must_use]
pub fn raw<T: Serialize>(message: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(message).expect("Hub's own messages can be written as JSON")
}

/// The text of an error, truncated, because it may quote a long message.
pub(super) fn brief(error: &serde_json::Error) -> Arc<str> {
    cut(error.to_string().into(), MAXIMUM_REASON)
}

/// The version of a message without a version.
pub(super) const fn first_version() -> u32 {
    1
}

pub(super) fn check_version(v: Option<u32>) -> Result<(), WireError> {
    match v {
        Some(v) if v > VERSION => Err(WireError::TooNew(v)),
        _ => Ok(()),
    }
}
