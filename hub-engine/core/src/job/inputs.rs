//! The inputs of a job, and their comparison with a schema.

use std::fmt;

use super::model::Job;
use super::path::Path;
use super::position::Positions;
use super::problem::{Problem, ProblemCode, Problems};
use super::value::{Kind, Value};
use crate::Json;

/// Compares inputs with a JSON Schema. JSON Schema is a large language, so the shell implements it.
pub trait InputCheck: fmt::Debug + Send + Sync {
    /// Checks a schema. Returns warnings: what its author may not expect.
    ///
    /// # Errors
    /// If inputs cannot be compared with it.
    fn schema(&self, schema: &Json) -> Result<Vec<String>, SchemaError>;

    /// The inputs with the defaults of the schema. A comparison that needs more than `steps` is refused. A million steps take less than
    /// half a second.
    ///
    /// # Errors
    /// All violations, at least one.
    fn check(&self, schema: &Json, inputs: &Json, steps: u64) -> Result<Json, Vec<Violation>>;
}

/// Why a schema is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    /// The place in the schema: a JSON pointer, empty for the schema itself.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// A place in the inputs that does not match the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The place, from the inputs: a JSON pointer, empty for the inputs themselves.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// Accepts all inputs as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyInputs;

impl InputCheck for AnyInputs {
    fn schema(&self, _: &Json) -> Result<Vec<String>, SchemaError> {
        Ok(Vec::new())
    }

    fn check(&self, _: &Json, inputs: &Json, _: u64) -> Result<Json, Vec<Violation>> {
        Ok(inputs.clone())
    }
}

/// Refuses all schemas, in a program that was built without JSON Schema. The text says how to get one with it.
#[derive(Clone, Copy, Debug)]
pub struct NoSchemas(pub &'static str);

impl NoSchemas {
    fn message(self) -> String {
        format!("this program was built without JSON Schema and cannot check inputs: {}", self.0)
    }
}

impl InputCheck for NoSchemas {
    fn schema(&self, _: &Json) -> Result<Vec<String>, SchemaError> {
        Err(SchemaError { pointer: String::new(), message: self.message() })
    }

    fn check(&self, _: &Json, _: &Json, _: u64) -> Result<Json, Vec<Violation>> {
        Err(vec![Violation { pointer: String::new(), message: self.message() }])
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.pointer.is_empty() { "the inputs" } else { &self.pointer[1..] };
        write!(f, "{at}: {}", self.message)
    }
}

impl Job {
    /// The inputs that its tasks read as `_.input`. `None` if the job is not one with inputs. `steps` is the maximum number of steps of
    /// the comparison.
    ///
    /// # Errors
    /// If they do not match the schema of the job.
    pub fn checked_inputs(&self, check: &dyn InputCheck, steps: u64) -> Result<Option<Json>, Problems> {
        if !self.has_inputs() {
            return Ok(None);
        }
        let given = self.inputs().cloned().unwrap_or_else(|| Json::from_checked("{}"));
        let Some(schema) = self.input_schema() else { return Ok(Some(given)) };
        check.check(schema, &given, steps).map(Some).map_err(|violations| {
            let placed = violations.into_iter().map(|Violation { pointer, message }| {
                let (path, at) = place_of(&self.source, &format!("/inputs{pointer}"));
                (at, path, message)
            });
            let mut placed: Vec<(usize, String, String)> = placed.collect();
            placed.sort();
            let mut positions = Positions::new(&self.source);
            let problems = placed.into_iter().map(|(at, path, message)| {
                let (line, column) = positions.of(at);
                let code = ProblemCode::BadInputs;
                Problem { code, path, line: Some(line), column: Some(column), message, suggestion: None }
            });
            Problems::new(problems.collect())
        })
    }

    /// The problem of its input schema at a place in it, a JSON pointer.
    #[must_use]
    pub fn schema_problem(&self, pointer: &str, message: impl Into<String>) -> Problem {
        let (path, at) = place_of(&self.source, &format!("/input_schema{pointer}"));
        let (line, column) = Positions::new(&self.source).of(at);
        let (code, message) = (ProblemCode::BadSchema, message.into());
        Problem { code, path, line: Some(line), column: Some(column), message, suggestion: None }
    }
}

/// The path and the byte offset of a place in a text, a JSON pointer. If the place is not there, the offset is that of the nearest one
/// around it.
fn place_of(text: &str, pointer: &str) -> (String, usize) {
    let mut value = Value::of_job(text);
    let mut path = Path::Root.to_string();
    let mut is_there = true;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let root = Path::Root;
        let index = step.parse::<usize>().ok();
        let (written, next) = match (value.kind(), index) {
            (Kind::List, Some(index)) if is_there => (root.index(index).to_string(), value.elements().nth(index)),
            (Kind::Object, _) if is_there => {
                let found = value.properties().find(|(key, _)| key.decoded() == step);
                (root.key(&step).to_string(), found.map(|(_, value)| value))
            }
            (_, Some(index)) => (root.index(index).to_string(), None),
            (_, None) => (root.key(&step).to_string(), None),
        };
        path.push_str(&written[1..]);
        is_there = next.is_some();
        value = next.unwrap_or(value);
    }
    (path, value.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Limits;

    #[derive(Debug)]
    struct Refuses(&'static str);

    impl InputCheck for Refuses {
        fn schema(&self, _: &Json) -> Result<Vec<String>, SchemaError> {
            Ok(Vec::new())
        }

        fn check(&self, _: &Json, _: &Json, _: u64) -> Result<Json, Vec<Violation>> {
            Err(vec![Violation { pointer: self.0.to_owned(), message: "no".to_owned() }])
        }
    }

    #[test]
    fn a_violation_has_the_place_of_the_input_or_of_what_is_around_it() {
        let text = "{\"name\": \"j\", \"input_schema\": {},\n \"inputs\": {\"a/b\": [1,\n  {\"c\": 2}]}, \"tasks\": [{\"name\": \"t\"}]}";
        let job = Job::parse(text, &Limits::default()).unwrap();
        for (pointer, place, path) in [
            ("", (2, 12), "$.inputs"),
            ("/a~1b/1/c", (3, 9), r#"$.inputs["a/b"][1].c"#),
            ("/a~1b/7", (2, 20), r#"$.inputs["a/b"][7]"#),
            ("/x/y", (2, 12), "$.inputs.x.y"),
        ] {
            let problems = job.checked_inputs(&Refuses(pointer), 0).unwrap_err();
            let problem = problems.iter().next().unwrap();
            assert_eq!((problem.line.zip(problem.column), &*problem.path), (Some(place), path));
        }
        assert_eq!(job.checked_inputs(&AnyInputs, 0).unwrap().unwrap().get(), "{\"a/b\": [1,\n  {\"c\": 2}]}");
    }

    #[test]
    fn a_job_that_has_a_schema_or_is_a_start_has_inputs() {
        let job = |text: &str| Job::parse(text, &Limits::default()).unwrap();
        let inputs = |text: &str| job(text).checked_inputs(&AnyInputs, 0).unwrap();
        assert_eq!(inputs(r#"{"name": "j", "tasks": [{"name": "t"}]}"#), None);
        let with_schema = inputs(r#"{"name": "j", "input_schema": {}, "tasks": [{"name": "t", "args": ["_.input"]}]}"#);
        assert_eq!(with_schema.unwrap().get(), "{}");
    }
}
