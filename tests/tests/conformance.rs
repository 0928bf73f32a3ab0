//! The conformance suite of the transport on a real RabbitMQ, with both AMQP clients. A case that needs a missing capability is
//! shown as ignored.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use hub_tests::{Broker, BrokerTrial, Client, trials_on};
use hub_transport::Transport;
use hub_transport::testing::conformance::{Case, Fixture, cases};

/// The capabilities of a client do not depend on the broker's address.
const ANY_ADDRESS: &str = "amqp://localhost";

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for client in [Client::Lapin, Client::Amqprs] {
        let capabilities = client.transport(ANY_ADDRESS).capabilities();
        for case in cases() {
            let trial =
                BrokerTrial::new(format!("{client}::{}", case.name), move |broker: &Broker| run(broker, client, case));
            trials.push(trial.ignored_unless(case.missing(&capabilities).is_empty()));
        }
    }
    trials_on(Broker::start, trials)
}

fn run(broker: &Broker, client: Client, case: Case) {
    let transport = client.transport(&broker.address());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(case.run(&RabbitMq { broker, transport }));
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
