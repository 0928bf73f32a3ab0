//! What the dispatcher tells every worker, and how workers say that they live.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::IssueId;
use serde::{Deserialize, Serialize};

use super::{WireError, check_version, object};

/// Maximum length of a heartbeat, in bytes: room for thousands of task modules and of issues.
const MAXIMUM_HEARTBEAT: usize = 4 * 1024 * 1024;
/// Maximum length of the names in a heartbeat, in bytes. AMQP has the same for its own.
pub(super) const MAXIMUM_NAME: usize = 255;
/// Maximum length of the description of a shortage, in bytes.
pub(crate) const MAXIMUM_SHORTAGE: usize = 1000;
/// Maximum number of pools that a worker serves.
const MAXIMUM_POOLS: usize = 1000;
/// Maximum number of slots of a worker. One that says more is counted with as many.
const MAXIMUM_SLOTS: u32 = 65_535;

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
        tasks: Vec<IssueId>,
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
    pub held: Vec<IssueId>,
    /// What it has beside: issues that wait for a slot, run, or have a result on its way.
    #[serde(default, deserialize_with = "object::list")]
    pub present: Vec<IssueId>,
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
    /// Where it is of a newer format, is no heartbeat, or is beyond what a worker can say of itself in good faith.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let refuse = |what: &str| Err(WireError::Malformed(serde::de::Error::custom(what)));
        if body.len() > MAXIMUM_HEARTBEAT {
            return refuse("a heartbeat has 4 MiB at most");
        }
        let mut heartbeat: Self = object::from_slice(body)?;
        check_version(Some(heartbeat.v))?;
        if heartbeat.pools.len() > MAXIMUM_POOLS {
            return refuse("a worker serves 1,000 pools at most");
        }
        let names = [&heartbeat.worker, &heartbeat.host].into_iter().chain(&heartbeat.pools);
        if names.chain(heartbeat.tasks.keys()).chain(heartbeat.broken.keys()).any(|name| name.len() > MAXIMUM_NAME) {
            return refuse("a name has 255 bytes at most");
        }
        if heartbeat.shortage.as_ref().is_some_and(|what| what.len() > MAXIMUM_SHORTAGE) {
            return refuse("a shortage has 1,000 bytes at most");
        }
        heartbeat.slots = heartbeat.slots.min(MAXIMUM_SLOTS);
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn decode(change: impl FnOnce(&mut Value)) -> Result<Heartbeat, String> {
        let mut body = json!({"v": 1, "worker": "w", "host": "h", "pid": 1, "pools": ["p"], "slots": 2, "running": 0,
            "held": [], "tasks": {}, "broken": {}});
        change(&mut body);
        Heartbeat::decode(body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_no_worker_says_in_good_faith_is_refused_or_cut() {
        assert_eq!(decode(|_| {}).map(|heartbeat| heartbeat.slots), Ok(2));
        assert_eq!(decode(|body| body["slots"] = json!(u32::MAX)).map(|heartbeat| heartbeat.slots), Ok(MAXIMUM_SLOTS));
        let long = "x".repeat(MAXIMUM_NAME + 1);
        let refused: [fn(&mut Value, &str); 5] = [
            |body, long| body["worker"] = json!(long),
            |body, long| body["host"] = json!(long),
            |body, long| body["pools"] = json!([long]),
            |body, long| body["tasks"] = json!({long: null}),
            |body, long| body["broken"] = json!({long: "why"}),
        ];
        for change in refused {
            assert!(decode(|body| change(body, &long)).unwrap_err().contains("255 bytes"));
            assert!(decode(|body| change(body, &long[1..])).is_ok());
        }
        assert!(decode(|body| body["pools"] = json!(vec!["p"; 1001])).unwrap_err().contains("1,000 pools"));
        assert!(decode(|body| body["shortage"] = json!("x".repeat(1001))).unwrap_err().contains("1,000 bytes"));
        assert!(decode(|body| body["shortage"] = json!("x".repeat(1000))).is_ok());
        assert!(decode(|body| body["x"] = json!("x".repeat(MAXIMUM_HEARTBEAT))).unwrap_err().contains("4 MiB"));
        for wrong in [json!(-1), json!(1e300), json!(u64::MAX), json!("2"), Value::Null] {
            assert!(decode(|body| body["slots"] = wrong.clone()).is_err(), "{wrong}");
        }
    }
}
