//! Reads conditions.

use super::condition::{Condition, Operator};
use super::path::Path;
use super::placeholders::PlaceholderFinder;
use super::problem::ProblemCode;
use super::quoted::quoted;
use super::template::Template;
use super::value::{Kind, Value};

/// Reads the condition of one task.
pub(super) struct ConditionReader<'h, 'r> {
    finder: &'h mut PlaceholderFinder<'r>,
    nodes: usize,
}

impl<'h, 'r> ConditionReader<'h, 'r> {
    pub(super) const fn new(finder: &'h mut PlaceholderFinder<'r>) -> Self {
        Self { finder, nodes: 0 }
    }

    /// The condition; `None` where something is wrong with it, which was noted.
    pub(super) fn read(&mut self, value: Value<'_>, path: Path<'_>) -> Option<Condition> {
        let condition = self.condition(value, path, 1);
        if self.nodes > Condition::MAXIMUM_NODES {
            let message = format!("the condition has {} parts, the limit is {}", self.nodes, Condition::MAXIMUM_NODES);
            self.finder.reader.report.add(ProblemCode::LimitExceeded, path, value.at, message, None);
            return None;
        }
        condition
    }

    fn condition(&mut self, value: Value<'_>, path: Path<'_>, depth: usize) -> Option<Condition> {
        self.nodes += 1;
        if depth > Condition::DEEPEST {
            let message = format!("the condition is nested more than {} levels deep", Condition::DEEPEST);
            self.finder.reader.report.add(ProblemCode::LimitExceeded, path, value.at, message, None);
            return None;
        }
        match value.kind() {
            Kind::Boolean => Some(Condition::Value(Template::literal(value.text))),
            Kind::String => {
                let template = self.template(value, path);
                // What is wrong with a reference was reported.
                let word = value.decoded();
                if template.is_literal() && word.starts_with('_') && !word.starts_with("__") {
                    return None;
                }
                if template.is_literal() {
                    let suggestion =
                        Some("a condition is true, false, a reference, or an object such as {\"eq\": [a, b]}");
                    let message = format!("{} is no condition", quoted(&value.decoded()));
                    self.wrong(ProblemCode::WrongType, value, path, message, suggestion);
                    return None;
                }
                Some(Condition::Value(template))
            }
            Kind::Object => self.operation(value, path, depth),
            kind => {
                let message = format!("a condition is true, false, a reference or an object, not {}", kind.name());
                self.wrong(ProblemCode::WrongType, value, path, message, None);
                None
            }
        }
    }

    /// An object with one key, which says what it is.
    fn operation(&mut self, object: Value<'_>, path: Path<'_>, depth: usize) -> Option<Condition> {
        let mut properties = object.properties();
        let (Some((key, value)), None) = (properties.next(), properties.next()) else {
            let message = "an object in a condition has one key, such as {\"eq\": [a, b]}".to_owned();
            let suggestion = Some("join several conditions with \"all\" or \"any\"");
            self.wrong(ProblemCode::WrongType, object, path, message, suggestion);
            return None;
        };
        let word = key.decoded();
        let path = path.key(&word);
        match &*word {
            "all" => self.parts(value, path, depth).map(Condition::All),
            "any" => self.parts(value, path, depth).map(Condition::Any),
            "not" => self.condition(value, path, depth + 1).map(|part| Condition::Not(part.into())),
            "exists" => {
                self.nodes += 1;
                let template = self.template(value, path);
                let is_reference = value.kind() == Kind::String && !template.is_literal();
                if !is_reference && value.kind() == Kind::String && value.decoded().starts_with('_') {
                    // What is wrong with the reference was noted.
                    return None;
                }
                if !is_reference {
                    let message = "\"exists\" needs a reference, such as \"_task.data.key\"".to_owned();
                    self.wrong(ProblemCode::WrongType, value, path, message, None);
                    return None;
                }
                Some(Condition::Exists(template))
            }
            "empty" => {
                self.nodes += 1;
                Some(Condition::Empty(self.template(value, path)))
            }
            word => match Operator::ALL.into_iter().find(|operator| operator.as_str() == word) {
                Some(operator) => self.comparison(operator, value, path),
                None => {
                    self.unknown(word, key, path);
                    None
                }
            },
        }
    }

    fn parts(&mut self, value: Value<'_>, path: Path<'_>, depth: usize) -> Option<Vec<Condition>> {
        let list = self.finder.reader.list(value, path, "a list of conditions")?;
        let parts: Vec<Option<Condition>> = list
            .elements()
            .enumerate()
            .map(|(index, part)| self.condition(part, path.index(index), depth + 1))
            .collect();
        if parts.is_empty() {
            let message = "a list of conditions has at least one".to_owned();
            self.wrong(ProblemCode::OutOfRange, value, path, message, None);
            return None;
        }
        parts.into_iter().collect()
    }

    fn comparison(&mut self, operator: Operator, value: Value<'_>, path: Path<'_>) -> Option<Condition> {
        let list = self.finder.reader.list(value, path, "what is compared")?;
        let operands: Vec<Value<'_>> = list.elements().collect();
        self.nodes += operands.len();
        let [one, other] = operands[..] else {
            let message = format!("{:?} compares two values, not {}", operator.as_str(), operands.len());
            self.wrong(ProblemCode::WrongType, value, path, message, None);
            return None;
        };
        let (one, other) = (self.template(one, path.index(0)), self.template(other, path.index(1)));
        Some(Condition::Compare(operator, one, other))
    }

    fn template(&mut self, value: Value<'_>, path: Path<'_>) -> Template {
        let mut template = Template::literal(value.text);
        self.finder.set_placeholders(&mut template, value.at, path);
        template
    }

    fn unknown(&mut self, word: &str, key: Value<'_>, path: Path<'_>) {
        let known = || Operator::ALL.map(Operator::as_str).into_iter().chain(["all", "any", "not", "exists", "empty"]);
        let near = self.finder.reader.report.did_you_mean(word, known());
        let list = || format!("there are {}", known().collect::<Vec<_>>().join(", "));
        let message = format!("a condition has no operator {}", quoted(word));
        self.finder.reader.report.add(ProblemCode::UnknownKey, path, key.at, message, Some(near.unwrap_or_else(list)));
    }

    fn wrong(
        &mut self,
        code: ProblemCode,
        value: Value<'_>,
        path: Path<'_>,
        message: String,
        suggestion: Option<&str>,
    ) {
        self.finder.reader.report.add(code, path, value.at, message, suggestion.map(str::to_owned));
    }
}
