//! Replaces secrets by `***` in texts and in values.

use std::borrow::Cow;
use std::sync::Arc;

use hub_core::Json;
use hub_core::state::TaskError;

use super::{Outcome, TaskReport};

/// What secrets are replaced by.
const MASK: &str = "***";
/// Minimum length of a secret that is masked, in bytes. Shorter ones occur everywhere by chance, and their masks would tell them.
const MINIMUM_BYTES: usize = 4;
/// Minimum length of a line of a secret that is masked by itself, as those of a private key.
const MINIMUM_LINE_BYTES: usize = 12;

/// The texts that are masked, the longest first, so that a text that is a part of another one leaves nothing of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Mask(Vec<Arc<str>>);

impl Mask {
    /// Adds a secret: as it is, as it is written in JSON, and its long lines.
    pub(super) fn add(&mut self, secret: &str) {
        let written = Json::string(secret);
        let written = &written.get()[1..written.get().len() - 1];
        let lines = secret.lines().filter(|line| line.len() >= MINIMUM_LINE_BYTES);
        for text in [secret, secret.trim(), written].into_iter().chain(lines) {
            if text.len() >= MINIMUM_BYTES && !self.0.iter().any(|known| **known == *text) {
                self.0.push(text.into());
            }
        }
        self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// Whether nothing is masked.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The report with its texts and its value masked.
    pub(super) fn report(&self, report: TaskReport) -> TaskReport {
        let TaskReport { outcome, log, took, content } = report;
        let outcome = outcome.map(|outcome| match outcome {
            Outcome::Success { data } => Outcome::Success { data: self.value(data) },
            Outcome::Launched { data } => Outcome::Launched { data: self.value(data) },
            Outcome::Failed { msg, error } => {
                Outcome::Failed { msg: self.shared(msg), error: error.map(|error| self.error(error)) }
            }
        });
        TaskReport { outcome, log: log.map(|log| self.text(&log).into_owned()), took, content }
    }

    fn error(&self, error: Arc<TaskError>) -> Arc<TaskError> {
        let error = Arc::unwrap_or_clone(error);
        Arc::new(TaskError {
            type_name: error.type_name.map(|name| self.shared(name)),
            bases: error.bases.into_iter().map(|name| self.shared(name)).collect(),
            traceback: error.traceback.map(|text| self.shared(text)),
            ..error
        })
    }

    fn shared(&self, text: Arc<str>) -> Arc<str> {
        let masked = match self.text(&text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked),
        };
        masked.map_or(text, Into::into)
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.iter().fold(Cow::Borrowed(text), |text, secret| {
            if text.contains(&**secret) { Cow::Owned(text.replace(&**secret, MASK)) } else { text }
        })
    }

    /// A value with secrets masked in its strings, and numbers that are secrets. Everything else keeps its text.
    pub(super) fn value(&self, value: Json) -> Json {
        let mut masked = false;
        let text = value.map_scalars(|scalar| {
            let replaced = self.scalar(scalar);
            masked |= replaced.is_some();
            replaced
        });
        if masked { text } else { value }
    }

    /// What a string or a number is replaced by.
    fn scalar(&self, scalar: &str) -> Option<String> {
        if !scalar.starts_with('"') {
            return self.0.iter().any(|secret| **secret == *scalar).then(|| format!("\"{MASK}\""));
        }
        // A string with half a surrogate pair is refused later.
        let text: String = serde_json::from_str(scalar).ok()?;
        match self.text(&text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(Json::string(&masked).get().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_core::state::ErrorKind;

    use super::*;

    fn mask(secrets: &[&str]) -> Mask {
        let mut mask = Mask::default();
        secrets.iter().for_each(|secret| mask.add(secret));
        mask
    }

    #[test]
    fn values_are_masked_within_their_strings() {
        let mask = mask(&["s3cret\"x", "123456"]);
        let text =
            r#"{ "a" : ["begins s3cret\"x", 1.50, 123456, 1234567, "s3cret"], "s3cret\"x": "\u0073\u0033cret\"x" }"#;
        let masked = r#"{ "a" : ["begins ***", 1.50, "***", 1234567, "s3cret"], "***": "***" }"#;
        assert_eq!(mask.value(Json::from_checked(text)).get(), masked);
        let untouched = Json::from_checked("[ 1e3, \"\\u0061\" ]");
        assert_eq!(mask.value(untouched.clone()), untouched);
    }

    #[test]
    fn reports_are_masked_completely() {
        let mask = mask(&["hunter22"]);
        let error = TaskError {
            type_name: Some("Xhunter22".into()),
            bases: vec!["hunter22".into()],
            traceback: Some("File hunter22".into()),
            ..TaskError::new(ErrorKind::TaskFailed)
        };
        let outcome = Ok(Outcome::Failed { msg: "no hunter22".into(), error: Some(error.into()) });
        let report = mask.report(TaskReport {
            outcome,
            log: Some("{\"p\": \"hunter22\"}".to_owned()),
            took: None,
            content: None,
        });
        assert!(!format!("{report:?}").contains("hunter22"), "{report:?}");
        assert_eq!(report.log.as_deref(), Some("{\"p\": \"***\"}"));
    }

    #[test]
    fn lines_and_written_forms_are_masked_and_short_secrets_are_not() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nab\n-----END KEY-----\n";
        let mask = mask(&[key, "abc", "abcd", "abcdefgh"]);
        assert_eq!(mask.text("line MIIEvQIBADANBg"), "line ***");
        assert_eq!(mask.text(&format!("{key:?}")), "\"***\"");
        assert_eq!(mask.text("abc ab abcd abcdefgh"), "abc ab *** ***");
    }
}
