//! The routes of definitions, with a Hub that records its calls.

mod http_support;

use std::sync::Arc;

use http_support::{FakeHub, Served, answer, client};
use hub_core::definition::Reference;
use hub_engine::client::HttpHub;
use hub_engine::http::HttpSettings;
use hub_engine::operations::{AliasChange, DefinitionDraft, Hub, NamePage};
use reqwest::Method;
use serde_json::{Value, json};

async fn served() -> (Arc<FakeHub>, Served) {
    let hub = Arc::new(FakeHub::default());
    let served = Served::start(hub.clone(), HttpSettings::default()).await;
    (hub, served)
}

/// Whether an object has these keys with these values.
fn has(value: &Value, expected: &Value) -> bool {
    expected.as_object().unwrap().iter().all(|(key, expected)| value.get(key) == Some(expected))
}

#[tokio::test]
async fn every_route_calls_the_hub() {
    let (hub, served) = served().await;
    for (method, path, body, status, expected, call) in [
        (
            "PUT",
            "new%C3%A9?alias=prod&alias=a&by=ops",
            "{ }",
            201,
            json!({"name": "new\u{e9}", "version": 2, "created": true, "moved_aliases": {"a": 1, "prod": 1}}),
            "define new\u{e9} { } [\"prod\", \"a\"] Some(\"ops\") false",
        ),
        ("PUT", "etl", "[1]", 200, json!({"created": false}), "define etl [1] [] None false"),
        ("PUT", "new?dry_run=true", "", 200, json!({"created": true}), "define new  [] None true"),
        ("GET", "etl@prod", "", 200, json!({"name": "etl", "version": 2, "by": "ops"}), "definition etl@prod"),
        ("GET", "etl%407", "", 200, json!({"name": "etl", "aliases": ["prod"]}), "definition etl@7"),
        ("GET", "?limit=5&after=a", "", 200, json!({"next": "etl"}), "NamePage { limit: Some(5), after: Some(\"a\") }"),
        (
            "PUT",
            "etl/aliases/prod",
            r#"{"version": 7}"#,
            200,
            json!({"name": "etl", "alias": "prod", "version": 7}),
            "AliasChange { name: \"etl\", alias: \"prod\", version: Some(7) }",
        ),
        (
            "DELETE",
            "etl/aliases/prod",
            "",
            200,
            json!({"name": "etl", "alias": "prod"}),
            "AliasChange { name: \"etl\", alias: \"prod\", version: None }",
        ),
    ] {
        let slash = if path.starts_with('?') { "" } else { "/" };
        let url = served.url(&format!("/api/v1/definitions{slash}{path}"));
        let request = client().request(Method::from_bytes(method.as_bytes()).unwrap(), url).body(body);
        let (got, value) = answer(request).await;
        assert!(got == status && has(&value, &expected), "{method} {path}: {got} {value}");
        assert_eq!(hub.take_calls(), [call], "{method} {path}");
    }
    served.stop().await;
}

#[tokio::test]
async fn what_is_not_a_request_is_refused() {
    let (hub, served) = served().await;
    for (method, path, body, words) in [
        ("GET", "/a%20b", "", "letters, digits"),
        ("GET", "/etl@0", "", "counted from 1"),
        ("GET", "?limit=x", "", "limit"),
        ("GET", "?name=etl", "", "unknown parameter"),
        ("PUT", "/etl?version=3", "{}", "unknown parameter"),
        ("PUT", "/etl?dry_run=yes", "{}", "dry_run"),
        ("PUT", "/etl/aliases/prod", "7", "not a version"),
        ("PUT", "/etl/aliases/prod", r#"{"version": "7"}"#, "not a version"),
        ("PUT", "/etl/aliases/prod", "", "not a version"),
        ("PUT", "/etl/aliases/prod", r#"{"version": 7, "to": 8}"#, "not a version"),
    ] {
        let url = served.url(&format!("/api/v1/definitions{path}"));
        let request = client().request(Method::from_bytes(method.as_bytes()).unwrap(), url).body(body);
        let (status, error) = answer(request).await;
        let message = error["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(words), "{method} {path} {body}: {status} {error}");
    }
    let bytes = client().put(served.url("/api/v1/definitions/etl")).body(b"\xff".to_vec());
    assert_eq!(answer(bytes).await.0, 422);
    assert_eq!(hub.take_calls(), [""; 0]);
    served.stop().await;
}

#[tokio::test]
async fn the_client_sends_what_it_is_asked() {
    let (hub, served) = served().await;
    let over_http = HttpHub::new(&served.url(""), None, std::time::Duration::from_secs(30)).unwrap();
    let draft = DefinitionDraft {
        name: "new\u{e9}?".into(),
        text: "{\n}".into(),
        aliases: vec!["prod&x".into()],
        by: Some("a b".to_owned()),
        dry_run: true,
    };
    let defined = over_http.define(draft).await.unwrap();
    assert_eq!((&*defined.name, defined.version, defined.created), ("new\u{e9}?", 2, true));
    let reference: Reference = "etl@prod".parse().unwrap();
    let record = over_http.definition(reference).await.unwrap();
    assert_eq!((&*record.name, record.summary.aliases.len(), record.versions.len()), ("etl", 1, 1));
    let page = over_http.definitions(NamePage { limit: Some(3), after: Some("a&b".to_owned()) }).await.unwrap();
    assert_eq!((page.definitions[0].aliases.len(), page.next.as_deref()), (1, Some("etl")));
    for version in [Some(3), None] {
        over_http.set_alias(AliasChange { name: "etl".into(), alias: "a/b".into(), version }).await.unwrap();
    }
    let calls = [
        "define new\u{e9}? {\n} [\"prod&x\"] Some(\"a b\") true",
        "definition etl@prod",
        "NamePage { limit: Some(3), after: Some(\"a&b\") }",
        "AliasChange { name: \"etl\", alias: \"a/b\", version: Some(3) }",
        "AliasChange { name: \"etl\", alias: \"a/b\", version: None }",
    ];
    assert_eq!(hub.take_calls(), calls);
    served.stop().await;
}
