//! Why a template cannot be filled.

use std::fmt;

use super::limits::Limits;
use super::walk::ResolveError;
use crate::Json;

/// Why a template cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FillError {
    /// A path leads to no value.
    Missing(ResolveError),
    /// The result would exceed the limit.
    TooLarge {
        /// The size of the result in bytes.
        bytes: u64,
        /// The maximum size in bytes.
        limit: usize,
    },
    /// The result would be nested more than [`Json::MAX_DEPTH`] levels deep.
    TooDeep,
}

impl fmt::Display for FillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(missing) => missing.fmt(f),
            Self::TooLarge { bytes, limit } => {
                let name = Limits::VALUE_BYTES;
                write!(f, "{bytes} bytes once the references are replaced, the limit {name} is {limit}")
            }
            Self::TooDeep => {
                write!(f, "nested more than {} levels deep once the references are replaced", Json::MAX_DEPTH)
            }
        }
    }
}

impl std::error::Error for FillError {}
