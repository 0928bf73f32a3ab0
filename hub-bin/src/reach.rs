//! The connection arguments, which all programs share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hub_transport::Transport;
use hub_transport::amqp::{AmqpAddress, AmqpSettings, TlsFiles};

use crate::bounds;
use crate::config::{AmqpClient, Config};
use crate::exit::{Exit, Failure};
use crate::parts::AmqpClients;

/// The default broker.
pub(crate) const DEFAULT_BROKER: &str = "localhost";
/// The default prefix.
pub(crate) const DEFAULT_PREFIX: &str = "hub";

/// Arguments of the connection to the broker.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ReachArgs {
    /// Address of the broker: HOST, HOST:PORT or amqp://USER:PASSWORD@HOST:PORT/VHOST (amqps for TLS); nodes of a cluster
    /// separated by commas, as HOST:PORT,HOST:PORT [default: localhost]
    #[arg(short, long, env = "HUB_BROKER", hide_env_values = true, value_name = "ADDRESS", global = true)]
    pub(crate) broker: Option<String>,
    /// Configuration file
    #[arg(short, long, env = "HUB_CONFIG", value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// AMQP client library [default: lapin]
    #[arg(long, env = "HUB_AMQP_CLIENT", value_name = "NAME", global = true)]
    pub(crate) amqp_client: Option<AmqpClient>,
    /// Prefix of the names of this Hub's queues and exchanges [default: hub]
    #[arg(long, env = "HUB_PREFIX", value_name = "NAME", global = true)]
    pub(crate) prefix: Option<String>,
    /// File with additional trusted certificate authorities (PEM), for amqps://
    #[arg(long, env = "HUB_CA_FILE", value_name = "FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// File with the client certificate (PEM), for brokers that require one
    #[arg(long, env = "HUB_CLIENT_CERT_FILE", value_name = "FILE", global = true)]
    pub(crate) client_cert_file: Option<PathBuf>,
    /// File with the private key of the client certificate (PEM)
    #[arg(long, env = "HUB_CLIENT_KEY_FILE", value_name = "FILE", global = true)]
    pub(crate) client_key_file: Option<PathBuf>,
    /// Maximum size of a message on the broker, in bytes [default: 16777216, as RabbitMQ since 4.0]
    #[arg(long, env = "HUB_MAX_MESSAGE_BYTES", value_name = "N", global = true,
        value_parser = bounds::MAX_MESSAGE_BYTES.parser::<u64>())]
    pub(crate) max_message_bytes: Option<u64>,
    /// Interval of the connection's heartbeats. A lost connection is detected after twice this time [default: 5]
    #[arg(long, env = "HUB_HEARTBEAT", value_name = "SECONDS", global = true,
        value_parser = bounds::HEARTBEAT.parser::<u16>())]
    pub(crate) heartbeat: Option<u16>,
    /// The AMQP clients that the program was built with.
    #[arg(skip)]
    pub(crate) clients: AmqpClients,
}

/// The arguments, merged with the configuration file.
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
    /// Reads the configuration file. Without a file, all settings are empty.
    pub(crate) fn read_config(&self) -> Result<Config, Failure> {
        self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)
    }

    /// Merges the arguments with the file and the defaults, in this order of precedence.
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
    /// The address of the broker without its password, for messages.
    pub(crate) fn shown_broker(&self) -> String {
        if !self.broker.contains('@') && !self.broker.contains("://") {
            return self.broker.clone();
        }
        self.broker
            .parse::<AmqpAddress>()
            .map_or_else(|_| "(invalid address)".to_owned(), |address| address.to_string())
    }

    /// A transport to the broker. `name` is the connection name that the broker shows.
    pub(crate) fn transport(&self, name: &str) -> Result<Arc<dyn Transport>, Failure> {
        let address: AmqpAddress = self.broker.parse()?;
        let mut settings = AmqpSettings {
            tls: self.tls.clone(),
            connection_name: format!("{name} {}", std::process::id()),
            ..AmqpSettings::new(address)
        };
        // A heartbeat in the address overrides the setting.
        if let (None, Some(seconds)) = (settings.address.heartbeat, self.heartbeat) {
            settings.heartbeat = Duration::from_secs(seconds.into());
        }
        if let Some(limit) = self.max_message_bytes {
            settings.max_message_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
        }
        // hub-client may be built with only one of them. It then uses that one, since both behave the same.
        let AmqpClients { lapin, amqprs } = self.clients;
        let transport = match self.amqp_client {
            AmqpClient::Lapin => lapin.or(amqprs),
            AmqpClient::Amqprs => amqprs.or(lapin),
        };
        let transport =
            transport.ok_or_else(|| Failure::new(Exit::Usage, "this program was built without an AMQP client"))?;
        Ok(transport(settings)?)
    }
}
