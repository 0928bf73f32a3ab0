//! Connects to the Hub that the arguments name.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hub_engine::client::{AmqpHub, HttpHub};
use hub_engine::operations::Hub;

use super::arguments::Args;
use crate::exit::{Exit, Failure};

/// A connected Hub.
pub(super) struct Reached {
    pub(super) hub: Arc<dyn Hub>,
    /// The address as the user gave it, for messages.
    pub(super) shown: String,
}

impl Args {
    /// Connects to the Hub that the arguments name.
    pub(super) async fn reach(&self) -> Result<Reached, Failure> {
        let config = self.reach.read_config()?;
        let reach = self.reach.clone().merge(&config);
        let timeout = Duration::from_secs_f64(self.http.timeout);
        if reach.broker.starts_with("http://") {
            let token_file = self.http.http_token_file.clone().or(config.http_token_file);
            let token = token_file.as_deref().map(read_token).transpose()?.or_else(|| self.http.http_token.clone());
            let hub = HttpHub::new(&reach.broker, token, timeout)?;
            return Ok(Reached { hub: Arc::new(hub), shown: reach.broker });
        }
        if reach.broker.starts_with("https://") {
            let message = "Hub's HTTP API does not support TLS: use http://, and a TLS proxy on untrusted networks";
            return Err(Failure::new(Exit::Usage, message));
        }
        let hub = AmqpHub::connect(reach.transport("hub-client")?, &reach.prefix, timeout).await?;
        Ok(Reached { hub: Arc::new(hub), shown: reach.shown_broker() })
    }

    /// The address of the Hub that the arguments name.
    pub(super) fn address(&self) -> Result<String, Failure> {
        Ok(self.reach.clone().merge(&self.reach.read_config()?).broker)
    }
}

fn read_token(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read the token file {}", path.display())).because(error)
    })
}
