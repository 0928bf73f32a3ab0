//! Why a schema is refused.

/// Why a schema is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemaError {
    /// The place in the schema, a JSON pointer.
    pub(crate) pointer: String,
    pub(crate) message: String,
}
