//! The filter language of listings.
//!
//! A filter is a list of terms separated by blanks, and a job matches if it matches each of them:
//!
//! ```text
//! status:failed,cancelled label.team=data name:etl* task:load error:TimeoutError started>-24h -label.env:test
//! ```

mod error;
mod matching;
mod parse;
mod pattern;
mod terms;

pub use error::FilterError;
pub use pattern::Pattern;
pub use terms::{Condition, Filter, Relation, Term, TextField, TimeField, When};
