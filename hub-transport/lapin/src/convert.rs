//! Converts between the types of Hub and lapin.

use std::collections::BTreeMap;
use std::sync::Arc;

use lapin::message::BasicReturnMessage;
use lapin::protocol::AMQPErrorKind;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, ErrorKind as LapinKind};

use hub_transport::Persistence;
use hub_transport::amqp::{Argument, RETURN_MARK, header_arguments, is_own_header, kind_of_code, queue_in};
use hub_transport::session::Death;
use hub_transport::{Delivery, DeliveryTag, Error, ErrorKind, Message, Operation, Text};

/// Converts an error of lapin.
pub(super) fn error(operation: Operation, source: lapin::Error) -> Error {
    let (kind, message) = match source.kind() {
        LapinKind::ProtocolError(amqp) => {
            let text = amqp.get_message().to_string();
            (kind_of_code(amqp.get_id(), &text), text)
        }
        LapinKind::IOError(io) if is_tls(io) => (ErrorKind::Configuration, format!("the TLS handshake failed: {io}")),
        LapinKind::IOError(_) => (ErrorKind::Unreachable, "the connection failed".to_owned()),
        LapinKind::MissingHeartbeatError => (ErrorKind::Unreachable, "no heartbeat from the broker".to_owned()),
        LapinKind::InvalidChannelState(..) | LapinKind::InvalidConnectionState(_) | LapinKind::InvalidChannel(_) => {
            (ErrorKind::Closed, "the session has ended".to_owned())
        }
        _ => (ErrorKind::Protocol, "the AMQP client failed".to_owned()),
    };
    let error = Error::new(kind, operation, message);
    let queue = queue_in(error.message()).map(str::to_owned);
    error.with_queue(queue.as_deref()).with_source(source)
}

/// Whether an error has closed only a channel, not the connection.
pub(super) fn is_of_a_channel(error: &lapin::Error) -> bool {
    matches!(error.kind(), LapinKind::ProtocolError(amqp) if matches!(amqp.kind(), AMQPErrorKind::Soft(_)))
}

fn is_tls(error: &Arc<std::io::Error>) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<tokio_rustls::rustls::Error>)
}

pub(super) fn table<'a>(arguments: impl IntoIterator<Item = (&'a str, Argument)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, argument) in arguments {
        let value = match argument {
            Argument::Text(text) => AMQPValue::LongString(LongString::from(text)),
            Argument::Number(number) => AMQPValue::LongLongInt(number),
            Argument::Flag(flag) => AMQPValue::Boolean(flag),
        };
        table.insert(ShortString::from(name), value);
    }
    table
}

/// The properties of a message. `mark` identifies a mandatory message if it is returned.
pub(super) fn properties(message: &Message, mark: Option<i64>) -> BasicProperties {
    let mode = match message.persistence {
        Persistence::Persistent => 2,
        Persistence::Transient => 1,
    };
    let mut properties = BasicProperties::default().with_delivery_mode(mode);
    if let Some(id) = &message.message_id {
        properties = properties.with_message_id(id.as_str().into());
    }
    if let Some(id) = &message.correlation_id {
        properties = properties.with_correlation_id(id.as_str().into());
    }
    if let Some(address) = &message.reply_to {
        properties = properties.with_reply_to(address.as_str().into());
    }
    if let Some(kind) = &message.content_type {
        properties = properties.with_content_type(kind.as_str().into());
    }
    if mark.is_some() || !message.headers.is_empty() {
        properties = properties.with_headers(table(header_arguments(message, mark)));
    }
    properties
}

/// The mark of a returned message.
pub(super) fn mark(returned: &BasicReturnMessage) -> Option<i64> {
    let headers = returned.delivery.properties.headers().as_ref()?;
    wide(headers.inner().get(RETURN_MARK)?)
}

pub(super) fn delivery(delivery: lapin::message::Delivery) -> Delivery {
    let properties = &delivery.properties;
    let text = |text: &Option<ShortString>| text.as_ref().map(|text| Text::new(text.as_str()));
    let headers = properties.headers().as_ref();
    let count = headers.and_then(|headers| wide(headers.inner().get("x-delivery-count")?));
    Delivery {
        tag: DeliveryTag(delivery.delivery_tag),
        redelivered: delivery.redelivered,
        delivery_count: count.and_then(|count| u32::try_from(count).ok()),
        death: headers.and_then(death),
        message: Message {
            exchange: Text::new(delivery.exchange.as_str()),
            routing_key: Text::new(delivery.routing_key.as_str()),
            message_id: text(properties.message_id()),
            correlation_id: text(properties.correlation_id()),
            reply_to: text(properties.reply_to()),
            content_type: text(properties.content_type()),
            headers: headers.map(texts).unwrap_or_default(),
            persistence: match properties.delivery_mode() {
                Some(2) => Persistence::Persistent,
                _ => Persistence::Transient,
            },
            mandatory: false,
            body: delivery.data.into(),
        },
    }
}

fn texts(headers: &FieldTable) -> BTreeMap<String, String> {
    let own = headers.into_iter().filter(|(name, _)| is_own_header(name.as_str()));
    own.filter_map(|(name, value)| {
        let text = match value {
            AMQPValue::LongString(text) => text.to_string(),
            AMQPValue::ShortString(text) => text.to_string(),
            other => wide(other)?.to_string(),
        };
        Some((name.as_str().to_owned(), text))
    })
    .collect()
}

fn wide(value: &AMQPValue) -> Option<i64> {
    Some(match value {
        AMQPValue::LongLongInt(number) => *number,
        AMQPValue::LongInt(number) => i64::from(*number),
        AMQPValue::LongUInt(number) => i64::from(*number),
        AMQPValue::ShortInt(number) => i64::from(*number),
        AMQPValue::ShortUInt(number) => i64::from(*number),
        AMQPValue::ShortShortInt(number) => i64::from(*number),
        AMQPValue::ShortShortUInt(number) => i64::from(*number),
        _ => return None,
    })
}

/// The latest death, which is the first entry of the header.
fn death(headers: &FieldTable) -> Option<Death> {
    let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else { return None };
    let AMQPValue::FieldTable(latest) = deaths.as_slice().first()? else { return None };
    let text = |name: &str| match latest.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        Some(AMQPValue::ShortString(text)) => Some(text.to_string()),
        _ => None,
    };
    Some(Death { queue: text("queue")?, reason: text("reason")? })
}
