//! Converts between the types of Hub and amqprs.

use std::collections::BTreeMap;

use amqprs::channel::ConsumerMessage;
use amqprs::{BasicProperties, FieldTable, FieldValue};

use hub_transport::Persistence;
use hub_transport::amqp::{Argument, RETURN_MARK, header_arguments, is_own_header, kind_of_code, queue_in};
use hub_transport::session::Death;
use hub_transport::{Delivery, DeliveryTag, Error, ErrorKind, Message, Operation, Text};

/// Converts an error of amqprs. Its errors contain text only, so the kind is derived from the text.
pub(super) fn error(operation: Operation, source: amqprs::error::Error) -> Error {
    use amqprs::error::Error as Source;
    let mut text = source.to_string();
    let kind = match &source {
        Source::NetworkError(cause) if TLS.iter().any(|words| cause.contains(words)) => {
            text = format!("the TLS handshake failed: {}", cause.trim_start_matches("network io error: "));
            ErrorKind::Configuration
        }
        Source::NetworkError(cause) if operation == Operation::Connect && cause.contains("peer shutdown") => {
            // The broker gives no reason, because the client does not announce the capability for it.
            text =
                "the broker closed the connection during the login; the user, the password or the virtual host may be \
                    wrong"
                    .to_owned();
            ErrorKind::Protocol
        }
        Source::NetworkError(_) => ErrorKind::Unreachable,
        Source::ConnectionOpenError(text) if text.contains("403") || text.contains("ACCESS_REFUSED") => {
            ErrorKind::AccessRefused
        }
        Source::ConnectionOpenError(text) if text.contains("530") || text.contains("not found") => ErrorKind::NotFound,
        Source::ConnectionOpenError(_) => ErrorKind::Unreachable,
        Source::InternalChannelError(_) => ErrorKind::Closed,
        Source::UriError(_) => ErrorKind::Configuration,
        _ => ErrorKind::Protocol,
    };
    Error::new(kind, operation, text).with_source(std::io::Error::other(source.to_string()))
}

/// The beginnings of the TLS library's error messages.
const TLS: [&str; 2] = ["invalid peer certificate", "received fatal alert"];

/// Converts the broker's reason for closing a channel or connection.
pub(super) fn closed_by_broker(operation: Operation, code: u16, text: &str) -> Error {
    Error::new(kind_of_code(code, text), operation, text.to_owned()).with_queue(queue_in(text))
}

pub(super) fn table<'a>(arguments: impl IntoIterator<Item = (&'a str, Argument)>) -> FieldTable {
    let mut table = FieldTable::new();
    for (name, argument) in arguments {
        let value = match argument {
            Argument::Text(text) => FieldValue::from(text),
            Argument::Number(number) => FieldValue::l(number),
            Argument::Flag(flag) => FieldValue::from(flag),
        };
        if let Ok(name) = name.try_into() {
            table.insert(name, value);
        }
    }
    table
}

/// The properties of a message. `mark` identifies a mandatory message if it is returned.
pub(super) fn properties(message: &Message, mark: Option<u64>) -> BasicProperties {
    let mut properties = BasicProperties::default();
    properties.with_persistence(message.persistence == Persistence::Persistent);
    if let Some(id) = &message.message_id {
        properties.with_message_id(id);
    }
    if let Some(id) = &message.correlation_id {
        properties.with_correlation_id(id);
    }
    if let Some(address) = &message.reply_to {
        properties.with_reply_to(address);
    }
    if let Some(kind) = &message.content_type {
        properties.with_content_type(kind);
    }
    let mark = mark.and_then(|mark| i64::try_from(mark).ok());
    if mark.is_some() || !message.headers.is_empty() {
        properties.with_headers(table(header_arguments(message, mark)));
    }
    properties.finish()
}

/// The mark of a returned message.
pub(super) fn mark(returned: &BasicProperties) -> Option<u64> {
    u64::try_from(wide(header(returned.headers()?, RETURN_MARK)?)?).ok()
}

/// Converts a delivery. `None` if the message is incomplete.
pub(super) fn delivery(message: ConsumerMessage) -> Option<Delivery> {
    let (deliver, properties) = (message.deliver?, message.basic_properties.unwrap_or_default());
    let headers = properties.headers();
    Some(Delivery {
        tag: DeliveryTag(deliver.delivery_tag()),
        redelivered: deliver.redelivered(),
        delivery_count: headers.and_then(|headers| u32::try_from(wide(header(headers, "x-delivery-count")?)?).ok()),
        death: headers.and_then(death),
        message: Message {
            exchange: deliver.exchange().into(),
            routing_key: deliver.routing_key().into(),
            message_id: properties.message_id().map(Text::from),
            correlation_id: properties.correlation_id().map(Text::from),
            reply_to: properties.reply_to().map(Text::from),
            content_type: properties.content_type().map(Text::from),
            headers: headers.map(texts).unwrap_or_default(),
            persistence: match properties.delivery_mode() {
                Some(amqprs::DELIVERY_MODE_PERSISTENT) => Persistence::Persistent,
                _ => Persistence::Transient,
            },
            mandatory: false,
            body: message.content.unwrap_or_default().into(),
        },
    })
}

fn texts(headers: &FieldTable) -> BTreeMap<String, String> {
    let named = headers.as_ref().iter().map(|(name, value)| (name.to_string(), value));
    named
        .filter(|(name, _)| is_own_header(name))
        .filter_map(|(name, value)| match value {
            FieldValue::S(text) => Some((name, text.to_string())),
            other => Some((name, wide(other)?.to_string())),
        })
        .collect()
}

fn header<'a>(headers: &'a FieldTable, name: &str) -> Option<&'a FieldValue> {
    headers.get(&name.try_into().ok()?)
}

fn wide(value: &FieldValue) -> Option<i64> {
    Some(match value {
        FieldValue::l(number) => *number,
        FieldValue::I(number) => i64::from(*number),
        FieldValue::i(number) => i64::from(*number),
        FieldValue::s(number) => i64::from(*number),
        FieldValue::u(number) => i64::from(*number),
        FieldValue::b(number) => i64::from(*number),
        FieldValue::B(number) => i64::from(*number),
        _ => return None,
    })
}

/// The client does not expose the contents of `x-death`. Brokers repeat its last or first entry in separate headers.
fn death(headers: &FieldTable) -> Option<Death> {
    let text = |name: &str| match header(headers, name)? {
        FieldValue::S(text) => Some(text.to_string()),
        _ => None,
    };
    let either = |what: &str| text(&format!("x-last-death-{what}")).or_else(|| text(&format!("x-first-death-{what}")));
    Some(Death { queue: either("queue")?, reason: either("reason")? })
}
