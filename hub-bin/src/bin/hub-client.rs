//! `hub-client`.

use hub_bin::parts::AmqpClients;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hub_bin::client::main(AmqpClients {
        lapin: Some(hub_lapin::transport),
        #[cfg(feature = "amqprs")]
        amqprs: Some(hub_amqprs::transport),
        #[cfg(not(feature = "amqprs"))]
        amqprs: None,
    })
}
