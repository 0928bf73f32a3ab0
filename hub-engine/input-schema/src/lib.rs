//! JSON Schemas of inputs.
//!
//! Schemas come from users, so a schema can be hostile: a text of a few hundred bytes can describe work that takes
//! years. `graph` refuses what cannot be bounded, and counts the steps of a comparison before it is made.
//!
//! This is a crate because the library for JSON Schemas takes a fifth of the time of a build, and few jobs of a new user have a schema:
//! see the feature `input-schema` of `hub-bin`.

mod check;
mod graph;
mod validator;

pub use check::SchemaCheck;
