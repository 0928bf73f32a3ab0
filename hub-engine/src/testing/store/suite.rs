//! The list of cases, and the function that runs them.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use super::{changes, definitions, listing, random, reading, removal, reopening, schedules};
use crate::store::Store;

/// The location of one store, such as a directory or a database. It is initially empty, and is removed when it is
/// dropped.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Opens the store. A durable store has the previously committed contents. It is opened again only after
    /// [`Store::close`] has returned.
    async fn open(&self) -> Arc<dyn Store>;
}

/// A case of the suite. It panics if the store violates the contract.
pub type Case = fn(&dyn Fixture) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

/// Prints the name of each case and runs it with a new fixture.
///
/// # Panics
/// If a case fails.
pub async fn test_all<F: Fixture>(new_fixture: impl AsyncFn() -> F) {
    for (name, case) in cases() {
        eprintln!("{name}");
        let fixture = new_fixture().await;
        case(&fixture).await;
    }
}

macro_rules! cases {
    ($($subject:ident: $($name:ident),+;)+) => {
        /// All cases and their names.
        #[must_use]
        pub fn cases() -> Vec<(&'static str, Case)> {
            vec![$($((stringify!($name), |fixture| Box::pin($subject::$name(fixture)))),+),+]
        }
    };
}

cases! {
    changes:
        incarnations_are_counted,
        a_job_exists_after_its_commit,
        all_fields_of_a_task_are_stored,
        values_are_stored_unchanged,
        the_last_of_several_changes_counts,
        a_batch_can_be_committed_again,
        paused_pools_are_kept_until_they_are_resumed,
        results_are_kept_until_they_are_removed,
        changes_of_unknown_jobs_have_no_effect;
    random:
        batches_have_the_effect_of_their_changes_one_by_one;
    reading:
        unfinished_jobs_are_loaded_oldest_first,
        jobs_are_found_by_their_tasks_and_keys,
        a_retry_is_added_with_its_kept_tasks_and_items_and_without_its_key,
        parts_contain_the_selected_tasks;
    definitions:
        definitions_are_found_by_version_and_alias,
        definitions_are_listed_in_pages,
        jobs_keep_the_versions_that_they_began_with;
    schedules:
        schedules_are_kept_with_their_states;
    listing:
        listings_come_in_pages,
        listings_are_filtered,
        filters_find_jobs,
        limits_of_pages_are_checked;
    removal:
        the_oldest_finished_jobs_are_pruned,
        sub_jobs_go_with_their_root,
        a_removed_job_leaves_no_rows,
        a_job_removed_and_added_in_one_batch_is_the_new_one;
    reopening:
        a_durable_store_keeps_its_contents_when_closed,
        a_closed_durable_store_refuses_everything;
}
