//! What both AMQP clients share: the address, TLS, the rendering of a topology, the limits of messages, the
//! bookkeeping of windows and deliveries, and the broker's error codes. It must not know either client.

mod address;
mod capabilities;
mod check;
mod codes;
mod end;
mod ledger;
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
pub use end::{End, asked_for_end};
pub use ledger::Ledger;
pub use node::Node;
pub use nodes::{Dial, Nodes, Purpose, Target};
pub use overdue::end_when_overdue;
pub use render::{Argument, RETURN_MARK, exchange_arguments, header_arguments, is_own_header, queue_arguments};
pub use settings::FRAME_MAX;
pub use settings::{AmqpSettings, TlsFiles};
pub use tls::client_config;
pub use window::{Permit, Window};
