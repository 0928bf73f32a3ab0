//! Every route of the HTTP API, with a Hub that records its calls.

mod http_support;

use std::sync::Arc;
use std::time::Duration;

use http_support::{FakeHub, Served, answer, client, explanation, some_id};
use hub_core::Json;
use hub_engine::http::HttpSettings;
use hub_engine::operations::{BrokerHealth, RequestErrorKind};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const ID: &str = "693eb630-e77d-11f1-b11f-02fc00000001";
const OTHER: &str = "00000000-0000-4000-8000-000000000001";

struct Api {
    hub: Arc<FakeHub>,
    served: Served,
}

impl Api {
    async fn start() -> Self {
        Self::with(FakeHub::default(), HttpSettings::default()).await
    }

    async fn with(hub: FakeHub, settings: HttpSettings) -> Self {
        let hub = Arc::new(hub);
        let served = Served::start(hub.clone(), settings).await;
        Self { hub, served }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        client().request(Method::from_bytes(method.as_bytes()).unwrap(), self.served.url(path))
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        answer(self.request(method, path).body(body.to_owned())).await
    }

    fn calls(&self) -> Vec<String> {
        self.hub.take_calls()
    }
}

#[tokio::test]
async fn every_route_calls_the_hub() {
    let api = Api::start().await;
    let id = json!({"id": ID});
    let cases = [
        ("POST", "/api/v1/jobs".to_owned(), "{ }", 201, id.clone(), "submit - { }".to_owned()),
        ("POST", format!("/api/v1/jobs?id={OTHER}"), "[1]", 201, json!({"id": OTHER}), format!("submit {OTHER} [1]")),
        (
            "POST",
            format!("/api/v1/jobs?wait=1e9&id={OTHER}"),
            "[2]",
            201,
            json!({"id": OTHER}),
            format!("submit {OTHER} [2] and wait 60s"),
        ),
        ("GET", format!("/api/v1/jobs/{ID}"), "", 200, Value::Null, format!("job {ID} None")),
        ("GET", format!("/api/v1/jobs/{ID}?wait=1.5"), "", 200, Value::Null, format!("job {ID} Some(1.5s)")),
        ("GET", format!("/api/v1/jobs/{ID}?wait=1e9"), "", 200, Value::Null, format!("job {ID} Some(60s)")),
        (
            "POST",
            format!("/api/v1/jobs/{ID}/cancel"),
            "",
            200,
            json!({"id": ID, "status": "CANCELLING"}),
            format!(r#"cancel {{"id":"{ID}"}}"#),
        ),
        (
            "POST",
            format!("/api/v1/jobs/{ID}/cancel"),
            r#"{"now": true, "by": "ops", "reason": "no"}"#,
            200,
            json!({"id": ID, "status": "CANCELLING"}),
            format!(r#"cancel {{"id":"{ID}","now":true,"by":"ops","reason":"no"}}"#),
        ),
        ("POST", format!("/api/v1/jobs/{ID}/pause"), "", 200, id.clone(), format!(r#"pause {{"id":"{ID}"}}"#)),
        (
            "POST",
            format!("/api/v1/jobs/{ID}/resume"),
            r#"{"by": "ops"}"#,
            200,
            id.clone(),
            format!(r#"resume {{"id":"{ID}","by":"ops"}}"#),
        ),
        (
            "POST",
            format!("/api/v1/jobs/{ID}/priority"),
            r#"{"priority": -7, "by": "ops"}"#,
            200,
            json!({"id": ID, "priority": -7}),
            format!(r#"priority {{"id":"{ID}","priority":-7,"by":"ops"}}"#),
        ),
        (
            "POST",
            "/api/v1/pools/a.b/pause".to_owned(),
            r#"{"reason": "no"}"#,
            200,
            json!({"pool": "a.b"}),
            r#"pause {"pool":"a.b","reason":"no"}"#.to_owned(),
        ),
        (
            "POST",
            "/api/v1/pools/gpu/resume".to_owned(),
            "",
            200,
            json!({"pool": "gpu"}),
            r#"resume {"pool":"gpu"}"#.to_owned(),
        ),
        (
            "GET",
            format!("/api/v1/jobs/{ID}/explain?task=parse%5B3%5D"),
            "",
            200,
            explanation(),
            format!(r#"explain {ID} Some("parse[3]")"#),
        ),
        (
            "GET",
            format!("/api/v1/jobs/{ID}/document"),
            "",
            200,
            json!({"name": "jöb", "tasks": [{"name": "a"}]}),
            format!("document {ID} None"),
        ),
        ("POST", format!("/api/v1/jobs/{ID}/retry"), "", 201, Value::Null, format!(r#"retry {{"id":"{ID}"}}"#)),
        (
            "POST",
            format!("/api/v1/jobs/{ID}/retry"),
            r#"{"new_id": "693eb630-e77d-11f1-b11f-02fc00000009", "from": ["a"], "override": {"b": 1.0}, "by": "ops"}"#,
            201,
            json!({"id": "693eb630-e77d-11f1-b11f-02fc00000009"}),
            format!(r#"retry {{"id":"{ID}","from":["a"],"override":{{"b":1.0}},"by":"ops"}}"#),
        ),
        ("DELETE", format!("/api/v1/jobs/{ID}"), "", 200, id.clone(), format!("remove {ID}")),
        (
            "POST",
            format!("/api/v1/tasks/{ID}/result"),
            r#"{"status": "SUCCESS", "data": 123456789012345678901234567890}"#,
            200,
            id.clone(),
            format!(r#"result {{"id":"{ID}","status":"SUCCESS","data":123456789012345678901234567890}}"#),
        ),
        (
            "POST",
            format!("/api/v1/tasks/{ID}/result"),
            r#"{"id": "693eb630-e77d-11f1-b11f-02fc00000001", "status": "FAILED", "msg": "no", "v": 1}"#,
            200,
            id,
            format!(r#"result {{"id":"{ID}","status":"FAILED","msg":"no","v":1}}"#),
        ),
    ];
    for (method, path, body, status, expected, call) in cases {
        let (got, value) = api.ask(method, &path, body).await;
        // The id of a retry without `new_id` is a new one.
        let is_any = expected.is_null() && status == 201;
        assert_eq!((got, if is_any { &expected } else { &value }), (status, &expected), "{method} {path}");
        assert_eq!(api.calls(), [call], "{method} {path}");
    }
    api.served.stop().await;
}

#[tokio::test]
async fn lists_with_filters() {
    let api = Api::start().await;
    let path = "/api/v1/jobs?status=RUNNING&status=failed&name=a%20b&limit=5&after=9";
    let (status, page) = api.ask("GET", path, "").await;
    assert_eq!((status, &page["next"]), (200, &json!("7")));
    assert_eq!(page["jobs"][0]["id"], json!(some_id()));
    let filter = r#"jobs {"status":["RUNNING","FAILED"],"name":"a b","limit":5,"after":"9"}"#;
    assert_eq!(api.calls(), [filter]);
    api.served.stop().await;
}

#[tokio::test]
async fn a_record_is_passed_on_as_text() {
    let api = Api::start().await;
    let text = r#"{"z": 1.0, "a": 123456789012345678901234567890,  "z": "\u00e9"}"#;
    *api.hub.record.lock().unwrap() = Some(Json::parse(text).unwrap());
    let got = api.request("GET", &format!("/api/v1/jobs/{ID}")).send().await.unwrap().text().await.unwrap();
    assert_eq!(got, text);
    api.served.stop().await;
}

#[tokio::test]
async fn a_submission_returns_the_location_and_accepts_an_id_in_a_header() {
    let api = Api::start().await;
    let posted = api.request("POST", "/api/v1/jobs").header("Idempotency-Key", OTHER).body("{}").send().await.unwrap();
    assert_eq!(posted.headers()["location"], format!("/api/v1/jobs/{OTHER}"));
    assert_eq!(api.calls(), [format!("submit {OTHER} {{}}")]);
    let both = api.request("POST", &format!("/api/v1/jobs?id={ID}")).header("Idempotency-Key", format!("\"{ID}\""));
    assert_eq!(answer(both).await.0, 201);
    let differ = api.request("POST", &format!("/api/v1/jobs?id={ID}")).header("Idempotency-Key", OTHER);
    assert_eq!(answer(differ).await.0, 400);
    api.served.stop().await;
}

#[tokio::test]
async fn invalid_requests_are_refused_with_json_without_calling_the_hub() {
    let api = Api::start().await;
    let job = format!("/api/v1/jobs/{ID}");
    let result = format!("/api/v1/tasks/{ID}/result");
    let cases: Vec<(&str, String, &str, u16, &str)> = vec![
        ("GET", "/".into(), "", 404, "no resource at /"),
        ("GET", "/api/v1/job".into(), "", 404, "no resource at /api/v1/job"),
        ("GET", "/api/v2/jobs".into(), "", 404, "no resource at"),
        ("PUT", "/api/v1/jobs".into(), "", 405, "supported methods: GET, POST"),
        ("OPTIONS", "/api/v1/workers".into(), "", 405, "supported methods: GET"),
        ("POST", job.clone(), "", 405, "supported methods: GET, DELETE"),
        ("POST", "/api/v1/health/live".into(), "", 405, "supported methods: GET"),
        ("GET", "/api/v1/jobs/seven".into(), "", 400, "a job's id cannot be \"seven\""),
        ("DELETE", "/api/v1/jobs/seven".into(), "", 400, "seven"),
        ("POST", "/api/v1/jobs/seven/cancel".into(), "", 400, "seven"),
        ("POST", format!("/api/v1/jobs/{ID}/cancel"), r#"{"hurry": true}"#, 400, "hurry"),
        ("POST", format!("/api/v1/jobs/{ID}/pause"), "[]", 400, "not a pause"),
        ("GET", "/api/v1/jobs/%ff".into(), "", 400, ""),
        ("GET", format!("{job}?wait=soon"), "", 400, "wait cannot be \"soon\""),
        ("GET", format!("{job}?wait=-1"), "", 400, "number of seconds"),
        ("GET", format!("{job}?wait=nan"), "", 400, "number of seconds"),
        ("GET", format!("{job}?wait=1&wait=2"), "", 400, "must not be repeated"),
        ("GET", format!("{job}?patience=1"), "", 400, "unknown parameter \"patience\""),
        (
            "GET",
            "/api/v1/jobs?state=RUNNING".into(),
            "",
            400,
            "known parameters: status, name, since, until, filter, sub_jobs, limit, after",
        ),
        ("GET", "/api/v1/jobs?status=DONE".into(), "", 400, "DONE"),
        ("GET", "/api/v1/jobs?since=yesterday".into(), "", 400, "2026-11-23T22:15:03Z"),
        ("GET", "/api/v1/jobs?limit=-1".into(), "", 400, "limit cannot be"),
        ("POST", "/api/v1/jobs?id=mine".into(), "{}", 400, "id cannot be \"mine\""),
        ("POST", result.clone(), "", 400, "not a result"),
        ("POST", result.clone(), "SUCCESS", 400, "not a result"),
        ("POST", result.clone(), "{}", 400, "status"),
        ("POST", result.clone(), r#"{"status": "DONE"}"#, 400, "DONE"),
        ("POST", result.clone(), r#"{"status": "RUNNING"}"#, 400, "RUNNING"),
        ("POST", result.clone(), r#"{"status": "SUCCESS", "name": "x"}"#, 400, "name"),
        ("POST", result.clone(), r#"{"status": "SUCCESS", "v": 2}"#, 400, "version 1, not 2"),
        ("POST", result, r#"{"id": "00000000-0000-4000-8000-000000000001", "status": "SUCCESS"}"#, 400, OTHER),
        ("POST", "/api/v1/tasks/x/result".into(), r#"{"status": "SUCCESS"}"#, 400, "a task's id"),
    ];
    for (method, path, body, status, words) in cases {
        let (got, error) = api.ask(method, &path, body).await;
        let message = error["message"].as_str().unwrap_or_default();
        assert!(got == status && message.contains(words), "{method} {path} {body}: {got} {error}");
        assert!(error["kind"].is_string(), "{error}");
    }
    assert_eq!(api.calls(), [""; 0]);
    api.served.stop().await;
}

#[tokio::test]
async fn a_job_that_is_not_text_is_invalid() {
    let api = Api::start().await;
    let (status, error) = answer(api.request("POST", "/api/v1/jobs").body(b"{\"name\": \"\xff\"}".to_vec())).await;
    assert_eq!((status, &error["kind"]), (422, &json!("invalid_job")));
    assert_eq!(error["problems"][0]["code"], "not_utf8", "{error}");
    assert_eq!(api.calls(), [""; 0]);
    api.served.stop().await;
}

#[tokio::test]
async fn refusals_of_the_hub_keep_their_message_and_have_their_status() {
    use RequestErrorKind::{
        Conflict, Internal, InvalidJob, InvalidRequest, NotEnded, NotFound, TimedOut, TooLarge, TooMany, Unauthorized,
        Unavailable, Unreachable,
    };
    let api = Api::start().await;
    let statuses = [
        (InvalidJob, 422),
        (InvalidRequest, 400),
        (NotFound, 404),
        (Conflict, 409),
        (NotEnded, 409),
        (TooLarge, 413),
        (TooMany, 429),
        (Unauthorized, 401),
        (Unreachable, 503),
        (TimedOut, 504),
        (Unavailable, 503),
        (Internal, 500),
    ];
    let (_, document) = api.ask("GET", "/api/v1/openapi.json", "").await;
    let known = document["components"]["schemas"]["Error"]["properties"]["kind"]["enum"].as_array().unwrap();
    assert_eq!(known.len(), statuses.len());
    for (kind, status) in statuses {
        api.hub.refuse(kind);
        for (method, path, body) in [
            ("POST", "/api/v1/jobs".to_owned(), "{}"),
            ("GET", "/api/v1/jobs".to_owned(), ""),
            ("GET", format!("/api/v1/jobs/{ID}"), ""),
            ("DELETE", format!("/api/v1/jobs/{ID}"), ""),
            ("POST", format!("/api/v1/jobs/{ID}/cancel"), ""),
            ("POST", format!("/api/v1/tasks/{ID}/result"), r#"{"status": "FAILED"}"#),
            ("GET", "/api/v1/workers".to_owned(), ""),
            ("GET", "/api/v1/health".to_owned(), ""),
            ("GET", "/api/v1/health/ready".to_owned(), ""),
        ] {
            let (got, error) = api.ask(method, &path, body).await;
            assert_eq!((got, &error["message"]), (status, &json!("no, and here is what to do")), "{method} {path}");
            assert!(known.contains(&error["kind"]), "{error}");
        }
    }
    api.served.stop().await;
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let settings = HttpSettings { max_body_bytes: 10, ..HttpSettings::default() };
    let api = Api::with(FakeHub::default(), settings).await;
    assert_eq!(api.ask("POST", "/api/v1/jobs", "0123456789").await.0, 201);
    let (status, error) = api.ask("POST", "/api/v1/jobs", "0123456789a").await;
    assert_eq!((status, &error["kind"]), (413, &json!("too_large")));
    assert!(error["message"].as_str().unwrap().contains("10 bytes"));
    assert_eq!(api.calls().len(), 1);

    // The same without a declared length.
    let mut stream = TcpStream::connect(api.served.address).await.unwrap();
    let head = "POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(format!("{head}6\r\n012345\r\n6\r\n6789ab\r\n0\r\n\r\n").as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    assert_eq!(api.calls(), [""; 0]);
    drop(stream);
    api.served.stop().await;
}

#[tokio::test]
async fn only_the_token_gives_access() {
    let settings = HttpSettings { token: Some("correct-horse".to_owned()), ..HttpSettings::default() };
    assert!(!format!("{settings:?}").contains("horse"));
    let api = Api::with(FakeHub::default(), settings).await;
    for given in [None, Some("Bearer wrong"), Some("Bearer "), Some("correct-horse"), Some("Basic correct-horse")] {
        for (method, path) in [("GET", "/api/v1/jobs"), ("POST", "/api/v1/jobs"), ("GET", "/api/v1/health/ready")] {
            let mut request = api.request(method, path);
            if let Some(given) = given {
                request = request.header("authorization", given);
            }
            let refused = request.send().await.unwrap();
            assert_eq!(refused.status().as_u16(), 401, "{given:?} {path}");
            assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        }
    }
    assert_eq!(api.calls(), [""; 0]);
    for given in ["Bearer correct-horse", "bearer correct-horse"] {
        assert_eq!(answer(api.request("GET", "/api/v1/jobs").header("authorization", given)).await.0, 200);
    }
    assert_eq!(api.ask("GET", "/api/v1/health/live", "").await, (200, json!("alive")));
    assert_eq!(api.ask("GET", "/api/v1/openapi.json", "").await.0, 200);
    api.served.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_cannot_use_it() {
    let api = Api::start().await;
    let foreign = api.request("POST", "/api/v1/jobs").header("origin", "https://example.org").body("{}");
    assert_eq!(answer(foreign).await.0, 403);
    let renamed = api.request("GET", "/api/v1/jobs").header("host", "example.org");
    assert_eq!(answer(renamed).await.0, 403);
    assert_eq!(api.calls(), [""; 0]);
    api.served.stop().await;
}

#[tokio::test]
async fn ready_only_with_a_broker() {
    let api = Api::start().await;
    for (broker, status) in [(BrokerHealth::Up, 200), (BrokerHealth::Blocked, 503), (BrokerHealth::Down, 503)] {
        *api.hub.broker.lock().unwrap() = Some(broker);
        let (got, report) = api.ask("GET", "/api/v1/health/ready", "").await;
        assert_eq!((got, &report["broker"]), (status, &json!(broker)));
        assert_eq!(api.ask("GET", "/api/v1/health", "").await.0, 200);
    }
    api.served.stop().await;
}

#[tokio::test]
async fn waiting_requests_are_answered_when_the_server_stops() {
    let hub = FakeHub { ended: Some(CancellationToken::new()), ..FakeHub::default() };
    let api = Api::with(hub, HttpSettings::default()).await;
    let waiting = tokio::spawn(answer(api.request("GET", &format!("/api/v1/jobs/{ID}?wait=60"))));
    let asked = async {
        while api.hub.calls.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(http_support::DEADLINE, asked).await.expect("the question did not arrive");
    let began = tokio::time::Instant::now();
    api.served.stop().await;
    assert_eq!(waiting.await.unwrap(), (200, Value::Null));
    assert!(began.elapsed() < Duration::from_secs(30), "the wait was sat out");
}
