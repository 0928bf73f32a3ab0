//! Compares the OpenAPI document with the answers of the API.

mod http_support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http_support::{DEADLINE, FakeHub, Served, answer, client};
use hub_core::record::View;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::http::HttpSettings;
use hub_engine::operations::RequestErrorKind;
use hub_engine::store::MemoryStore;
use hub_transport::memory::MemoryBroker;
use serde_json::{Value, json};

/// Finds the differences between `value` and `schema`. Keys that are not in the schema count, too, because all answers
/// must be documented.
fn differences(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("no {reference}"));
        return differences(document, target, value, at, found);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |wanted: &&str| match *wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    };
    if !types.is_empty() && !types.iter().any(is) {
        found.push(format!("{at}: {value} is not {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{at}: {value} is none of {words:?}"));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at}: {value} is not {}", schema["const"]));
    }
    if schema["format"] == "uuid" && value.as_str().is_none_or(|text| uuid::Uuid::parse_str(text).is_err()) {
        found.push(format!("{at}: {value} is no UUID"));
    }
    // A format applies to texts. The type was checked above.
    let is_time = |text: &str| text.len() == 24 && text.ends_with('Z');
    if schema["format"] == "date-time" && value.as_str().is_some_and(|text| !is_time(text)) {
        found.push(format!("{at}: {value} is no time"));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value.get(required.as_str().unwrap()).is_none() {
            found.push(format!("{at}: {required} is missing"));
        }
    }
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object()) {
        for (key, inner) in object {
            match properties.get(key) {
                Some(schema) => differences(document, schema, inner, &format!("{at}.{key}"), found),
                None if key.starts_with("x-") => {}
                None => found.push(format!("{at}: {key} is not described in hub-engine/src/http/schemas.rs")),
            }
        }
    }
    if let (Some(schema), Some(items)) = (schema.get("items"), value.as_array()) {
        for (index, item) in items.iter().enumerate() {
            differences(document, schema, item, &format!("{at}[{index}]"), found);
        }
    }
}

/// Checks an answer against the document of this operation and status.
fn check(document: &Value, method: &str, path: &str, status: u16, value: &Value) {
    let responses = &document["paths"][path][method]["responses"];
    let response = responses.get(status.to_string()).unwrap_or(&responses["default"]);
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} {status} has no schema");
    let mut found = Vec::new();
    differences(document, schema, value, "$", &mut found);
    assert!(found.is_empty(), "{method} {path} {status}: {found:#?}\n{value:#}");
}

/// Every key of this object of the job format is in one of `written`, shown in its record, and accepted in `fields`.
fn check_keys(document: &Value, object: &str, written: &[Value], records: &[Value]) {
    let keys = document["components"]["schemas"][object]["properties"].as_object().unwrap().keys();
    // The schema of inputs can be large, and is in the text of the job.
    for key in keys.filter(|key| !["$schema", "input_schema"].contains(&key.as_str())) {
        let at = written.iter().position(|written| written.get(key).is_some());
        let at = at.unwrap_or_else(|| panic!("the job of this test does not have the key {key} of {object}"));
        // Handlers are among the tasks.
        let has_handler = |record: &Value| {
            record["tasks"].as_array().is_some_and(|tasks| tasks.iter().any(|task| task["handler"] == **key))
        };
        if ["on_failure", "finally"].contains(&key.as_str()) {
            assert!(has_handler(&records[at]), "records do not show the handlers of {key}");
            continue;
        }
        assert!(records[at].get(key).is_some(), "records do not show the key {key} of {object}");
        assert!(
            View::whole().with_fields(key).check().is_ok(),
            "FIELDS in hub-engine/core/src/record/view.rs lacks the key {key} of {object}"
        );
    }
}

/// Every `$ref` of the document.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|inner| references(inner, found));
        }
        Value::Array(array) => array.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

async fn read_document(served: &Served) -> Value {
    answer(client().get(served.url("/api/v1/openapi.json"))).await.1
}

#[tokio::test]
async fn the_document_is_complete() {
    let served = Served::start(Arc::new(FakeHub::default()), HttpSettings::default()).await;
    let document = read_document(&served).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
    for schema in document["components"]["schemas"].as_object().unwrap().keys() {
        let reference = format!("#/components/schemas/{schema}");
        assert!(found.contains(&reference.as_str()), "{schema} is not used");
    }
    let mut ids = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            ids.push(operation["operationId"].as_str().unwrap());
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
            let declared = operation["parameters"].as_array().unwrap();
            let in_path = declared.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(in_path, path.matches('{').count(), "{method} {path}");
        }
    }
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "an operation's id stands twice");
    served.stop().await;
}

