//! Control messages of the dispatcher to all workers, and heartbeats of workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hub_core::digest::Digest;
use hub_core::job::{ModuleDefaults, Timeouts};
use hub_core::{IssueId, Json, TaskKinds};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Progress, WireError, check_version, object, progress};

/// Maximum size of a heartbeat in bytes. It allows thousands of task modules and issues.
const MAXIMUM_HEARTBEAT: usize = 4 * 1024 * 1024;
/// Maximum length of names in a heartbeat in bytes, as in AMQP.
pub(super) const MAXIMUM_NAME: usize = 255;
/// Maximum length of the description of a shortage, in bytes.
pub(crate) const MAXIMUM_SHORTAGE: usize = 1000;
/// Maximum number of pools that a worker serves.
const MAXIMUM_POOLS: usize = 1000;
/// Maximum number of slots of a worker. A larger number is reduced to it.
const MAXIMUM_SLOTS: u32 = 65_535;

/// A message on the control exchange. Every worker receives it, and ignores what does not concern it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlMessage {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// The command.
    #[serde(flatten)]
    pub control: Control,
}

/// A command to workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Control {
    /// Stop these issues. Each is reported as returned when its processes have ended, or with its result if it has
    /// succeeded before.
    Stop {
        /// The issues to stop.
        #[serde(deserialize_with = "object::list")]
        tasks: Vec<IssueId>,
        /// Time between the request to end and the kill, in milliseconds.
        #[serde(default = "default_grace_ms")]
        grace_ms: u64,
    },
    /// Send a heartbeat now, because a dispatcher has started.
    Announce,
}

