//! The cases, and how they are run.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use super::{changes, listing, random, reading, removal, reopening};
use crate::store::Store;

/// A place that keeps one store, such as a directory or a database. It is empty at first, and is removed when it is dropped.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Opens the store. If the store is durable, it has what was committed before. It is opened again only after
    /// [`Store::close`] has returned.
    async fn open(&self) -> Arc<dyn Store>;
}

/// A case of the suite. It panics if the store does not keep its promise.
pub type Case = fn(&dyn Fixture) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

/// Runs every case, each with a fixture of its own, and prints its name before.
///
/// # Panics
/// In the first case that fails.
pub async fn test_all<F: Fixture>(new_fixture: impl AsyncFn() -> F) {
    for (name, case) in cases() {
        eprintln!("{name}");
        let fixture = new_fixture().await;
        case(&fixture).await;
    }
}

macro_rules! cases {
    ($($subject:ident: $($name:ident),+;)+) => {
        /// Every case and its name.
        #[must_use]
        pub fn cases() -> Vec<(&'static str, Case)> {
            vec![$($((stringify!($name), |fixture| Box::pin($subject::$name(fixture)))),+),+]
        }
    };
}

cases! {
    changes:
        incarnations_are_counted,
        a_job_is_there_after_its_commit,
        everything_about_a_task_is_kept,
        values_are_kept_to_the_letter,
        the_last_of_several_changes_counts,
        a_batch_can_be_committed_again,
        changes_of_unknown_jobs_change_nothing;
    random:
        batches_have_the_effect_of_their_changes_one_by_one;
    reading:
        unfinished_jobs_are_loaded_oldest_first,
        jobs_are_found_by_their_tasks_and_keys,
        parts_have_what_is_asked_for;
    listing:
        listings_come_in_pages,
        listings_are_filtered,
        limits_of_pages_are_checked;
    removal:
        the_oldest_finished_jobs_are_pruned,
        a_removed_job_leaves_nothing_behind,
        a_job_that_is_removed_and_added_in_one_batch_is_the_new_one;
    reopening:
        a_durable_store_has_everything_after_it_was_closed,
        a_closed_durable_store_refuses_everything;
}
