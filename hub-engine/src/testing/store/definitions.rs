//! Definitions, and jobs that refer to them.

use std::sync::Arc;

use hub_core::action::Change;
use hub_core::definition::{Library, Pin, Reference};
use hub_core::job::{Job, Limits};
use hub_core::{JobStatus, Timestamp};

use super::Fixture;
use super::rows::{NOW, alias_changed, commit, definition_added, id, job_added};
use super::steps::{found, ok};
use crate::operations::JobFilter;
use crate::store::Store;

fn added(pin: &str) -> Change {
    with_text(pin, &text_of(pin))
}

fn with_text(pin: &str, text: &str) -> Change {
    let Pin { name, version } = pin.parse().unwrap_or_else(|error| panic!("{error}"));
    definition_added(&name, version, text)
}

/// A job whose name tells the version.
fn text_of(pin: &str) -> String {
    format!("{{\"name\": \"{pin}\", \"tasks\": [{{\"name\": \"a\"}}]}}\n")
}

async fn text(store: &dyn Store, reference: &str) -> Option<String> {
    let reference: Reference = reference.parse().unwrap_or_else(|error| panic!("{error}"));
    ok(store.definition(&reference)).await.map(|definition| definition.text.to_string())
}

pub(super) async fn definitions_are_found_by_version_and_alias(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    commit(&*store, vec![added("b@1"), added("a@1")]).await;
    commit(&*store, vec![added("a@2"), alias_changed("a", "prod", Some(1)), alias_changed("a", "old", Some(1))]).await;
    for (reference, pin) in [("a", Some("a@2")), ("a@1", Some("a@1")), ("a@prod", Some("a@1")), ("b", Some("b@1"))]
        .into_iter()
        .chain([("a@3", None), ("a@stage", None), ("c", None), ("A", None)])
    {
        assert_eq!(text(&*store, reference).await, pin.map(text_of), "{reference}");
    }
    let reference: Reference = "a".parse().unwrap_or_else(|error| panic!("{error}"));
    let kept = found(store.definition(&reference)).await;
    let Change::DefinitionAdded { definition } = added("a@2") else { unreachable!("it is an addition") };
    assert_eq!(*kept, *definition);
    // A version never changes, and the last of several changes of an alias counts.
    let other = with_text("a@2", "{}");
    commit(
        &*store,
        vec![
            other,
            alias_changed("a", "prod", Some(2)),
            alias_changed("a", "prod", None),
            alias_changed("a", "old", Some(2)),
        ],
    )
    .await;
    assert_eq!(text(&*store, "a@2").await, Some(text_of("a@2")));
    assert_eq!((text(&*store, "a@prod").await, text(&*store, "a@old").await), (None, Some(text_of("a@2"))));
}

pub(super) async fn definitions_are_listed_in_pages(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert_eq!(ok(store.definitions(None, 10)).await.definitions, []);
    let names = ["B", "a", "b", "\u{e9}"];
    for name in names.iter().rev() {
        let versions = (1..=3).map(|version| added(&format!("{name}@{version}")));
        commit(&*store, versions.chain([alias_changed(name, "prod", Some(2))]).collect()).await;
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = ok(store.definitions(after.as_deref(), 3)).await;
        listed.extend(page.definitions);
        after = page.next;
        if after.is_none() {
            break;
        }
        assert_eq!(listed.len(), 3);
    }
    assert_eq!(listed.iter().map(|one| &*one.name).collect::<Vec<_>>(), names);
    assert!(listed.iter().all(|one| one.version == 3 && one.created_at == Timestamp::from_millis(3000)));
    assert!(listed.iter().all(|one| one.aliases.get("prod") == Some(&2) && one.by.is_some()));
    let versions = ok(store.definition_versions("a", u32::MAX, 2)).await;
    let shown = |versions: &[hub_core::definition::VersionSummary]| {
        versions.iter().map(|one| (one.version, one.aliases.len())).collect::<Vec<_>>()
    };
    assert_eq!(shown(&versions), [(3, 0), (2, 1)]);
    assert_eq!(shown(&ok(store.definition_versions("a", 2, 9)).await), [(1, 0)]);
    assert_eq!(ok(store.definition_versions("c", u32::MAX, 9)).await, []);
}

pub(super) async fn jobs_keep_the_versions_that_they_began_with(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    commit(&*store, vec![added("a@1"), alias_changed("a", "prod", Some(1))]).await;
    let library = Library::default();
    let texts = [r#"{"definition": "a@prod", "key": "k"}"#, r#"{"name": "j", "tasks": [{"name": "t", "job": "a"}]}"#];
    for reference in ["a", "a@prod"] {
        let reference: Reference = reference.parse().unwrap_or_else(|error| panic!("{error}"));
        library.insert(reference.clone(), ok(store.definition(&reference)).await);
    }
    let parse = |text| Job::parse_with(text, &Limits::default(), &library).unwrap_or_else(|error| panic!("{error}"));
    let jobs = texts.map(|text| Arc::new(parse(text)));
    let sub_job = Arc::clone(jobs[1].spec(0).sub_job().expect("it runs a job").job());
    let added_jobs = vec![job_added(1, jobs[0].clone()), job_added(2, jobs[1].clone()), job_added(3, sub_job)];
    commit(&*store, added_jobs).await;
    // Both have changed since.
    commit(&*store, vec![added("a@2"), alias_changed("a", "prod", None)]).await;
    let check = |kept: &hub_core::state::JobSnapshot, source: &str, definition: Option<&str>| {
        assert_eq!(kept.job.source(), source);
        assert_eq!(kept.job.definition().map(ToString::to_string).as_deref(), definition);
        let inner = kept.job.spec(0).sub_job().map(|sub_job| sub_job.job().name().to_owned());
        assert!(inner.is_none_or(|name| name == "a@1"));
    };
    let first = found(store.get(id(1))).await;
    check(&first, texts[0], Some("a@1"));
    assert_eq!((first.job.name(), first.tasks.len(), first.state.status), ("a@1", 1, JobStatus::Pending));
    assert_eq!(found(store.find_key("k")).await.id, id(1));
    let unfinished = ok(store.load_unfinished()).await;
    assert_eq!(unfinished.len(), 3);
    check(&unfinished[1], texts[1], None);
    check(&unfinished[2], &text_of("a@1"), Some("a@1"));
    for (filter, expected) in [
        ("definition:a", vec![3, 1]),
        ("definition:a@1", vec![3, 1]),
        ("definition:a@2", vec![]),
        ("definition:A", vec![]),
        ("definition:*", vec![3, 1]),
        ("definition:a@*", vec![3, 1]),
        ("-definition:a", vec![2]),
    ] {
        let parsed = filter.parse().unwrap_or_else(|error| panic!("{error}"));
        let filter_of_jobs = JobFilter { filter: Some(parsed), ..JobFilter::default() };
        let page = ok(store.list(&filter_of_jobs, NOW)).await;
        let found: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
        assert_eq!(found, expected.into_iter().map(id).collect::<Vec<_>>(), "{filter}");
    }
}
