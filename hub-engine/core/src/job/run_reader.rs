//! Reads what a task runs that has no module.

use super::draft::TaskDraft;
use super::format;
use super::model::Task;
use super::path::Path;
use super::placeholders::PlaceholderFinder;
use super::problem::ProblemCode;
use super::quoted::quoted;
use super::run::{Run, RunForm};
use super::secret::Secrets;
use super::template::Template;
use super::value::{Kind, Value};

/// The prefix of the variables of Hub itself, which a task cannot set.
const OWN_PREFIX: &str = "HUB_";
/// Forms of the output of a command.
const OUTPUTS: [&str; 2] = ["text", "json"];

/// Reads the keys of one task.
pub(super) struct RunReader<'h, 'r> {
    pub(super) finder: &'h mut PlaceholderFinder<'r>,
}

impl RunReader<'_, '_> {
    /// What the task runs; `None` if it runs a module, or if something is wrong, which was reported.
    pub(super) fn read(&mut self, task: &Task, draft: &TaskDraft<'_>, path: Path<'_>) -> Option<Run> {
        let Some((form, first)) = draft.form() else {
            self.refuse_parts_of_modules(draft, path);
            return None;
        };
        self.refuse_second_form(draft, form, first, path);
        self.refuse_keys_of_modules(task, draft, form, path);
        let parts = draft.rare().run.iter().filter(|(key, _)| form.allows(key));
        let parts: Vec<_> = parts.map(|(key, value)| Some((*key, self.part(key, *value, path.key(key))?))).collect();
        Some(Run { form, parts: parts.into_iter().collect::<Option<_>>()? })
    }

    /// Options of commands in a task that runs a module.
    fn refuse_parts_of_modules(&mut self, draft: &TaskDraft<'_>, path: Path<'_>) {
        for (key, value) in &draft.rare().run {
            let message = format!("{key:?} belongs to a command, and this task runs a task module");
            let suggestion = "remove it, or add \"command\" or \"shell\"";
            self.refuse(ProblemCode::ConflictingKeys, *value, path.key(key), message, Some(suggestion));
        }
    }

    fn refuse_second_form(&mut self, draft: &TaskDraft<'_>, form: RunForm, first: usize, path: Path<'_>) {
        let others = draft.rare().run.iter().enumerate().filter(|(at, (key, _))| *at != first && !form.allows(key));
        for (_, (key, value)) in others {
            let message = format!("a task with {:?} cannot have {key:?}", form.as_str());
            let suggestion = "remove one of them, or make two tasks of them";
            self.refuse(ProblemCode::ConflictingKeys, *value, path.key(key), message, Some(suggestion));
        }
    }

    fn refuse_keys_of_modules(&mut self, task: &Task, draft: &TaskDraft<'_>, form: RunForm, path: Path<'_>) {
        let keys = [
            ("task_name", task.task_name.is_some(), draft.task_name_at),
            ("args", task.args.is_some(), draft.args_at),
            ("kwargs", task.kwargs.is_some(), draft.rare().kwargs_at),
        ];
        for (key, _, at) in keys.into_iter().filter(|(_, is_present, _)| *is_present) {
            let message = format!("{key:?} belongs to a task module, and this task has {:?}", form.as_str());
            let suggestion = match (key, form) {
                ("task_name", _) => "remove it",
                (_, RunForm::Command) => "put the arguments into \"command\", or values into \"env\"",
                (_, RunForm::Shell) => "pass the values in \"env\", and write \"$NAME\" in the script",
                (_, RunForm::Http) => "put the values into \"headers\" or \"body\" of the request",
            };
            let report = &mut self.finder.reader.report;
            report.add(ProblemCode::ConflictingKeys, path.key(key), at, message, Some(suggestion.to_owned()));
        }
    }

    fn part(&mut self, key: &str, value: Value<'_>, path: Path<'_>) -> Option<Template> {
        match key {
            "command" => self.command(value, path),
            "env" => self.env(value, path),
            "output" => self.output(value, path),
            // It was checked when it was read.
            "http" => Some(self.template(value, path, Secrets::Below("headers"))),
            _ => self.literal(key, value, path),
        }
    }

