//! The rows of definitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::definition::{Definition, Library, Pin, Pins, Reference, VersionSummary, Which};
use hub_engine::operations::{DefinitionPage, DefinitionSummary};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::rows::{millis, text, time};

/// Inserts a version, unless it exists.
pub(super) fn add(transaction: &Transaction<'_>, definition: &Definition) -> rusqlite::Result<()> {
    let Definition { pin: Pin { name, version }, text, created_at, by } = definition;
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO definitions (name, version, created_at, made_by, document) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![name, version, millis(*created_at), by, text])
        .map(drop)
}

/// Lets an alias stand for another version, or removes it.
pub(super) fn set_alias(
    transaction: &Transaction<'_>,
    name: &str,
    alias: &str,
    version: Option<u32>,
) -> rusqlite::Result<()> {
    match version {
        Some(version) => transaction
            .prepare_cached("REPLACE INTO aliases (name, alias, version) VALUES (?1, ?2, ?3)")?
            .execute(params![name, alias, version]),
        None => transaction
            .prepare_cached("DELETE FROM aliases WHERE name = ?1 AND alias = ?2")?
            .execute(params![name, alias]),
    }
    .map(drop)
}

/// What a reference stands for.
pub(super) fn find(connection: &Connection, reference: &Reference) -> rusqlite::Result<Option<Arc<Definition>>> {
    let columns = "SELECT name, version, created_at, made_by, document FROM definitions WHERE name = ?1";
    let found = |condition: &str, values: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(&format!("{columns} AND {condition}"))?.query_row(values, read).optional()
    };
    let name = &reference.name;
    match &reference.which {
        Which::Newest => found("version = (SELECT max(version) FROM definitions WHERE name = ?1)", &[name]),
        Which::Version(version) => found("version = ?2", &[name, version]),
        Which::Alias(alias) => {
            found("version = (SELECT version FROM aliases WHERE name = ?1 AND alias = ?2)", &[name, alias])
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Arc<Definition>> {
    Ok(Arc::new(Definition {
        pin: Pin { name: row.get::<_, String>(0)?.into(), version: row.get(1)? },
        created_at: time(row, 2)?.unwrap_or_default(),
        by: text(row, 3)?,
        text: text(row, 4)?.unwrap_or_default(),
    }))
}

/// The versions of a definition with numbers below `before`, newest first.
pub(super) fn versions(
    connection: &Connection,
    name: &str,
    before: u32,
    limit: usize,
) -> rusqlite::Result<Vec<VersionSummary>> {
    let aliases = aliases(connection, name)?;
    let mut statement = connection.prepare_cached(
        "SELECT version, created_at, made_by FROM definitions WHERE name = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3",
    )?;
    let read = |row: &Row<'_>| {
        let version = row.get(0)?;
        Ok(VersionSummary {
            version,
            created_at: time(row, 1)?.unwrap_or_default(),
            by: text(row, 2)?,
            aliases: aliases
                .iter()
                .filter(|(_, known)| **known == version)
                .map(|(alias, _)| Arc::clone(alias))
                .collect(),
        })
    };
    statement.query_map(params![name, before, rows(limit)], read)?.collect()
}

/// The definitions with names after `after`, by name.
pub(super) fn page(connection: &mut Connection, after: Option<&str>, limit: usize) -> rusqlite::Result<DefinitionPage> {
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare_cached(
        "SELECT name, version, created_at, made_by FROM definitions AS one
         WHERE (?1 IS NULL OR name > ?1) AND version = (SELECT max(version) FROM definitions WHERE name = one.name)
         ORDER BY name LIMIT ?2",
    )?;
    let read = |row: &Row<'_>| {
        let name: Arc<str> = row.get::<_, String>(0)?.into();
        let aliases = aliases(&transaction, &name)?;
        let (version, created_at, by) = (row.get(1)?, time(row, 2)?.unwrap_or_default(), text(row, 3)?);
        Ok(DefinitionSummary { name, version, created_at, by, aliases })
    };
    let found = statement.query_map(params![after, rows(limit.saturating_add(1))], read)?;
    let mut definitions = found.collect::<rusqlite::Result<Vec<_>>>()?;
    let has_more = definitions.len() > limit;
    definitions.truncate(limit);
    let next = definitions.last().filter(|_| has_more).map(|last| last.name.to_string());
    Ok(DefinitionPage { definitions, next })
}

/// The versions that the aliases of a definition stand for.
fn aliases(connection: &Connection, name: &str) -> rusqlite::Result<BTreeMap<Arc<str>, u32>> {
    let mut statement = connection.prepare_cached("SELECT alias, version FROM aliases WHERE name = ?1")?;
    statement.query_map([name], |row| Ok((row.get::<_, String>(0)?.into(), row.get(1)?)))?.collect()
}

/// The definitions that a job referred to when it was accepted.
pub(super) fn library(connection: &Connection, pins: &Pins) -> rusqlite::Result<Library> {
    let library = Library::default();
    for (reference, Pin { name, version }) in &pins.references {
        let pinned = Reference { name: Arc::clone(name), which: Which::Version(*version) };
        library.insert(reference.clone(), find(connection, &pinned)?);
    }
    Ok(library)
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
