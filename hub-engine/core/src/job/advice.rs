//! Warnings about a valid job: what its author may not expect.

use std::collections::HashSet;

use super::model::Job;
use super::reference;
use super::run::RunForm;
use super::secret;
use super::value::Value;

/// Maximum number of warnings about one job.
const MAXIMUM_WARNINGS: usize = 20;

impl Job {
    /// Texts in which something looks like a reference and is not replaced, each with what to do.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let scripts = self.tasks().iter().filter_map(|task| {
            let run = task.run().filter(|run| run.form() == RunForm::Shell)?;
            let (_, script) = run.parts().find(|(key, _)| *key == RunForm::Shell.as_str())?;
            Some((task, Value::of_job(script.as_str()).decoded()))
        });
        let mut names = None;
        let mut warnings = Vec::new();
        for (task, script) in scripts {
            let is_name_byte = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
            let words = script.split(|letter| !is_name_byte(letter)).filter_map(|word| word.strip_prefix('_'));
            for word in words {
                let mut is_task = |name: &str| {
                    let names: &HashSet<&str> =
                        names.get_or_insert_with(|| self.tasks().iter().map(|task| &**task.name()).collect());
                    names.contains(name)
                };
                let reference = reference::parse(word.trim_end_matches('.'));
                if secret::written(word).is_some() || reference.is_ok_and(|written| is_task(written.task)) {
                    warnings.push(format!(
                        "the shell text of the task {:?} contains _{word}, which is not replaced there: pass the value in \"env\", \
                         such as {{\"VALUE\": \"_{word}\"}}, and write \"$VALUE\"",
                        task.name()
                    ));
                }
                if warnings.len() == MAXIMUM_WARNINGS {
                    return warnings;
                }
            }
        }
        warnings
    }
}
