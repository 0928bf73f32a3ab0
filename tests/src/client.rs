//! The AMQP client libraries that tests can choose.

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
    /// The value of the programs' option.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lapin => "lapin",
            Self::Amqprs => "amqprs",
        }
    }

    /// A transport to the broker at this address.
    ///
    /// # Panics
    /// If the address is invalid.
    #[must_use]
    pub fn transport(self, address: &str) -> Arc<dyn Transport> {
        self.transport_with(AmqpSettings::new(address.parse().expect("an address")))
    }

    /// A transport to the broker with these settings.
    ///
    /// # Panics
    /// If they cannot be used.
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
