//! `hub-client`.

use std::sync::Arc;

use hub_bin::parts::{AmqpClients, ClientParts};
use hub_core::job::InputCheck;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let amqp = AmqpClients {
        lapin: Some(hub_lapin::transport),
        #[cfg(feature = "amqprs")]
        amqprs: Some(hub_amqprs::transport),
        #[cfg(not(feature = "amqprs"))]
        amqprs: None,
    };
    hub_bin::client::main(ClientParts { amqp, inputs })
}

#[cfg(feature = "input-schema")]
fn inputs() -> Arc<dyn InputCheck> {
    Arc::new(hub_input_schema::SchemaCheck::default())
}

#[cfg(not(feature = "input-schema"))]
fn inputs() -> Arc<dyn InputCheck> {
    Arc::new(hub_core::job::NoSchemas("build hub-client with `--features hub-bin/input-schema`"))
}
