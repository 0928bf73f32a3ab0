//! Refuses names and messages that a broker cannot accept. On these, one AMQP client would panic and the other one would lose its
//! connection.

use super::FRAME_MAX;
use crate::{Error, ErrorKind, Message, Operation, Result, Text};

/// Maximum size of a short string (names, keys and ids), in bytes.
const MAX_SHORT_STRING: usize = 255;
/// Size of a header without its name and value, in bytes: the lengths of both, and the type of the value.
const HEADER_OVERHEAD: usize = 6;
/// Maximum size of all headers, in bytes. They must fit into one frame.
const MAX_HEADERS: usize = FRAME_MAX as usize / 2;

/// Checks the name of a queue or an exchange, or the key of a binding.
pub fn check_name(name: &str, operation: Operation) -> Result<()> {
    if name.len() <= MAX_SHORT_STRING {
        return Ok(());
    }
    let message = format!("a name of {} bytes is too long, the limit is {MAX_SHORT_STRING}", name.len());
    Err(Error::new(ErrorKind::Configuration, operation, message))
}

/// Checks a message before it goes out.
///
/// # Errors
/// `TooLarge` if the body or another part is too large. The message can never be published.
pub fn check_message(message: &Message, max_message_bytes: usize) -> Result<()> {
    let too_large = |text: String| Err(Error::new(ErrorKind::TooLarge, Operation::Publish, text));
    let size = message.body.len();
    if size > max_message_bytes {
        return too_large(format!("the message has {size} bytes, the limit of the broker is {max_message_bytes}"));
    }
    let short_strings = [
        ("exchange", Some(&message.exchange)),
        ("routing key", Some(&message.routing_key)),
        ("message id", message.message_id.as_ref()),
        ("correlation id", message.correlation_id.as_ref()),
        ("reply address", message.reply_to.as_ref()),
        ("content type", message.content_type.as_ref()),
    ];
    for (what, text) in short_strings {
        let size = text.map_or(0, Text::len);
        if size > MAX_SHORT_STRING {
            return too_large(format!("the {what} has {size} bytes, the limit is {MAX_SHORT_STRING}"));
        }
    }
    if let Some(name) = message.headers.keys().find(|name| name.len() > MAX_SHORT_STRING) {
        let size = name.len();
        return too_large(format!("a header's name has {size} bytes, the limit is {MAX_SHORT_STRING}"));
    }
    let size: usize = message.headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_OVERHEAD).sum();
    if size > MAX_HEADERS {
        return too_large(format!("the headers have {size} bytes, the limit is {MAX_HEADERS}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_message_has_a_limit() {
        let long = "x".repeat(MAX_SHORT_STRING + 1);
        let fine = Message::new("e", &long[1..], vec![0; 10]).with_message_id(&long[1..]);
        assert!(check_message(&fine, 10).is_ok());
        assert!(check_message(&fine, 9).is_err());
        let parts: [fn(&mut Message, String); 8] = [
            |message, text| message.exchange = text.into(),
            |message, text| message.routing_key = text.into(),
            |message, text| message.message_id = Some(text.into()),
            |message, text| message.correlation_id = Some(text.into()),
            |message, text| message.reply_to = Some(text.into()),
            |message, text| message.content_type = Some(text.into()),
            |message, text| drop(message.headers.insert(text, String::new())),
            |message, text| drop(message.headers.insert(String::new(), text.repeat(MAX_HEADERS / 256 + 1))),
        ];
        for set in parts {
            let mut message = fine.clone();
            set(&mut message, long.clone());
            assert_eq!(check_message(&message, 10).unwrap_err().kind(), ErrorKind::TooLarge);
        }
    }
}
