//! Definitions: makes versions, moves aliases, and finds what jobs refer to.
//!
//! The dispatcher is the only one that changes definitions, and makes one change at a time. So a change is decided by what the store has,
//! and the loop only commits it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_core::Json;
use hub_core::action::Change;
use hub_core::definition::{Definition, Pin, Reference, Which, check_alias, check_name};
use hub_core::job::{Job, Limits};
use tokio::sync::OwnedMutexGuard;

use super::definition_hints::hint;
use super::found::Found;
use super::inputs::Ask;
use super::intake::{MAXIMUM_INLINE_BYTES, check_schema, parser_failed, refusal, schema_warnings};
use super::local::LocalHub;
use crate::clock::wall;
use crate::operations::{
    AliasChange, Defined, DefinitionDraft, DefinitionPage, DefinitionRecord, NamePage, RequestError, RequestErrorKind,
};

/// Where it does not stand in a text, there is no schema to compile.
const SCHEMA_KEY: &str = "schema";
/// Maximum number of aliases that a request moves.
const MAXIMUM_ALIASES: usize = 64;
/// Maximum length of who makes a version, in bytes.
const MAXIMUM_BY: usize = 256;

impl LocalHub {
    /// Makes a version of a definition, unless the newest one has the same text.
    pub(super) async fn define_job(&self, draft: DefinitionDraft) -> Result<Defined, RequestError> {
        let DefinitionDraft { name, text, aliases, by, dry_run } = draft;
        let invalid = |message| RequestError::new(RequestErrorKind::InvalidRequest, message);
        check_name(&name).map_err(invalid)?;
        aliases.iter().try_for_each(|alias| check_alias(alias)).map_err(invalid)?;
        let aliases: BTreeSet<Arc<str>> = aliases.into_iter().collect();
        if aliases.len() > MAXIMUM_ALIASES {
            return Err(invalid(format!("the request has {} aliases, the limit is {MAXIMUM_ALIASES}", aliases.len())));
        }
        if by.as_ref().is_some_and(|by| by.len() > MAXIMUM_BY || by.contains(char::is_control)) {
            return Err(invalid(format!("\"by\" has more than {MAXIMUM_BY} bytes, or control characters")));
        }
        // What the request would change depends on the changes before it, so these are committed first.
        let turn = Arc::clone(&self.intake.defining).lock_owned().await;
        let newest = self.stored_definition(&Reference { name: Arc::clone(&name), which: Which::Newest }).await?;
        let next = newest.as_ref().map_or(Some(1), |newest| newest.pin.version.checked_add(1));
        let next = next.ok_or_else(|| RequestError::new(RequestErrorKind::TooMany, "too many versions"))?;
        let pin = Pin { name: Arc::clone(&name), version: next };
        let definition = Arc::new(Definition { pin, text, created_at: wall(), by: by.map(Into::into) });
        let here = aliases.iter().map(|alias| Which::Alias(Arc::clone(alias))).chain([Which::Newest]).collect();
        let (warnings, is_same) = self.parse_definition(&definition, here, newest.as_ref()).await?;
        let (created, version) = (!is_same, if is_same { next - 1 } else { next });
        let mut changes = Vec::new();
        if created {
            changes.push(Change::DefinitionAdded { definition });
        }
        let mut moved_aliases = BTreeMap::new();
        for alias in aliases {
            let before = Reference { name: Arc::clone(&name), which: Which::Alias(Arc::clone(&alias)) };
            let before = self.stored_definition(&before).await?.map(|before| before.pin.version);
            if before != Some(version) {
                moved_aliases.insert(Arc::clone(&alias), before);
                changes.push(Change::AliasChanged { name: Arc::clone(&name), alias, version: Some(version) });
            }
        }
        if !dry_run && !changes.is_empty() {
            self.commit_definitions(changes, turn).await?;
        }
        Ok(Defined { name, version, created, moved_aliases, warnings })
    }

    /// Lets an alias stand for another version, or removes it. Removing an alias that is not there has no effect.
    pub(super) async fn change_alias(&self, change: AliasChange) -> Result<AliasChange, RequestError> {
        let AliasChange { name, alias, version } = change.clone();
        check_alias(&alias).map_err(|message| RequestError::new(RequestErrorKind::InvalidRequest, message))?;
        let turn = Arc::clone(&self.intake.defining).lock_owned().await;
        let reference = Reference { name: Arc::clone(&name), which: version.map_or(Which::Newest, Which::Version) };
        let Some(found) = self.stored_definition(&reference).await? else {
            return Err(self.unknown_definition(&reference).await);
        };
        if version.is_some() {
            // The alias must not lead from the version back to it.
            self.parse_definition(&found, vec![Which::Alias(Arc::clone(&alias))], None).await?;
        }
        self.commit_definitions(vec![Change::AliasChanged { name, alias, version }], turn).await?;
        Ok(change)
    }

