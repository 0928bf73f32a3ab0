//! JSON Schemas of inputs.
//!
//! Schemas come from users, so a schema can be hostile: a text of a few hundred bytes can describe work that takes
//! years. `graph` refuses what cannot be bounded, and counts the steps of a comparison before it is made.

mod check;
mod graph;
mod schema_error;
mod validator;

pub(crate) use check::SchemaCheck;
