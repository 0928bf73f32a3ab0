//! Definitions: makes versions, moves aliases, and finds what jobs refer to.
//!
//! The dispatcher is the only one that changes definitions, and makes one change at a time. So a change is decided by what the store has,
//! and the loop only commits it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_core::Json;
use hub_core::action::Change;
use hub_core::definition::{Definition, Pin, Reference, Which, check_alias, check_name};
use hub_core::job::{Job, Limits};

use super::found::Found;
use super::inputs::Ask;
use super::intake::{parser_failed, refusal};
use super::local::LocalHub;
use super::room::ParsePermit;
use crate::clock::wall;
use crate::operations::{
    AliasChange, Defined, DefinitionDraft, DefinitionFilter, DefinitionPage, DefinitionRecord, RequestError,
    RequestErrorKind,
};

/// Maximum length of who makes a version, in bytes.
const MAXIMUM_BY: usize = 256;

impl LocalHub {
    /// Makes a version of a definition, unless the newest one has the same text.
    pub(super) async fn define_job(&self, draft: DefinitionDraft) -> Result<Defined, RequestError> {
        let DefinitionDraft { name, text, aliases, by, dry_run } = draft;
        let invalid = |message| RequestError::new(RequestErrorKind::InvalidRequest, message);
        check_name(&name).map_err(invalid)?;
        aliases.iter().try_for_each(|alias| check_alias(alias)).map_err(invalid)?;
        if by.as_ref().is_some_and(|by| by.len() > MAXIMUM_BY) {
            return Err(invalid(format!("\"by\" has more than {MAXIMUM_BY} bytes")));
        }
        let mut permit = self.intake.room.parse_permit(text.len()).await;
        let _turn = self.intake.defining.lock().await;
        let newest = self.stored_definition(&Reference { name: Arc::clone(&name), which: Which::Newest }).await?;
        let same = newest.as_ref().filter(|newest| newest.has_text(&text));
        let created = same.is_none();
        let version = newest.as_ref().map_or(Some(1), |newest| newest.pin.version.checked_add(u32::from(created)));
        let version = version.ok_or_else(|| RequestError::new(RequestErrorKind::TooMany, "too many versions"))?;
        let pin = Pin { name: Arc::clone(&name), version };
        let definition = Arc::new(Definition { pin, text, created_at: wall(), by: by.map(Into::into) });
        let warnings = self.parse_definition(&definition, &aliases, &mut permit).await?.warnings();
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
            self.ask(|answer| Ask::Define(changes, answer)).await?;
        }
        Ok(Defined { name, version, created, moved_aliases, warnings })
    }

    /// Lets an alias stand for another version, or removes it.
    pub(super) async fn change_alias(&self, change: AliasChange) -> Result<AliasChange, RequestError> {
        let AliasChange { name, alias, version } = change.clone();
        check_alias(&alias).map_err(|message| RequestError::new(RequestErrorKind::InvalidRequest, message))?;
        let _turn = self.intake.defining.lock().await;
        let which = version.map_or_else(|| Which::Alias(Arc::clone(&alias)), Which::Version);
        let reference = Reference { name: Arc::clone(&name), which };
        if self.stored_definition(&reference).await?.is_none() {
            return Err(RequestError::unknown_definition(&reference));
        }
        let changes = vec![Change::AliasChanged { name, alias, version }];
        self.ask(|answer| Ask::Define(changes, answer)).await?;
        Ok(change)
    }

    pub(super) async fn definitions_of(&self, filter: DefinitionFilter) -> Result<DefinitionPage, RequestError> {
        let limit = filter.checked_limit()?;
        let page = self.intake.store.definitions(filter.after.as_deref(), limit).await;
        page.map_err(|error| self.intake.store_failed(error))
    }

    pub(super) async fn definition_record(&self, reference: Reference) -> Result<DefinitionRecord, RequestError> {
        let found = self.stored_definition(&reference).await?;
        let found = found.ok_or_else(|| RequestError::unknown_definition(&reference))?;
        let Pin { name, version } = found.pin.clone();
        let store = &self.intake.store;
        let versions = store.definition_versions(&name, u32::MAX, DefinitionRecord::LISTED).await;
        let versions = versions.map_err(|error| self.intake.store_failed(error))?;
        let own = store.definition_versions(&name, version.saturating_add(1), 1).await;
        let own = own.map_err(|error| self.intake.store_failed(error))?.into_iter().next();
        let summary = own.ok_or_else(|| RequestError::unknown_definition(&reference))?;
        // It was parsed as a job.
        let job = Json::from_checked(Arc::clone(&found.text));
        Ok(DefinitionRecord { name, summary, versions, job })
    }

    async fn stored_definition(&self, reference: &Reference) -> Result<Option<Arc<Definition>>, RequestError> {
        let found = self.intake.store.definition(reference).await;
        found.map_err(|error| self.intake.store_failed(error))
    }
}

impl LocalHub {
    /// Parses the text of a definition, and checks its schema. `draft` is what its references to itself stand for.
    async fn parse_definition(
        &self,
        draft: &Arc<Definition>,
        aliases: &[Arc<str>],
        permit: &mut ParsePermit,
    ) -> Result<Job, RequestError> {
        let limits = Limits { is_sub_job: true, ..self.intake.limits.clone() };
        let mut found = Found::default();
        let aliases = aliases.iter().map(|alias| Which::Alias(Arc::clone(alias)));
        for which in aliases.chain([Which::Newest]) {
            let reference = Reference { name: Arc::clone(&draft.pin.name), which };
            found.library().insert(reference, Some(Arc::clone(draft)));
        }
        loop {
            let (draft, limits, library) = (Arc::clone(draft), limits.clone(), found.library());
            let parse = move || Job::parse_definition(&draft.text, &limits, &library);
            let parsed = tokio::task::spawn_blocking(parse).await.map_err(|_| parser_failed())?;
            match parsed {
                Ok(job) => {
                    self.intake.check_schema(&job).map_err(|problem| refusal(problem.into()))?;
                    return Ok(job);
                }
                Err(problems) => self.intake.look_up_missing(&mut found, problems, permit).await?,
            }
        }
    }
}