    /// A program and its arguments.
    fn command(&mut self, value: Value<'_>, path: Path<'_>) -> Option<Template> {
        if value.kind() != Kind::List {
            let message = format!("\"command\" must be a list, not {}", value.kind().name());
            let suggestion = "write the program and each argument as an element, or use \"shell\" for a text";
            self.refuse(ProblemCode::WrongType, value, path, message, Some(suggestion));
            return None;
        }
        let mut elements = value.elements().enumerate().peekable();
        match elements.peek().map(|(_, first)| (first.kind(), *first)) {
            None => {
                let message = "\"command\" is empty: its first element is the program to run";
                self.refuse(ProblemCode::OutOfRange, value, path, message.to_owned(), None);
                return None;
            }
            Some((Kind::String, first)) if first.decoded().is_empty() => {
                let message = "the program of a command must not be empty";
                self.refuse(ProblemCode::OutOfRange, first, path.index(0), message.to_owned(), None);
                return None;
            }
            Some((Kind::Number, first)) => {
                let message = "the program of a command must be a string, not a number";
                self.refuse(ProblemCode::WrongType, first, path.index(0), message.to_owned(), None);
                return None;
            }
            Some(_) => {}
        }
        let reader = &mut *self.finder.reader;
        let are_words =
            elements.map(|(at, element)| format::is_word(reader, element, path.index(at), "an element of a command"));
        // Each element is looked at, so that all problems are reported.
        let others = are_words.filter(|is_word| !is_word).count();
        (others == 0).then(|| self.template(value, path, Secrets::Refused))
    }

    /// The variables of a command.
    fn env(&mut self, value: Value<'_>, path: Path<'_>) -> Option<Template> {
        let object = self.finder.reader.object(value, path, "\"env\"")?;
        self.finder.reader.unique_keys(object, path);
        let mut all = true;
        for (key, value) in object.properties() {
            let name = key.decoded();
            let path = path.key(&name);
            all &= self.is_variable(&name, key, path) && format::is_word(self.finder.reader, value, path, "a variable");
        }
        all.then(|| self.template(object, path, Secrets::Allowed))
    }

    fn is_variable(&mut self, name: &str, key: Value<'_>, path: Path<'_>) -> bool {
        let message = if name.is_empty() || name.contains(['=', '\0']) {
            format!("{} cannot be the name of a variable: it must not be empty, or contain \"=\" or NUL", quoted(name))
        } else if name.starts_with(OWN_PREFIX) {
            format!("variables that begin with {OWN_PREFIX} belong to Hub, such as {}", quoted(name))
        } else {
            return true;
        };
        self.refuse(ProblemCode::BadName, key, path, message, None);
        false
    }

    /// A text in which nothing is replaced.
    fn literal(&mut self, key: &str, value: Value<'_>, path: Path<'_>) -> Option<Template> {
        let text = self.finder.reader.string(value, path, &format!("{key:?}"))?;
        let rule = if text.is_empty() || text.contains('\0') {
            Err(format!("{key:?} must not be empty, and must not contain NUL"))
        } else {
            Ok(Template::literal(value.text))
        };
        self.finder.reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at)
    }

    fn output(&mut self, value: Value<'_>, path: Path<'_>) -> Option<Template> {
        let word = self.finder.reader.string(value, path, "\"output\" of a task")?;
        let known = OUTPUTS.contains(&&*word).then(|| Template::literal(value.text));
        let rule = known.ok_or_else(|| format!("the output of a task is text or json, not {}", quoted(&word)));
        self.finder.reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at)
    }

    /// A template that may contain secrets in these places.
    fn template(&mut self, value: Value<'_>, path: Path<'_>, secrets: Secrets) -> Template {
        let mut template = Template::literal(value.text);
        self.finder.secrets = secrets;
        self.finder.set_placeholders(&mut template, value.at, path);
        template
    }

    fn refuse(&mut self, code: ProblemCode, value: Value<'_>, path: Path<'_>, message: String, advice: Option<&str>) {
        self.finder.reader.report.add(code, path, value.at, message, advice.map(str::to_owned));
    }
}

impl RunForm {
    /// Whether a task of this form can have this key.
    fn allows(self, key: &str) -> bool {
        key == self.as_str() || self != Self::Http && matches!(key, "env" | "cwd" | "output")
    }
}
