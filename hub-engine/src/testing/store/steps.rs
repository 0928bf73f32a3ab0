//! Questions to a store that has to answer.

use crate::store::StoreError;

/// The answer of a store that works.
pub(super) async fn ok<T>(answer: impl Future<Output = Result<T, StoreError>>) -> T {
    answer.await.unwrap_or_else(|error| panic!("the store fails: {error} ({error:?})"))
}

/// The answer of a store that works and has what is asked for.
pub(super) async fn found<T>(answer: impl Future<Output = Result<Option<T>, StoreError>>) -> T {
    ok(answer).await.expect("the store does not have this")
}
