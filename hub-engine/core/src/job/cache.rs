//! Whether the result of a task is kept, and taken by later tasks that would compute the same.

use std::time::Duration;

use super::canonical::append;
use super::run::Run;
use super::template::Template;
use crate::Json;
use crate::digest::Digest;

/// How the results of a task are kept. `docs/jobs.md` describes the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// How long a result is kept.
    pub ttl: Duration,
    /// What stands for the arguments and the content of the module.
    pub key: Option<Template>,
    /// The author's version of what is computed: a text or a number.
    pub version: Option<Json>,
    /// Whether the task runs though there is a result.
    pub refresh: bool,
    /// What the task runs instead of a module, if it runs a job: the digest of the canonical text of the job.
    pub(super) job: Option<Digest>,
}

impl Cache {
    /// The key of a result that is computed from these values: the arguments with references replaced, or the inputs of a job; or
    /// `key` if the task names one. Equal values give equal keys, however they are written.
    #[must_use]
    pub fn key_of(&self, module: &str, run: Option<&Run>, key: Option<&Json>, arguments: &[&Json]) -> Digest {
        let mut text = String::from("[");
        match self.job {
            // No module is named by an object.
            Some(job) => text.push_str(&format!("{{\"job\":\"{job}\"}}")),
            None => append(&mut text, Json::string(module).get()),
        }
        text.push(',');
        append(&mut text, self.version.as_ref().map_or("null", Json::get));
        match key {
            None => arguments.iter().for_each(|value| {
                text.push(',');
                append(&mut text, value.get());
            }),
            // Two commands with the same key are different commands.
            Some(key) => {
                text.push_str(",{\"key\":");
                append(&mut text, key.get());
                for (name, template) in run.into_iter().flat_map(Run::parts) {
                    text.push_str(&format!(",\"{name}\":"));
                    append(&mut text, template.as_str());
                }
                text.push('}');
            }
        }
        text.push(']');
        Digest::of(text.as_bytes())
    }
}
