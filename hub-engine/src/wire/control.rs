//! What the dispatcher tells every worker, and how workers say that they live.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{HeldAttempt, WireError, check_version, object};

/// A message on the control exchange: every worker gets it, whom it does not concern ignores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlMessage {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// What to do.
    #[serde(flatten)]
    pub control: Control,
}

/// What workers can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Control {
    /// Stop these issues, wherever they run: nobody wants their results.
    Stop {
        /// What to stop.
        #[serde(deserialize_with = "object::list")]
        tasks: Vec<HeldAttempt>,
    },
    /// Say now who you are and what you have: a dispatcher has started.
    Announce,
}

/// A worker lives: sent when it joins, every few seconds, and when its catalogue changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// The worker's id.
    pub worker: Arc<str>,
    /// The machine it runs on.
    #[serde(default)]
    pub host: Arc<str>,
    /// Its process id there.
    #[serde(default)]
    pub pid: u32,
    /// The pools it serves.
    pub pools: Vec<Arc<str>>,
    /// How many tasks it runs at a time.
    pub slots: u32,
    /// How many it runs now.
    #[serde(default)]
    pub running: u32,
    /// What it holds a lease on.
    #[serde(default, deserialize_with = "object::list")]
    pub held: Vec<HeldAttempt>,
    /// What it has beside: issues that wait for a slot, run, or have a result on its way.
    #[serde(default, deserialize_with = "object::list")]
    pub present: Vec<HeldAttempt>,
    /// The task modules it has: name and signature.
    #[serde(default)]
    pub tasks: BTreeMap<Arc<str>, Option<Arc<str>>>,
    /// The task modules it could not load: name and reason.
    #[serde(default)]
    pub broken: BTreeMap<Arc<str>, Arc<str>>,
    /// What its machine is short of, so that it takes no tasks for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortage: Option<Arc<str>>,
    /// It stops, and this is its last.
    #[serde(default)]
    pub leaving: bool,
}

impl Heartbeat {
    /// Reads a body.
    ///
    /// # Errors
    /// Where it is of a newer format, or is no heartbeat.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let heartbeat: Self = object::from_slice(body)?;
        check_version(Some(heartbeat.v))?;
        Ok(heartbeat)
    }
}

impl ControlMessage {
    /// Reads a body.
    ///
    /// # Errors
    /// Where it is of a newer format, or is no control message.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let message: Self = object::from_slice(body)?;
        check_version(Some(message.v))?;
        Ok(message)
    }
}
