//! Definitions in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::definition::{Definition, Pin, Reference, VersionSummary, Which};

use crate::operations::{DefinitionPage, DefinitionSummary};

/// The definitions of a store in memory.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    /// The versions by name and number.
    versions: BTreeMap<Arc<str>, BTreeMap<u32, Arc<Definition>>>,
    /// The versions that aliases stand for, by name of the definition.
    aliases: BTreeMap<Arc<str>, BTreeMap<Arc<str>, u32>>,
}

impl Definitions {
    pub(super) fn add(&mut self, definition: &Arc<Definition>) {
        let Pin { name, version } = &definition.pin;
        // A version never changes.
        let known = self.versions.entry(Arc::clone(name)).or_default().entry(*version);
        known.or_insert_with(|| Arc::clone(definition));
    }

    pub(super) fn set_alias(&mut self, name: &Arc<str>, alias: &Arc<str>, version: Option<u32>) {
        let aliases = self.aliases.entry(Arc::clone(name)).or_default();
        match version {
            Some(version) => {
                aliases.insert(Arc::clone(alias), version);
            }
            None => drop(aliases.remove(alias)),
        }
    }

    pub(super) fn find(&self, reference: &Reference) -> Option<Arc<Definition>> {
        let versions = self.versions.get(&reference.name)?;
        let version = match &reference.which {
            Which::Newest => *versions.keys().next_back()?,
            Which::Version(version) => *version,
            Which::Alias(alias) => *self.aliases.get(&reference.name)?.get(alias)?,
        };
        versions.get(&version).cloned()
    }

    pub(super) fn versions(&self, name: &str, before: u32, limit: usize) -> Vec<VersionSummary> {
        let Some(versions) = self.versions.get(name) else { return Vec::new() };
        let newest_first = versions.range(..before).rev().take(limit);
        newest_first.map(|(_, version)| self.summary(version)).collect()
    }

    pub(super) fn page(&self, after: Option<&str>, limit: usize) -> DefinitionPage {
        let is_later = |name: &str| after.is_none_or(|after| name > after);
        let mut later = self.versions.iter().filter(|(name, _)| is_later(name));
        let summaries = later.by_ref().take(limit).filter_map(|(name, versions)| {
            let (version, newest) = versions.last_key_value()?;
            let aliases = self.aliases.get(name).cloned().unwrap_or_default();
            let (created_at, by) = (newest.created_at, newest.by.clone());
            Some(DefinitionSummary { name: Arc::clone(name), version: *version, created_at, by, aliases })
        });
        let definitions: Vec<DefinitionSummary> = summaries.collect();
        let next = later.next().and(definitions.last()).map(|last| last.name.to_string());
        DefinitionPage { definitions, next }
    }

    fn summary(&self, definition: &Definition) -> VersionSummary {
        let Pin { name, version } = &definition.pin;
        let all = self.aliases.get(name).into_iter().flatten();
        let aliases = all.filter(|(_, known)| *known == version).map(|(alias, _)| Arc::clone(alias)).collect();
        let (created_at, by) = (definition.created_at, definition.by.clone());
        VersionSummary { version: *version, created_at, by, aliases }
    }
}
