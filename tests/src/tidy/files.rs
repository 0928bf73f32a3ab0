//! The files that the rules are checked on.

use std::collections::BTreeMap;

/// The text of each file, by its path relative to the project's directory.
pub type Files = BTreeMap<String, String>;