impl Control {
    /// Stop these issues within the grace.
    #[must_use]
    pub fn stop(tasks: Vec<IssueId>, grace: Duration) -> Self {
        Self::Stop { tasks, grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// The grace in messages of dispatchers that do not send it.
fn default_grace_ms() -> u64 {
    u64::try_from(Timeouts::GRACE.as_millis()).unwrap_or(u64::MAX)
}

/// A heartbeat of a worker: sent when it connects, every few seconds, and when its catalogue changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The version of the message format.
    #[serde(default = "super::first_version")]
    pub v: u32,
    /// The worker's id.
    pub worker: Arc<str>,
    /// The host name of its machine.
    #[serde(default)]
    pub host: Arc<str>,
    /// Its process id.
    #[serde(default)]
    pub pid: u32,
    /// The pools it serves.
    pub pools: Vec<Arc<str>>,
    /// Maximum number of tasks that it runs at the same time.
    pub slots: u32,
    /// Number of tasks that it runs now.
    #[serde(default)]
    pub running: u32,
    /// The issues that it holds a lease on.
    #[serde(default, deserialize_with = "object::list")]
    pub held: Vec<IssueId>,
    /// The other issues that it has: waiting for a slot, running, or with an unconfirmed result.
    #[serde(default, deserialize_with = "object::list")]
    pub present: Vec<IssueId>,
    /// The progress of issues that it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "progress::list")]
    pub progress: Vec<Progress>,
    /// The task modules it has: name and signature.
    #[serde(default)]
    pub tasks: BTreeMap<Arc<str>, Option<Arc<str>>>,
    /// The content of these modules, as far as the worker knows it: SHA-256 digests by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "contents")]
    pub contents: BTreeMap<Arc<str>, Digest>,
    /// The defaults of the modules that have some: in the job format, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "defaults")]
    pub defaults: BTreeMap<Arc<str>, Arc<ModuleDefaults>>,
    /// The task modules it could not load: name and reason.
    #[serde(default)]
    pub broken: BTreeMap<Arc<str>, Arc<str>>,
    /// The kinds of tasks that it allows. Default: task modules only.
    #[serde(default)]
    pub allow: TaskKinds,
    /// The resource that its machine lacks. While it is set, the worker takes no tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortage: Option<Arc<str>>,
    /// Whether the worker is stopping and this is its last heartbeat.
    #[serde(default)]
    pub leaving: bool,
}

/// The digests of modules. Those that cannot be read are left out: results of these modules are not kept.
fn contents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Arc<str>, Digest>, D::Error> {
    let read = |(module, digest): (_, Json)| {
        let digest: String = serde_json::from_str(digest.get()).ok()?;
        Some((module, digest.parse().ok()?))
    };
    Ok(by_module(deserializer)?.into_iter().filter_map(read).collect())
}

/// The defaults of modules. Those that cannot be read are left out.
fn defaults<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Arc<str>, Arc<ModuleDefaults>>, D::Error> {
    let read = |(module, text)| Some((module, Arc::new(ModuleDefaults::read(text).ok()?)));
    Ok(by_module(deserializer)?.into_iter().filter_map(read).collect())
}

/// Values by module. A field that is no object counts as empty: it is no reason to take the leases of a worker away.
fn by_module<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Arc<str>, Json>, D::Error> {
    let written = Json::deserialize(deserializer)?;
    Ok(serde_json::from_str(written.get()).unwrap_or_default())
}

impl Heartbeat {
    /// Decodes a body.
    ///
    /// # Errors
    /// If it has a newer format, is not a heartbeat, or exceeds a limit.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let refuse = |what: &str| Err(WireError::Malformed(serde::de::Error::custom(what)));
        if body.len() > MAXIMUM_HEARTBEAT {
            return refuse("a heartbeat has at most 4 MiB");
        }
        let mut heartbeat: Self = object::from_slice(body)?;
        check_version(Some(heartbeat.v))?;
        if heartbeat.pools.len() > MAXIMUM_POOLS {
            return refuse("a worker serves at most 1,000 pools");
        }
        heartbeat.defaults.retain(|module, _| heartbeat.tasks.contains_key(module));
        let names = [&heartbeat.worker, &heartbeat.host].into_iter().chain(&heartbeat.pools);
        if names.chain(heartbeat.tasks.keys()).chain(heartbeat.broken.keys()).any(|name| name.len() > MAXIMUM_NAME) {
            return refuse("a name has at most 255 bytes");
        }
        if heartbeat.shortage.as_ref().is_some_and(|what| what.len() > MAXIMUM_SHORTAGE) {
            return refuse("a shortage has at most 1,000 bytes");
        }
        heartbeat.slots = heartbeat.slots.min(MAXIMUM_SLOTS);
        Ok(heartbeat)
    }
}

impl ControlMessage {
    /// Decodes a body.
    ///
    /// # Errors
    /// If it has a newer format or is not a control message.
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
    fn heartbeats_beyond_the_limits_are_refused_or_reduced() {
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

    #[test]
    fn progress_that_cannot_be_read_is_left_out() {
        let issue = |value: &Value| json!({"id": "00000000-0000-0007-0000-000000000001", "issue": 1, "incarnation": 2, "value": value});
        let values = [json!({"at": 5}), json!("x".repeat(5000)), json!(null)];
        let heartbeat = decode(|body| body["progress"] = values.iter().map(issue).collect()).unwrap();
        let read: Vec<_> = heartbeat.progress.iter().map(|progress| progress.value.get()).collect();
        assert_eq!(read, [r#"{"at":5}"#, "null"]);
        assert_eq!(decode(|body| body["progress"] = json!([])), decode(|_| {}));
        assert!(decode(|body| body["progress"] = json!([{"value": 1}])).is_err());
    }

    #[test]
    fn what_modules_set_is_read_or_left_out() {
        let written = json!({"a": {"retry": 5}, "b": {"retry": "often"}, "c": 7, "d": {"timeout": {"heartbeat": 3}},
            "not a task": {"retry": 5}});

        let tasks = json!({"a": null, "b": null, "c": null, "d": null});
        let heartbeat = decode(|body| (body["defaults"], body["tasks"]) = (written.clone(), tasks.clone())).unwrap();
        assert_eq!(heartbeat.defaults.keys().map(|name| &**name).collect::<Vec<_>>(), ["a", "d"]);
        assert_eq!(heartbeat.defaults["a"].retry().map(|policy| policy.maximum_attempts), Some(5));
        assert_eq!(Heartbeat::decode(&super::super::encode(&heartbeat)).unwrap(), heartbeat);
        for nothing in [json!(null), json!([]), json!(7), json!([["a", {"retry": 5}]])] {
            for key in ["defaults", "contents"] {
                assert_eq!(decode(|body| body[key] = nothing.clone()), decode(|_| {}), "{key}: {nothing}");
            }
        }
        let lone = String::from_utf8(super::super::encode(&heartbeat).to_vec()).unwrap().replace("retry", r"\ud800");
        let lone = Heartbeat::decode(lone.as_bytes()).unwrap();
        assert_eq!(lone.defaults.keys().map(|name| &**name).collect::<Vec<_>>(), ["d"]);
    }

    #[test]
    fn a_stop_may_name_a_grace() {
        let stop = |more: &str| {
            let body = format!(r#"{{"type":"stop","tasks":[]{more}}}"#);
            let read = ControlMessage::decode(body.as_bytes()).unwrap();
            assert_eq!(ControlMessage::decode(&super::super::encode(&read)).unwrap(), read);
            read.control
        };
        let expected = |grace_ms| Control::Stop { tasks: Vec::new(), grace_ms };
        assert_eq!([stop(""), stop(r#","grace_ms":0"#)], [expected(10_000), expected(0)]);
    }
}
