//! Helpers that unwrap the results of a store.

use crate::store::StoreError;

/// The result of an operation that must succeed.
pub(super) async fn ok<T>(answer: impl Future<Output = Result<T, StoreError>>) -> T {
    answer.await.unwrap_or_else(|error| panic!("the store fails: {error} ({error:?})"))
}

/// The result of an operation that must succeed and find something.
pub(super) async fn found<T>(answer: impl Future<Output = Result<Option<T>, StoreError>>) -> T {
    ok(answer).await.expect("the store does not have this")
}
