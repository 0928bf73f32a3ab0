//! The routes of definitions.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use hub_core::definition::Reference;
use serde::Deserialize;

use super::answer::{Refused, Reply, created, with_status};
use super::api::Api;
use super::body;
use super::query::{PathId, Query, parse, read_id};
use crate::operations::{AliasChange, DefinitionDraft, NamePage, Request};
use crate::wire::object;

/// The body of a change of an alias. The path already contains the definition and the alias.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasBody {
    version: u32,
}

/// The name of a definition and an alias in a path.
type AliasPath = Result<Path<(String, String)>, PathRejection>;

pub(super) async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Reply {
    let query = Query::read(query.as_deref(), &["limit", "after"])?;
    let filter = NamePage { limit: query.one("limit")?, after: query.one("after")? };
    api.ask(Request::Definitions { filter }).await
}

pub(super) async fn get(State(api): State<Api>, name: PathId) -> Reply {
    let reference: Reference = read_id("a definition", name)?;
    api.ask(Request::Definition { reference }).await
}

pub(super) async fn put(State(api): State<Api>, name: PathId, RawQuery(query): RawQuery, body: Body) -> Reply {
    let name: String = read_id("a definition", name)?;
    let query = Query::read(query.as_deref(), &["alias", "by", "dry_run"])?;
    let aliases = query.all::<String>("alias")?.into_iter().map(Into::into).collect();
    let (by, dry_run) = (query.one("by")?, query.one("dry_run")?.unwrap_or(false));
    let (bytes, _place) = api.bodies.read(body, api.settings.max_body_bytes).await?.take();
    let text = body::job_text(bytes)?.into();
    let defined = api.hub.define(DefinitionDraft { name: name.into(), text, aliases, by, dry_run }).await?;
    if defined.created && !dry_run {
        return Ok(created(&defined, &format!("/api/v1/definitions/{}", defined.pin())));
    }
    Ok(with_status(StatusCode::OK, &defined))
}

pub(super) async fn set_alias(State(api): State<Api>, path: AliasPath, body: Body) -> Reply {
    let (name, alias) = alias_of(path)?;
    let held = api.bodies.read(body, api.settings.max_body_bytes).await?;
    let AliasBody { version } = object::from_slice(&held.bytes)
        .map_err(|error| Refused::bad(format!("the body is not a version, such as {{\"version\": 7}}: {error}")))?;
    api.ask(Request::Alias { change: AliasChange { name, alias, version: Some(version) } }).await
}

pub(super) async fn remove_alias(State(api): State<Api>, path: AliasPath) -> Reply {
    let (name, alias) = alias_of(path)?;
    api.ask(Request::Alias { change: AliasChange { name, alias, version: None } }).await
}

fn alias_of(path: AliasPath) -> Result<(Arc<str>, Arc<str>), Refused> {
    let Path((name, alias)) = path.map_err(|rejection| Refused::bad(rejection.body_text()))?;
    let name: String = parse("a definition", &name)?;
    Ok((name.into(), alias.into()))
}