#[tokio::test]
async fn answers_are_as_described() {
    let hub = Arc::new(FakeHub::default());
    let served = Served::start(hub.clone(), HttpSettings::default()).await;
    let document = read_document(&served).await;
    let paths = document["paths"].as_object().unwrap();
    for refused in [false, true] {
        if refused {
            hub.refuse(RequestErrorKind::NotFound);
        }
        for (path, operations) in paths {
            for method in operations.as_object().unwrap().keys() {
                let here = path.replace("{id}", &http_support::some_id().to_string());
                let method_upper = method.to_ascii_uppercase();
                let request = client().request(method_upper.parse().unwrap(), served.url(&here));
                let (status, value) = answer(request.body(r#"{"status": "SUCCESS"}"#)).await;
                // The fake has no real record.
                if !(path == "/api/v1/jobs/{id}" && method == "get" && status == 200) {
                    check(&document, method, path, status, &value);
                }
            }
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn a_real_dispatcher_answers_as_described() {
    let broker = MemoryBroker::new();
    let inputs = Arc::new(hub_input_schema::SchemaCheck::default());
    let settings = DispatcherSettings { inputs, ..DispatcherSettings::new("hub") };
    let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
    tokio::time::timeout(DEADLINE, dispatcher.ready()).await.expect("the dispatcher is not ready");
    let served = Served::start(dispatcher.hub(), HttpSettings::default()).await;
    let document = read_document(&served).await;
    let ask = async |method: &str, path: &str, here: &str, body: &str, status: u16| {
        let request = client().request(method.to_ascii_uppercase().parse().unwrap(), served.url(here));
        let (got, value) = answer(request.body(body.to_owned())).await;
        assert_eq!(got, status, "{method} {here}: {value:#}");
        check(&document, method, path, got, &value);
        value
    };

    let job = json!({
        "name": "j", "meta": {"mine": 1}, "labels": {"team": "data"}, "key": "once", "inputs": {"n": 1}, "input_schema": {"required": ["n"]}, "priority": 1, "retry": 2, "timeout": "1h", "start_at": 0.001, "deadline": "1h", "x-own": 2,
        "tasks": [
            {"name": "a", "args": [1], "priority": 3, "pool": "gpu", "meta": {}},
            {"name": "b", "task_name": "c", "args": ["_a.data"], "kwargs": {"k": 1}, "depends": ["a"],
             "trigger_rule": "all_done", "when": {"eq": ["_a.data", 1]}, "delay": "1s", "retry": {"maximum_attempts": 3},
             "timeout": {"heartbeat": 60},
             "recover": {"fallback": 0}, "cache": {"ttl": "1h", "key": "_a.data", "version": 2, "refresh": false}},
            {"name": "c", "wait": {"signal": "go", "count": 2}},
            {"name": "d", "wait": {"approval": {}}, "depends": ["c"]},
            {"name": "e", "task_name": "c", "for_each": {"in": 2, "parallel": 1}, "args": ["_.item"]},
            {"name": "f", "command": ["true"], "env": {"A": 1}, "cwd": "/", "output": "json"},
            {"name": "g", "shell": "true"},
            {"name": "h", "http": {"url": "http://localhost"}},
            {"name": "k", "job": {"name": "sub", "tasks": [{"name": "x"}]}, "inputs": {"day": 1}, "detached": true, "depends": ["a"]}
        ],
        "on_failure": [{"name": "i", "args": ["_.failure"]}],
        "finally": [{"name": "j"}],
        "handler_deadline": "5m",
        "output": ["_b.data"]
    });
    let submitted = ask("post", "/api/v1/jobs", "/api/v1/jobs", &job.to_string(), 201).await;
    let again = ask("post", "/api/v1/jobs", "/api/v1/jobs", &job.to_string(), 201).await;
    assert_eq!(submitted, again, "one key, one job");
    let id = submitted["id"].as_str().unwrap();
    let here = format!("/api/v1/jobs/{id}");
    let record = ask("get", "/api/v1/jobs/{id}", &here, "", 200).await;
    assert_eq!((&record["meta"]["mine"], &record["x-own"]), (&json!(1), &json!(2)));
    assert_eq!(record["labels"], json!({"team": "data"}));
    check_keys(&document, "Job", std::slice::from_ref(&job), std::slice::from_ref(&record));
    check_keys(&document, "Task", job["tasks"].as_array().unwrap(), record["tasks"].as_array().unwrap());

    let explained = ask("get", "/api/v1/jobs/{id}/explain", &format!("{here}/explain"), "", 200).await;
    assert!(explained["counts"]["PENDING"].as_u64().is_some(), "{explained:#}");
    ask("get", "/api/v1/jobs/{id}/explain", &format!("{here}/explain?task=b"), "", 200).await;
    ask("get", "/api/v1/jobs/{id}/explain", &format!("{here}/explain?task=x"), "", 404).await;
    let text = client().get(served.url(&format!("{here}/document"))).send().await.unwrap();
    assert_eq!(text.headers()["content-type"], "application/json");
    assert_eq!(text.text().await.unwrap(), job.to_string());
    let priority = format!("{here}/priority");
    for (body, status) in [
        (r#"{"priority": 7, "by": "ops", "reason": "urgent"}"#, 200),
        (r#"{"priority": 1001}"#, 400),
        (r#"{"priority": 1.5}"#, 400),
        ("", 400),
    ] {
        ask("post", "/api/v1/jobs/{id}/priority", &priority, body, status).await;
    }
    let record = ask("get", "/api/v1/jobs/{id}", &here, "", 200).await;
    assert_eq!((&record["priority"], &record["priority_change"]["reason"]), (&json!(7), &json!("urgent")));
    let signal = format!("{here}/signal");
    for (body, status) in [
        (r#"{"name": "go", "data": [1.0], "key": "k", "by": "ops"}"#, 200),
        (r#"{"name": "go", "key": "k"}"#, 200),
        (r#"{"name": "gone"}"#, 400),
        (r#"{"nme": "go"}"#, 400),
        ("", 400),
    ] {
        ask("post", "/api/v1/jobs/{id}/signal", &signal, body, status).await;
    }
    let large = json!({"name": "go", "data": "x".repeat(70_000)}).to_string();
    ask("post", "/api/v1/jobs/{id}/signal", &signal, &large, 413).await;
    let question = format!("/api/v1/tasks/{}/approve", record["tasks"][3]["id"].as_str().unwrap());
    ask("post", "/api/v1/tasks/{id}/approve", &question, "", 409).await;
    ask("post", "/api/v1/jobs/{id}/signal", &signal, r#"{"name": "go"}"#, 200).await;
    ask("post", "/api/v1/tasks/{id}/approve", &question, r#"{"choice": "perhaps"}"#, 400).await;
    ask("post", "/api/v1/tasks/{id}/approve", &question, r#"{"input": {"n": 1}, "by": "kim"}"#, 200).await;
    let record = ask("get", "/api/v1/jobs/{id}", &here, "", 200).await;
    assert_eq!(
        (&record["tasks"][2]["data"], &record["tasks"][3]["answer"]["by"]),
        (&json!([[1.0], null]), &json!("kim"))
    );

    let (definition, etl) = ("/api/v1/definitions/{name}", "/api/v1/definitions/etl");
    let text = r#"{"name": "etl", "input_schema": {"properties": {"n": {"type": "integer", "default": 1}}}, "tasks": [{"name": "a"}]}"#;
    ask("put", definition, "/api/v1/definitions/etl?alias=prod&by=ops", text, 201).await;
    ask("put", definition, etl, text, 200).await;
    ask("put", definition, etl, &text.replace("integer", "intger"), 422).await;
    ask("put", definition, "/api/v1/definitions/-etl", text, 400).await;
    ask("get", definition, "/api/v1/definitions/etl@prod", "", 200).await;
    ask("get", definition, "/api/v1/definitions/etl@2", "", 404).await;
    ask("get", "/api/v1/definitions", "/api/v1/definitions", "", 200).await;
    ask("get", "/api/v1/definitions", "/api/v1/definitions?limit=0", "", 400).await;
    let alias = "/api/v1/definitions/{name}/aliases/{alias}";
    ask("put", alias, &format!("{etl}/aliases/old"), r#"{"version": 1}"#, 200).await;
    ask("put", alias, &format!("{etl}/aliases/old"), r#"{"version": 2}"#, 404).await;
    ask("delete", alias, &format!("{etl}/aliases/old"), "", 200).await;
    ask("delete", alias, &format!("{etl}/aliases/old"), "", 200).await;
    ask("delete", alias, "/api/v1/definitions/nowhere/aliases/old", "", 404).await;
    let (schedule, nightly) = ("/api/v1/schedules/{name}", "/api/v1/schedules/nightly");
    let text = r#"{"name": "nightly", "job": "etl@prod", "every": "1h", "labels": {"team": "data"}}"#;
    let set = ask("put", schedule, &format!("{nightly}?by=ops"), text, 201).await;
    assert_eq!((&set["change"], set["upcoming"].as_array().map(Vec::len)), (&json!("created"), Some(10)));
    assert_eq!(ask("put", schedule, nightly, text, 200).await["change"], "unchanged");
    ask("put", schedule, "/api/v1/schedules/other", text, 400).await;
    let refused = ask("put", schedule, nightly, &text.replace("etl@prod", "etl@9"), 422).await;
    assert_eq!(refused["problems"][0]["path"], "$.job");
    ask("get", "/api/v1/schedules", "/api/v1/schedules", "", 200).await;
    ask("get", "/api/v1/schedules", "/api/v1/schedules?limit=0", "", 400).await;
    for (control, body, status) in
        [("pause", r#"{"reason": "no"}"#, 200), ("resume", "", 200), ("pause", r#"{"why": 1}"#, 400)]
    {
        let path = format!("/api/v1/schedules/{{name}}/{control}");
        ask("post", &path, &format!("{nightly}/{control}"), body, status).await;
        ask("post", &path, &format!("/api/v1/schedules/nowhere/{control}"), "", 404).await;
    }
    let trigger = "/api/v1/schedules/{name}/trigger";
    let triggered = ask("post", trigger, &format!("{nightly}/trigger"), "", 201).await;
    let place = format!("/api/v1/jobs/{}", triggered["id"].as_str().unwrap());
    let record_of_run = ask("get", "/api/v1/jobs/{id}", &place, "", 200).await;
    assert_eq!(
        (&record_of_run["schedule"]["name"], &record_of_run["labels"]["team"]),
        (&json!("nightly"), &json!("data"))
    );
    ask("post", trigger, "/api/v1/schedules/nowhere/trigger", "", 404).await;
    let shown = ask("get", schedule, nightly, "", 200).await;
    assert_eq!((&shown["running"], &shown["started"], &shown["by"]), (&json!(1), &json!(1), &json!("ops")));
    ask("post", "/api/v1/jobs/{id}/cancel", &format!("{place}/cancel"), r#"{"now": true}"#, 200).await;
    ask("get", "/api/v1/jobs/{id}", &format!("{place}?wait=30"), "", 200).await;
    ask("delete", schedule, nightly, "", 200).await;
    ask("get", schedule, nightly, "", 404).await;
    let start = r#"{"definition": "etl", "inputs": {"n": "x"}}"#;
    let refused = ask("post", "/api/v1/jobs", "/api/v1/jobs", start, 422).await;
    assert_eq!(
        (&refused["problems"][0]["path"], &refused["problems"][0]["code"]),
        (&json!("$.inputs.n"), &json!("bad_inputs"))
    );
    let started = ask("post", "/api/v1/jobs", "/api/v1/jobs", r#"{"definition": "etl@prod"}"#, 201).await;
    let started = format!("/api/v1/jobs/{}", started["id"].as_str().unwrap());
    let record_of_start = ask("get", "/api/v1/jobs/{id}", &started, "", 200).await;
    assert_eq!((&record_of_start["definition"], &record_of_start["inputs"]), (&json!("etl@1"), &json!({"n": 1})));
    ask("post", "/api/v1/jobs/{id}/cancel", &format!("{started}/cancel"), r#"{"now": true}"#, 200).await;
    ask("get", "/api/v1/jobs/{id}", &format!("{started}?wait=30"), "", 200).await;
    ask("delete", "/api/v1/jobs/{id}", &started, "", 200).await;

    let refused = ask("post", "/api/v1/jobs", "/api/v1/jobs", r#"{"name": "j", "taks": []}"#, 422).await;
    assert!(refused["problems"].as_array().unwrap().len() >= 2, "{refused:#}");
    ask("post", "/api/v1/jobs", "/api/v1/jobs", "not json", 422).await;
    // Its dependency has not ended.
    let task = record["tasks"][1]["id"].as_str().unwrap();
    let result = format!("/api/v1/tasks/{task}/result");
    ask("post", "/api/v1/tasks/{id}/result", &result, r#"{"status": "SUCCESS", "data": 1}"#, 409).await;
    let unknown = format!("/api/v1/tasks/{}/result", uuid::Uuid::nil());
    ask("post", "/api/v1/tasks/{id}/result", &unknown, r#"{"status": "FAILED"}"#, 404).await;
    ask("delete", "/api/v1/jobs/{id}", &here, "", 409).await;
    let page = ask("get", "/api/v1/jobs", "/api/v1/jobs?status=PENDING&status=RUNNING&limit=1", "", 200).await;
    assert_eq!(page["jobs"][0]["id"], submitted["id"]);
    ask("get", "/api/v1/jobs", "/api/v1/jobs?after=nonsense", "", 400).await;
    let all = r#"{"handlers": true, "reason": "enough"}"#;
    ask("post", "/api/v1/jobs/{id}/cancel", &format!("{here}/cancel"), all, 200).await;
    let record = ask("get", "/api/v1/jobs/{id}", &format!("{here}?wait=30"), "", 200).await;
    assert_eq!((&record["status"], record["ended_at"].is_string()), (&json!("CANCELLED"), true));
    ask("post", "/api/v1/jobs/{id}/cancel", &format!("{here}/cancel"), "", 409).await;
    ask("get", "/api/v1/jobs/{id}/explain", &format!("{here}/explain"), "", 200).await;
    ask("post", "/api/v1/jobs/{id}/priority", &priority, r#"{"priority": 1}"#, 409).await;
    let retry = format!("{here}/retry");
    for (body, status) in
        [(r#"{"from": "end"}"#, 400), (r#"{"from": ["z"]}"#, 400), (r#"{"override": {"c": 1}, "reason": "no"}"#, 201)]
    {
        let answer = ask("post", "/api/v1/jobs/{id}/retry", &retry, body, status).await;
        if status == 201 {
            let retried = format!("/api/v1/jobs/{}", answer["id"].as_str().unwrap());
            let record = ask("get", "/api/v1/jobs/{id}", &retried, "", 200).await;
            assert_eq!((&record["origin"]["job"], &record["tasks"][2]["overridden"]), (&submitted["id"], &json!(true)));
            assert_eq!(record["tasks"][3]["kept_from"], Value::Null, "what depends on an override runs again");
            ask("post", "/api/v1/jobs/{id}/retry", &format!("{retried}/retry"), "", 409).await;
        }
    }
    ask("delete", "/api/v1/jobs/{id}", &here, "", 200).await;
    ask("get", "/api/v1/jobs/{id}", &here, "", 404).await;
    ask("get", "/api/v1/jobs/{id}/document", &format!("{here}/document"), "", 404).await;
    ask("get", "/api/v1/workers", "/api/v1/workers", "", 200).await;
    ask("get", "/api/v1/health/ready", "/api/v1/health/ready", "", 200).await;
    served.stop().await;
    dispatcher.stop(Duration::from_secs(5)).await;
}

/// The names of the parameters of an operation that are in `place`.
fn parameters<'a>(operation: &'a Value, place: &str) -> BTreeSet<&'a str> {
    let declared = operation["parameters"].as_array().unwrap();
    declared.iter().filter(|one| one["in"] == place).map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_document_has_the_parameters_and_headers_that_are_read() {
    let served = Served::start(Arc::new(FakeHub::default()), HttpSettings::default()).await;
    let document = read_document(&served).await;
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            let here = served.url(&path.replace("{id}", &http_support::some_id().to_string()));
            let ask = |here: &str| client().request(method.to_ascii_uppercase().parse().unwrap(), here);
            let (_, refused) = answer(ask(&format!("{here}?nonsense=1"))).await;
            let known = refused["message"].as_str().and_then(|message| message.split_once("known parameters: "));
            let known = known.map(|(_, known)| known.split(", ").collect()).unwrap_or_default();
            assert_eq!(parameters(operation, "query"), known, "{method} {path}");
            let mut read = BTreeSet::new();
            for header in ["Idempotency-Key", "Last-Event-ID"] {
                let (_, refused) = answer(ask(&here).header(header, "nonsense")).await;
                if refused["message"].as_str().is_some_and(|message| message.starts_with(header)) {
                    read.insert(header);
                }
            }
            assert_eq!(parameters(operation, "header"), read, "{method} {path}");
        }
    }
    served.stop().await;
}
