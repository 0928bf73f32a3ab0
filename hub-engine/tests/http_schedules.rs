//! The routes of schedules, with a Hub that records its calls.

mod http_support;

use std::sync::Arc;

use http_support::{FakeHub, Served, answer, client, schedule_answer};
use hub_core::JobId;
use hub_engine::client::HttpHub;
use hub_engine::http::HttpSettings;
use hub_engine::operations::{Hub, NamePage, ScheduleDraft, ScheduleOrder, ScheduleRequest, ScheduleTrigger};
use reqwest::Method;

async fn served() -> (Arc<FakeHub>, Served) {
    let hub = Arc::new(FakeHub::default());
    let served = Served::start(hub.clone(), HttpSettings::default()).await;
    (hub, served)
}

#[tokio::test]
async fn every_route_calls_the_hub() {
    let (hub, served) = served().await;
    for (method, path, body, status, call) in [
        ("PUT", "/new%C3%A9?by=ops", "{ }", 201, r#"{"do":"set","name":"newé","text":"{ }","by":"ops"}"#),
        ("PUT", "/new?dry_run=true", "{}", 200, r#"{"do":"set","name":"new","text":"{}","dry_run":true}"#),
        ("PUT", "/etl", "{}", 200, r#"{"do":"set","name":"etl","text":"{}"}"#),
        ("GET", "/etl", "", 200, r#"{"do":"get","name":"etl"}"#),
        ("GET", "?limit=5&after=a", "", 200, r#"{"do":"list","limit":5,"after":"a"}"#),
        ("DELETE", "/etl", "", 200, r#"{"do":"remove","name":"etl"}"#),
        ("POST", "/etl/pause", "", 200, r#"{"do":"pause","name":"etl"}"#),
        (
            "POST",
            "/etl/resume",
            r#"{"by": "ops", "reason": "ö"}"#,
            200,
            r#"{"do":"resume","name":"etl","by":"ops","reason":"ö"}"#,
        ),
        ("POST", "/etl/trigger", "", 201, r#"{"do":"trigger","name":"etl"}"#),
    ] {
        let url = served.url(&format!("/api/v1/schedules{path}"));
        let request = client().request(Method::from_bytes(method.as_bytes()).unwrap(), url).body(body);
        let (got, value) = answer(request).await;
        assert_eq!(got, status, "{method} {path}: {value}");
        assert_eq!(hub.take_calls(), [format!("schedule {call}")], "{method} {path}");
    }
    served.stop().await;
}

#[tokio::test]
async fn what_is_not_a_request_is_refused() {
    let (hub, served) = served().await;
    for (method, path, body, words) in [
        ("GET", "?limit=x", "", "limit"),
        ("GET", "?name=etl", "", "unknown parameter"),
        ("PUT", "/etl?alias=prod", "{}", "unknown parameter"),
        ("PUT", "/etl?dry_run=yes", "{}", "dry_run"),
        ("POST", "/etl/pause", "[]", "reason"),
        ("POST", "/etl/pause", r#"{"why": "x"}"#, "reason"),
        ("POST", "/etl/trigger?id=7", "", "id"),
        ("POST", "/etl/trigger?key=7", "", "unknown parameter"),
    ] {
        let url = served.url(&format!("/api/v1/schedules{path}"));
        let request = client().request(Method::from_bytes(method.as_bytes()).unwrap(), url).body(body);
        let (status, error) = answer(request).await;
        let message = error["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(words), "{method} {path} {body}: {status} {error}");
    }
    assert_eq!(hub.take_calls(), [""; 0]);
    served.stop().await;
}

#[tokio::test]
async fn the_client_sends_what_it_is_asked() {
    let (hub, served) = served().await;
    let over_http = HttpHub::new(&served.url(""), None, std::time::Duration::from_secs(30)).unwrap();
    let name = || "a/b \u{e9}?".into();
    let order = || ScheduleOrder { name: name(), by: Some("a&b".to_owned()), reason: Some("\u{e9}".to_owned()) };
    for request in [
        ScheduleRequest::Set(ScheduleDraft {
            name: name(),
            text: "{\n}".into(),
            by: Some("a b".to_owned()),
            dry_run: true,
        }),
        ScheduleRequest::List(NamePage { limit: Some(3), after: Some("a&b".to_owned()) }),
        ScheduleRequest::Get { name: name() },
        ScheduleRequest::Remove { name: name() },
        ScheduleRequest::Pause(order()),
        ScheduleRequest::Resume(order()),
        ScheduleRequest::Trigger(ScheduleTrigger {
            name: name(),
            id: Some(JobId::new(uuid::Uuid::from_u128(7 << 64))),
        }),
    ] {
        let got = over_http.schedules(request.clone()).await.unwrap();
        assert_eq!(hub.take_calls(), [format!("schedule {}", serde_json::to_string(&request).unwrap())]);
        assert_eq!(format!("{got:?}"), format!("{:?}", schedule_answer(request)));
    }
    served.stop().await;
}
