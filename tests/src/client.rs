//! The two AMQP clients, as tests choose between them.

use std::fmt;
use std::sync::Arc;

use hub_transport::Transport;
use hub_transport::amqp::AmqpSettings;

/// An AMQP client library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// lapin
    Lapin,
    /// amqprs
    Amqprs,
}

impl Client {
    /// As the programs' option has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lapin => "lapin",
            Self::Amqprs => "amqprs",
        }
    }

    /// A way to the broker at this address.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn transport(self, address: &str) -> Arc<dyn Transport> {
        self.transport_with(AmqpSettings::new(address.parse().expect("an address")))
    }

    /// A way to the broker under these settings.
    ///
    /// # Panics
    /// Where they cannot be used.
    #[must_use]
    pub fn transport_with(self, settings: AmqpSettings) -> Arc<dyn Transport> {
        let transport = match self {
            Self::Lapin => hub_lapin::transport(settings),
            Self::Amqprs => hub_amqprs::transport(settings),
        };
        transport.expect("the settings can be used")
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
