//! What may be meant by a reference to a definition that is not there.

use hub_core::definition::{Reference, Which};
use hub_core::job::nearest;

use crate::store::{Store, StoreError};

/// Maximum number of definitions or versions that are looked at.
const MAXIMUM_NAMES: usize = 1000;
/// Maximum number of aliases that are named.
const MAXIMUM_ALIASES: usize = 10;

/// What may be meant by this reference, or what to do.
///
/// # Errors
/// If the store cannot be read.
pub(super) async fn hint(store: &dyn Store, reference: &Reference) -> Result<String, StoreError> {
    let name = &*reference.name;
    let versions = store.definition_versions(name, u32::MAX, MAXIMUM_NAMES).await?;
    let Some(newest) = versions.first().map(|newest| newest.version) else {
        let known = store.definitions(None, MAXIMUM_NAMES).await?.definitions;
        return Ok(match nearest(name, known.iter().map(|known| &*known.name)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "define it first: hub-client definitions apply FILE".to_owned(),
        });
    };
    if !matches!(reference.which, Which::Alias(_)) {
        return Ok(format!("its newest version is {name}@{newest}"));
    }
    let aliases = versions.iter().flat_map(|version| &version.aliases).take(MAXIMUM_ALIASES);
    let aliases: Vec<&str> = aliases.map(|alias| &**alias).collect();
    Ok(if aliases.is_empty() {
        format!("{name} has no aliases: hub-client definitions alias {name} ALIAS {newest}")
    } else {
        format!("the aliases of {name} are {}", aliases.join(", "))
    })
}
