//! Definitions in a dispatcher: hostile texts, clients that go away, many at the same time.

use std::sync::Arc;
use std::time::Duration;

use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{AliasChange, DefinitionDraft, Hub, RequestErrorKind, Submission};
use hub_engine::store::MemoryStore;
use hub_transport::memory::MemoryBroker;

async fn dispatcher() -> (Dispatcher, Arc<dyn Hub>) {
    let inputs = Arc::new(hub_input_schema::SchemaCheck::default());
    let settings = DispatcherSettings { inputs, ..DispatcherSettings::new("hub") };
    let dispatcher =
        Dispatcher::start(MemoryBroker::new().transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
    let hub = dispatcher.hub();
    (dispatcher, hub)
}

fn draft(name: &str, text: &str) -> DefinitionDraft {
    DefinitionDraft { name: name.into(), text: text.into(), aliases: Vec::new(), by: None, dry_run: false }
}

fn text(number: u32) -> String {
    format!(r#"{{"name": "j", "tasks": [{{"name": "t", "args": [{number}]}}]}}"#)
}

#[tokio::test]
async fn what_is_not_json_is_refused_as_such_also_when_there_is_a_version() {
    let (dispatcher, hub) = dispatcher().await;
    hub.define(draft("etl", &text(1))).await.unwrap();
    let deep = "[".repeat(1_000_000);
    for text in ["[\u{e9}]", "{'a': 1}", "[_]", "{\"a\": 1 // b\n}", "[\"\\x\"]", &deep, "", "{", "nul"] {
        let refused = tokio::time::timeout(Duration::from_secs(60), hub.define(draft("etl", text))).await;
        let error = refused.expect("it ends").unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::InvalidJob, "{text:.20}: {error}");
    }
    assert_eq!(hub.definition("etl".parse().unwrap()).await.unwrap().summary.version, 1);
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn many_clients_at_the_same_time_and_clients_that_go_away_get_different_versions() {
    let (dispatcher, hub) = dispatcher().await;
    let clients = (1..=40).map(|number| {
        let hub = Arc::clone(&hub);
        tokio::spawn(async move {
            let defining = hub.define(draft("etl", &text(number)));
            if number % 4 == 0 {
                // The client goes away at some point of the request.
                let _ = tokio::time::timeout(Duration::from_micros(u64::from(number) * 50), defining).await;
                return None;
            }
            Some((number, defining.await.unwrap()))
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut seen = Vec::new();
    for client in clients {
        let Some((number, defined)) = client.await.unwrap() else { continue };
        assert!(defined.created);
        let record = hub.definition(defined.pin().to_string().parse().unwrap()).await.unwrap();
        assert_eq!(record.job.get(), text(number), "the version has the text that it was made of");
        seen.push(defined.version);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 30, "each has a version of its own");
    let all = hub.definition("etl".parse().unwrap()).await.unwrap().versions;
    assert_eq!(all.len() as u32, all[0].version, "the versions are counted without gaps");
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn long_chains_and_circles_are_refused() {
    let (dispatcher, hub) = dispatcher().await;
    let runs = |other: &str| format!(r#"{{"name": "j", "tasks": [{{"name": "t", "job": "{other}"}}]}}"#);
    // Each step is valid when it is applied, and makes the chain longer.
    for at in 0..100 {
        hub.define(draft(&format!("d{at}"), &text(1))).await.unwrap();
    }
    for at in 0..99 {
        hub.define(draft(&format!("d{at}"), &runs(&format!("d{}", at + 1)))).await.unwrap();
    }
    let start = Submission { text: r#"{"definition": "d0"}"#.into(), id: None };
    assert_eq!(hub.submit(start).await.unwrap_err().kind, RequestErrorKind::InvalidJob);
    // An alias closes a circle.
    hub.define(DefinitionDraft { aliases: vec!["x".into()], ..draft("a", &text(1)) }).await.unwrap();
    hub.define(draft("b", &runs("a@x"))).await.unwrap();
    let circle = hub.define(draft("a", &runs("b"))).await.unwrap();
    let closing = AliasChange { name: "a".into(), alias: "x".into(), version: Some(circle.version) };
    assert!(hub.set_alias(closing).await.unwrap_err().message.contains("runs itself"));
    hub.submit(Submission { text: r#"{"definition": "b"}"#.into(), id: None }).await.unwrap();
    let removed = AliasChange { name: "a".into(), alias: "x".into(), version: None };
    hub.set_alias(removed.clone()).await.unwrap();
    hub.set_alias(removed).await.unwrap();
    dispatcher.stop(Duration::from_secs(5)).await;
}