    /// Commits changes of definitions. `turn` ends with the commit, also if the client has gone: until then, the store
    /// does not have what the next change depends on.
    async fn commit_definitions(&self, changes: Vec<Change>, turn: OwnedMutexGuard<()>) -> Result<(), RequestError> {
        self.ask(|answer| Ask::Define(changes, turn, answer)).await.map(drop)
    }

    pub(super) async fn definitions_of(&self, filter: NamePage) -> Result<DefinitionPage, RequestError> {
        let limit = filter.checked_limit()?;
        let page = self.intake.store.definitions(filter.after.as_deref(), limit).await;
        page.map_err(|error| self.intake.store_failed(error))
    }

    pub(super) async fn definition_record(&self, reference: Reference) -> Result<DefinitionRecord, RequestError> {
        let found = self.stored_definition(&reference).await?;
        let Some(found) = found else { return Err(self.unknown_definition(&reference).await) };
        let Pin { name, version } = found.pin.clone();
        let store = &self.intake.store;
        let versions = store.definition_versions(&name, u32::MAX, DefinitionRecord::LISTED).await;
        let versions = versions.map_err(|error| self.intake.store_failed(error))?;
        let own = store.definition_versions(&name, version.saturating_add(1), 1).await;
        let own = own.map_err(|error| self.intake.store_failed(error))?.into_iter().next();
        let Some(summary) = own else { return Err(self.unknown_definition(&reference).await) };
        // It was parsed as a job.
        let job = Json::from_checked(Arc::clone(&found.text));
        Ok(DefinitionRecord { name, summary, versions, job })
    }

    /// The refusal of a reference to a definition that is not there.
    async fn unknown_definition(&self, reference: &Reference) -> RequestError {
        match hint(&*self.intake.store, reference).await {
            Ok(hint) => {
                let message = format!("there is no definition {:?} ({hint})", reference.to_string());
                RequestError::new(RequestErrorKind::NotFound, message)
            }
            Err(error) => self.intake.store_failed(error),
        }
    }

    async fn stored_definition(&self, reference: &Reference) -> Result<Option<Arc<Definition>>, RequestError> {
        let found = self.intake.store.definition(reference).await;
        found.map_err(|error| self.intake.store_failed(error))
    }

    /// Parses the text of a definition, and checks its schema. Returns warnings, and whether the newest version has this text.
    /// `here` are references to the definition that stand for `draft`, in it and in what it refers to.
    async fn parse_definition(
        &self,
        draft: &Arc<Definition>,
        here: Vec<Which>,
        newest: Option<&Arc<Definition>>,
    ) -> Result<(Vec<String>, bool), RequestError> {
        let limits = Limits { is_sub_job: true, ..self.intake.limits.clone() };
        let mut permit = self.intake.room.parse_permit(draft.text.len()).await;
        let mut found = Found::default();
        for which in here {
            let reference = Reference { name: Arc::clone(&draft.pin.name), which };
            found.library().insert(reference, Some(Arc::clone(draft)));
        }
        loop {
            let is_plain = !draft.text.contains(SCHEMA_KEY) && found.bytes() == 0;
            let is_quick = is_plain && draft.text.len() <= MAXIMUM_INLINE_BYTES;
            let (draft, newest, schemas) = (Arc::clone(draft), newest.cloned(), Arc::clone(&self.intake.schemas));
            let (limits, library) = (limits.clone(), found.library());
            let parse = move || {
                Job::parse_definition(&draft.text, &limits, &library).map(|job| {
                    let checked = check_schema(&*schemas, &job).map(|()| {
                        let mut warnings = job.warnings();
                        warnings.extend(schema_warnings(&*schemas, &job));
                        warnings
                    });
                    (checked, newest.is_some_and(|newest| newest.has_text(&draft.text)))
                })
            };
            let parsed = if is_quick {
                parse()
            } else {
                tokio::task::spawn_blocking(parse).await.map_err(|_| parser_failed())?
            };
            match parsed {
                Ok((checked, is_same)) => return Ok((checked.map_err(|problem| refusal(problem.into()))?, is_same)),
                Err(problems) => self.intake.look_up_missing(&mut found, problems, &mut permit).await?,
            }
        }
    }
}
