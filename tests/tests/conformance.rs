//! The transport's suite on a real RabbitMQ, through both AMQP clients.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use hub_tests::{Broker, BrokerTest, Client, trials_on_a_broker};
use hub_transport::Transport;
use hub_transport::testing::conformance::{Case, Fixture, cases};

fn main() -> ExitCode {
    let mut trials: Vec<(String, BrokerTest)> = Vec::new();
    for client in [Client::Lapin, Client::Amqprs] {
        for (name, case) in cases() {
            trials.push((format!("{client}::{name}"), Box::new(move |broker: &Broker| run(broker, client, case))));
        }
    }
    trials_on_a_broker(trials)
}

fn run(broker: &Broker, client: Client, case: Case) {
    let transport = client.transport(&broker.address());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(case(&RabbitMq { broker, transport }));
}

struct RabbitMq<'a> {
    broker: &'a Broker,
    transport: Arc<dyn Transport>,
}

impl RabbitMq<'_> {
    fn control(&self, arguments: &[&str]) {
        tokio::task::block_in_place(|| self.broker.control(arguments));
    }
}

#[async_trait]
impl Fixture for RabbitMq<'_> {
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.transport)
    }

    async fn restart(&self) {
        tokio::task::block_in_place(|| self.broker.restart());
    }

    async fn drop_connections(&self) {
        self.control(&["close_all_connections", "as the test wants it"]);
    }

    async fn block(&self) {
        tokio::task::block_in_place(|| self.broker.block());
    }

    async fn unblock(&self) {
        tokio::task::block_in_place(|| self.broker.unblock());
    }

    async fn delete_queue(&self, name: &str) {
        self.control(&["delete_queue", name]);
    }
}
