//! How to reach the broker: the arguments that all programs share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hub_transport::Transport;
use hub_transport::amqp::{AmqpAddress, AmqpSettings, TlsFiles};

use crate::bounds;
use crate::config::{AmqpClient, Config};
use crate::exit::{Exit, Failure};
use crate::parts::AmqpClients;

/// The broker where nothing else is said.
pub(crate) const DEFAULT_BROKER: &str = "localhost";
/// The Hub where nothing else is said.
pub(crate) const DEFAULT_PREFIX: &str = "hub";

/// Where the broker is and how to get in.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ReachArgs {
    /// The broker: HOST, HOST:PORT or amqp://USER:PASSWORD@HOST:PORT/VHOST (amqps for TLS); the nodes of a cluster
    /// separated by commas, as HOST:PORT,HOST:PORT [default: localhost]
    #[arg(short, long, env = "HUB_BROKER", hide_env_values = true, value_name = "ADDRESS", global = true)]
    pub(crate) broker: Option<String>,
    /// Read settings from this file
    #[arg(short, long, env = "HUB_CONFIG", value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// The AMQP client library [default: lapin]
    #[arg(long, env = "HUB_AMQP_CLIENT", value_name = "NAME", global = true)]
    pub(crate) amqp_client: Option<AmqpClient>,
    /// The name that this Hub's queues begin with [default: hub]
    #[arg(long, env = "HUB_PREFIX", value_name = "NAME", global = true)]
    pub(crate) prefix: Option<String>,
    /// Trust these certificate authorities too (PEM), for amqps://
    #[arg(long, env = "HUB_CA_FILE", value_name = "FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// The client's certificate (PEM), for brokers that want one
    #[arg(long, env = "HUB_CLIENT_CERT_FILE", value_name = "FILE", global = true)]
    pub(crate) client_cert_file: Option<PathBuf>,
    /// The key of the client's certificate (PEM)
    #[arg(long, env = "HUB_CLIENT_KEY_FILE", value_name = "FILE", global = true)]
    pub(crate) client_key_file: Option<PathBuf>,
    /// The largest message that the broker takes, in bytes [default: 16777216, as RabbitMQ since 4.0]
    #[arg(long, env = "HUB_MAX_MESSAGE_BYTES", value_name = "N", global = true,
        value_parser = bounds::MAX_MESSAGE_BYTES.parser::<u64>())]
    pub(crate) max_message_bytes: Option<u64>,
    /// Interval of the connection's heartbeats. A node that is cut off is noticed after twice as long [default: 5]
    #[arg(long, env = "HUB_HEARTBEAT", value_name = "SECONDS", global = true,
        value_parser = bounds::HEARTBEAT.parser::<u16>())]
    pub(crate) heartbeat: Option<u16>,
    /// What the program was built with.
    #[arg(skip)]
    pub(crate) clients: AmqpClients,
}

/// The same, merged with the configuration file.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) broker: String,
    pub(crate) prefix: String,
    amqp_client: AmqpClient,
    tls: TlsFiles,
    max_message_bytes: Option<u64>,
    heartbeat: Option<u16>,
    clients: AmqpClients,
}

impl ReachArgs {
    /// The configuration file, where one is named.
    pub(crate) fn read_config(&self) -> Result<Config, Failure> {
        self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)
    }

    /// Arguments over the file over the defaults.
    pub(crate) fn merge(self, config: &Config) -> Reach {
        Reach {
            max_message_bytes: self.max_message_bytes.or(config.max_message_bytes),
            heartbeat: self.heartbeat.or(config.heartbeat),
            clients: self.clients,
            broker: self.broker.or_else(|| config.broker.clone()).unwrap_or_else(|| DEFAULT_BROKER.to_owned()),
            prefix: self.prefix.or_else(|| config.prefix.clone()).unwrap_or_else(|| DEFAULT_PREFIX.to_owned()),
            amqp_client: self.amqp_client.or(config.amqp_client).unwrap_or(AmqpClient::Lapin),
            tls: TlsFiles {
                ca: self.ca_file.or_else(|| config.ca_file.clone()),
                client_cert: self.client_cert_file.or_else(|| config.client_cert_file.clone()),
                client_key: self.client_key_file.or_else(|| config.client_key_file.clone()),
            },
        }
    }
}

impl Reach {
    /// The broker as it may be shown: host as the user wrote it, no password.
    pub(crate) fn shown_broker(&self) -> String {
        if !self.broker.contains('@') && !self.broker.contains("://") {
            return self.broker.clone();
        }
        self.broker
            .parse::<AmqpAddress>()
            .map_or_else(|_| "(unreadable address)".to_owned(), |address| address.to_string())
    }

    /// A way to the broker, called `name` in the broker's own listings.
    pub(crate) fn transport(&self, name: &str) -> Result<Arc<dyn Transport>, Failure> {
        let address: AmqpAddress = self.broker.parse()?;
        let mut settings = AmqpSettings {
            tls: self.tls.clone(),
            connection_name: format!("{name} {}", std::process::id()),
            ..AmqpSettings::new(address)
        };
        // What the address says counts for this address.
        if let (None, Some(seconds)) = (settings.address.heartbeat, self.heartbeat) {
            settings.heartbeat = Duration::from_secs(seconds.into());
        }
        if let Some(limit) = self.max_message_bytes {
            settings.max_message_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
        }
        // hub-client may have one of them only. Both do the same.
        let AmqpClients { lapin, amqprs } = self.clients;
        let transport = match self.amqp_client {
            AmqpClient::Lapin => lapin.or(amqprs),
            AmqpClient::Amqprs => amqprs.or(lapin),
        };
        let transport = transport.ok_or_else(|| Failure::new(Exit::Usage, "this program has no AMQP client"))?;
        Ok(transport(settings)?)
    }
}
