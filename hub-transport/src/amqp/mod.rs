//! Shared code of the AMQP backends: the address, TLS, the arguments of declarations, size limits of messages, publish windows,
//! unsettled deliveries, and the broker's error codes. It does not depend on a client library.

mod address;
mod capabilities;
mod check;
mod codes;
mod ledger;
mod lifecycle;
mod node;
mod nodes;
mod overdue;
mod render;
mod settings;
mod tls;
mod window;

pub use address::AmqpAddress;
pub use capabilities::RABBITMQ;
pub use check::{check_message, check_name};
pub use codes::{kind_of_code, queue_in, size_limit};
pub use ledger::Ledger;
pub use lifecycle::{Lifecycle, ended_on_request};
pub use node::Node;
pub use nodes::{Dial, Nodes, Purpose, Target};
pub use overdue::end_when_overdue;
pub use render::{Argument, RETURN_MARK, exchange_arguments, header_arguments, is_own_header, queue_arguments};
pub use settings::FRAME_MAX;
pub use settings::{AmqpSettings, TlsFiles};
pub use tls::client_config;
pub use window::{Permit, Window};
