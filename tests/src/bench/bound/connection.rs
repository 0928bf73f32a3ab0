//! Connections and queues of the raw client.

use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer, Result};

use super::load::WINDOW;

/// The queue of requests.
pub(super) const THERE: &str = "bound.there";
/// The queue of answers.
pub(super) const BACK: &str = "bound.back";

/// A connection that consumes one of the queues and publishes to the other.
pub(super) struct Side {
    pub(super) publishing: Channel,
    pub(super) consuming: Channel,
    pub(super) consumer: Consumer,
    connection: Connection,
}

impl Side {
    /// Connects. Both queues then exist and are empty.
    pub(super) async fn open(address: &str, consumes: &str) -> Result<Self> {
        let connection = connect(address).await?;
        let (publishing, consuming) = (connection.create_channel().await?, connection.create_channel().await?);
        for queue in [THERE, BACK] {
            let mut arguments = FieldTable::default();
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            consuming.queue_declare(queue.into(), options, arguments).await?;
        }
        consuming.queue_purge(consumes.into(), QueuePurgeOptions::default()).await?;
        publishing.confirm_select(ConfirmSelectOptions::default()).await?;
        consuming.basic_qos(WINDOW, BasicQosOptions::default()).await?;
        let consumer = consuming
            .basic_consume(consumes.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
            .await?;
        Ok(Self { publishing, consuming, consumer, connection })
    }

    /// Closes the connection after all pending messages.
    pub(super) async fn close(self) -> Result<()> {
        self.connection.close(200, "".into()).await
    }
}

/// Deletes queues, which would slow down later runs.
pub(in crate::bench) async fn delete_queues(address: &str, queues: &[String]) -> Result<()> {
    let connection = connect(address).await?;
    let channel = connection.create_channel().await?;
    for queue in queues {
        channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
    }
    connection.close(200, "".into()).await
}

async fn connect(address: &str) -> Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name("hub-bench".into());
    Connection::connect(&format!("amqp://{address}"), properties).await
}
