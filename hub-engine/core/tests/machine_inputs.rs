//! Inputs of jobs: what tasks read, and sub-jobs whose inputs do not match their schemas.

mod support;

use std::sync::Arc;

use hub_core::job::{InputCheck, SchemaError, Violation};
use hub_core::machine::Settings;
use hub_core::state::ErrorKind;
use hub_core::{JobStatus, Json};
use serde_json::json;
use support::sub_jobs::{child, kind, msg, status};
use support::{Hub, id, parse};

/// Wants the input `n`, and adds the default `unit`.
#[derive(Debug)]
struct WantsN;

impl InputCheck for WantsN {
    fn schema(&self, _: &Json) -> Result<Vec<String>, SchemaError> {
        Ok(Vec::new())
    }

    fn check(&self, _: &Json, inputs: &Json, _: u64) -> Result<Json, Vec<Violation>> {
        let mut value = inputs.to_value();
        if value.get("n").is_none() {
            return Err(vec![Violation { pointer: "/n".to_owned(), message: "it is missing".to_owned() }]);
        }
        value["unit"] = "kg".into();
        Ok(Json::parse(&value.to_string()).unwrap())
    }
}

fn hub() -> Hub {
    Hub::with(Settings { inputs: Arc::new(WantsN), ..Settings::default() })
}

#[test]
fn tasks_read_the_inputs_of_their_job() {
    let mut hub = hub();
    let text =
        r#"{"name": "j", "inputs": {"n": [1, 2]}, "tasks": [{"name": "a", "args": ["_.input.n.1", "_.input"]}]}"#;
    hub.submit(1, text);
    assert_eq!(hub.handed_out()[0].args.to_value(), json!([2, {"n": [1, 2]}]));
    let text = r#"{"name": "j", "input_schema": {}, "tasks": [{"name": "a", "args": ["_.input.unit"]}]}"#;
    let inputs = parse(text).checked_inputs(&WantsN, 0).unwrap_err();
    assert_eq!(inputs.iter().next().unwrap().path, "$.inputs.n");
    let inputs = Json::parse(r#"{"n": 1, "unit": "t"}"#).unwrap();
    hub.machine.submit_with(id(2), parse(text), Some(inputs), hub.now).unwrap();
    assert_eq!(hub.handed_out()[0].args.to_value(), json!(["t"]));
}

#[test]
fn a_sub_job_has_the_defaults_of_its_schema_and_a_violation_fails_its_task() {
    let mut hub = hub();
    let inner =
        json!({"name": "c", "input_schema": {}, "tasks": [{"name": "a", "args": ["_.input.unit", "_.input.n"]}]});
    let task = |name: &str, inputs| json!({"name": name, "job": inner.clone(), "inputs": inputs});
    let text = json!({"name": "p", "tasks": [task("good", json!({"n": 7})), task("bad", json!({"m": 7}))]});
    let job = hub.submit(1, &text.to_string());
    let out = hub.handed_out();
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].job, out[0].args.to_value()), (child(&hub, job, 0), json!(["kg", 7])));
    assert_eq!(kind(&hub, job, 1), ErrorKind::BadArguments);
    assert_eq!(msg(&hub, job, 1), "the inputs of the sub-job do not match its input_schema: n: it is missing");
    hub.succeed(&out[0], "1");
    hub.actions();
    assert_eq!(status(&hub, job), JobStatus::Failed);
    assert_eq!(hub.machine.live(), (0, 0), "nothing is left in memory");
}

#[test]
fn inputs_survive_a_restart() {
    let mut hub = hub();
    let text = r#"{"name": "j", "inputs": {"n": 1}, "tasks": [{"name": "a"}, {"name": "b", "args": ["_.input.n"], "depends": ["a"]}]}"#;
    hub.submit(1, text);
    let first = hub.handed_out().remove(0);
    hub.crash();
    hub.succeed(&first, "0");
    assert_eq!(hub.handed_out()[0].args.to_value(), json!([1]));
}
