//! Definitions of jobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::definition::{Pin, VersionSummary};
use hub_core::{Json, Timestamp};
use serde::{Deserialize, Serialize};

/// A request to make a version of a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefinitionDraft {
    /// The name of the definition.
    pub name: Arc<str>,
    /// The text of the job.
    pub text: Arc<str>,
    /// Aliases that stand for this version from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Arc<str>>,
    /// Who makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether nothing is changed: the answer says what would be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What became of a [`DefinitionDraft`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defined {
    /// The name of the definition.
    pub name: Arc<str>,
    /// The version with the text.
    pub version: u32,
    /// Whether the version is new. Otherwise the newest version has this text already.
    pub created: bool,
    /// The aliases of the request that stood for another version before, with that version, or for none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub moved_aliases: BTreeMap<Arc<str>, Option<u32>>,
    /// What the author may not expect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A request to let an alias stand for another version, or to remove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AliasChange {
    /// The name of the definition.
    pub name: Arc<str>,
    /// The alias.
    pub alias: Arc<str>,
    /// The number of the version. Absent: the alias is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// A page of definitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionPage {
    /// The definitions, by name.
    pub definitions: Vec<DefinitionSummary>,
    /// The cursor for [`NamePage::after`](super::NamePage::after) of the next page. Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A definition in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionSummary {
    /// Its name.
    pub name: Arc<str>,
    /// The number of its newest version.
    pub version: u32,
    /// When its newest version was made.
    #[serde(with = "hub_core::time::rfc3339")]
    pub created_at: Timestamp,
    /// Who made it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
    /// The versions that its aliases stand for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<Arc<str>, u32>,
}

/// One version of a definition with its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DefinitionRecord {
    /// The name of the definition.
    pub name: Arc<str>,
    /// The version.
    #[serde(flatten)]
    pub summary: VersionSummary,
    /// The versions of the definition, newest first, at most [`DefinitionRecord::LISTED`].
    pub versions: Vec<VersionSummary>,
    /// The job.
    pub job: Json,
}

impl DefinitionRecord {
    /// Maximum number of versions in a record.
    pub const LISTED: usize = 1000;
}

impl Defined {
    /// The version as a reference.
    #[must_use]
    pub fn pin(&self) -> Pin {
        Pin { name: Arc::clone(&self.name), version: self.version }
    }
}
