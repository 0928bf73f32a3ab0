//! The secrets of a worker: files in a directory, and variables of its environment. They are put into the arguments of a
//! task just before it runs, and masked in its report.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use hub_core::Json;
use hub_core::job::Secret;
use hub_core::state::ErrorKind;

use super::mask::Mask;
use super::settings::RunnerSettings;
use super::{Outcome, RunControl, TaskReport, TaskRequest};

/// The prefix of the variables that contain secrets. It begins as those of Hub's own variables, which no task inherits: a
/// task has only the secrets that it refers to.
const VARIABLE_PREFIX: &str = "HUB_SECRET_";
/// Maximum size of a secret in bytes.
const MAXIMUM_BYTES: u64 = 64 * 1024;

/// The secrets that tasks of this worker have used.
#[derive(Debug, Default)]
pub(super) struct Secrets(Mutex<Mask>);

impl Secrets {
    /// Puts the secrets of a task into its values, and masks the progress that it reports.
    ///
    /// # Errors
    /// The failure of the task, if a secret is missing.
    pub(super) fn fill(
        &self,
        request: TaskRequest,
        settings: &RunnerSettings,
        control: &RunControl,
    ) -> Result<TaskRequest, TaskReport> {
        let Some(secrets) = request.secrets.clone() else { return Ok(request) };
        let directory = settings.secrets_dir.as_deref();
        let mut known = BTreeMap::new();
        for Secret { name, .. } in &*secrets {
            let value = read(name, directory).map_err(|why| missing(name, &request.worker, &why))?;
            known.insert(&**name, value);
        }
        let mut mask = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().for_each(|value| mask.add(value));
        control.mask_progress(mask.clone());
        drop(mask);
        let put = |value: Json, key: &str| {
            let here = secrets.iter().filter_map(|secret| Some((secret.at.strip_prefix(key)?, &*secret.name)));
            value.with_values_at(here.map(|(at, name)| (at, Json::string(&known[name]))))
        };
        let TaskRequest { args, kwargs, run, .. } = request.clone();
        let filled = (put(args, "/args"), put(kwargs, "/kwargs"), run.map(|run| put(run, "/run")));
        match filled {
            (Some(args), Some(kwargs), None) => Ok(TaskRequest { args, kwargs, ..request }),
            (Some(args), Some(kwargs), Some(Some(run))) => Ok(TaskRequest { args, kwargs, run: Some(run), ..request }),
            _ => {
                let msg = "the message of the task has places for secrets that its values do not have";
                Err(TaskReport::silent(Outcome::failed(ErrorKind::BadArguments, msg)))
            }
        }
    }

    /// The report without the secrets that tasks of this worker have used. What a task prints after its end is in the log of a
    /// later task, so each report is masked.
    pub(super) fn mask(&self, report: TaskReport) -> TaskReport {
        let mask = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if mask.is_empty() { report } else { mask.report(report) }
    }
}

/// The failure of a task one of whose secrets cannot be read.
fn missing(name: &str, worker: &str, why: &str) -> TaskReport {
    let msg = format!("the secret {name:?} is missing on the worker {worker}: {why}");
    TaskReport::silent(Outcome::failed(ErrorKind::MissingValue, msg))
}

/// The value of a secret: the content of its file without the line break at its end, or the value of its variable.
fn read(name: &str, directory: Option<&Path>) -> Result<String, String> {
    // The name is part of a path.
    Secret::check_name(name)?;
    let variable = format!("{VARIABLE_PREFIX}{name}");
    if let Some(directory) = directory {
        let path = directory.join(name);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAXIMUM_BYTES => {
                return Err(format!("the file {} has more than {MAXIMUM_BYTES} bytes", path.display()));
            }
            Ok(_) => {
                let bytes = std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                let text =
                    String::from_utf8(bytes).map_err(|_| format!("the file {} is not UTF-8 text", path.display()))?;
                let text = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
                return Ok(text.to_owned());
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        }
    }
    match std::env::var(&variable) {
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the variable {variable} is not UTF-8 text")),
        Err(std::env::VarError::NotPresent) => Err(match directory {
            Some(directory) => {
                format!(
                    "write it to the file {}, or set the variable {variable} of the worker",
                    directory.join(name).display()
                )
            }
            None => format!("set the variable {variable} of the worker, or secrets_dir in its configuration"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use hub_core::JobId;
    use uuid::Uuid;

    use super::*;

    /// Settings with this directory of secrets.
    fn from(directory: Option<&Path>) -> RunnerSettings {
        RunnerSettings { secrets_dir: directory.map(Path::to_owned), ..RunnerSettings::new("/") }
    }

    fn request(secrets: &[(&str, &str)]) -> TaskRequest {
        let job = JobId::new(Uuid::from_u128(1 << 64));
        let secrets = secrets.iter().map(|(at, name)| Secret { at: (*at).into(), name: (*name).into() });
        TaskRequest {
            id: job.task(0),
            parent_id: job,
            name: "t".into(),
            task_name: "t".into(),
            args: Json::from_checked(r#"[1.50, {"a": "_.secret.TOKEN"}, "_.secret.TOKEN"]"#),
            kwargs: Json::from_checked(r#"{"k": "_.secret.other"}"#),
            run: None,
            secrets: Some(secrets.collect()),
            attempt: 1,
            issue: 1,
            worker: "w1".into(),
            last_progress: None,
            wants_content: false,
        }
    }

    fn why(report: TaskReport) -> String {
        match report.outcome {
            Ok(Outcome::Failed { msg, error: Some(error) }) if error.kind == ErrorKind::MissingValue => msg.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn secrets_are_put_into_the_listed_places_only() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("TOKEN"), "a\"b\n").unwrap();
        std::fs::write(directory.path().join("other"), "c\r\n").unwrap();
        let secrets = Secrets::default();
        let filled = secrets
            .fill(
                request(&[("/args/1/a", "TOKEN"), ("/kwargs/k", "other")]),
                &from(Some(directory.path())),
                &RunControl::default(),
            )
            .unwrap();
        assert_eq!(filled.args.get(), r#"[1.50, {"a": "a\"b"}, "_.secret.TOKEN"]"#);
        assert_eq!(filled.kwargs.get(), r#"{"k": "c"}"#);
        let report = secrets
            .fill(request(&[("/args/9", "TOKEN")]), &from(Some(directory.path())), &RunControl::default())
            .unwrap_err();
        assert!(
            matches!(report.outcome, Ok(Outcome::Failed { error: Some(error), .. }) if error.kind == ErrorKind::BadArguments)
        );
    }

    #[test]
    fn a_missing_secret_is_named_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = Secrets::default();
        let missing = |name: &str, directory| {
            why(secrets.fill(request(&[("/args/2", name)]), &from(directory), &RunControl::default()).unwrap_err())
        };
        assert_eq!(
            missing("NOT_THERE", None),
            "the secret \"NOT_THERE\" is missing on the worker w1: set the variable HUB_SECRET_NOT_THERE of the worker, \
             or secrets_dir in its configuration"
        );
        assert!(missing("NOT_THERE", Some(directory.path())).contains("write it to the file"));
        std::fs::write(directory.path().join("binary"), b"\xff").unwrap();
        assert!(missing("binary", Some(directory.path())).ends_with("is not UTF-8 text"));
        std::fs::write(directory.path().join("large"), vec![b'x'; 70_000]).unwrap();
        assert!(missing("large", Some(directory.path())).ends_with("has more than 65536 bytes"));
        for name in ["../etc/passwd", "", ".", "a/b"] {
            assert!(missing(name, Some(directory.path())).contains("the name of a secret has"), "{name}");
        }
    }
}
