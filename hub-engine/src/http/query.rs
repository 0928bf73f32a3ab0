//! The query parameters of a request.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;

use hub_core::text::beginning;

use super::answer::Refused;

/// Maximum length of a refused value in a message, in bytes.
const MAXIMUM_SHOWN: usize = 200;

/// The query parameters. Unknown ones are refused, because a misspelt filter would be ignored.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses a query.
    ///
    /// # Errors
    /// If it has a parameter that is not in `known`.
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Refused> {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned();
        let pairs: Vec<(String, String)> = pairs.collect();
        match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                Err(Refused::bad(format!("unknown parameter {name:?}; known parameters: {}", known.join(", "))))
            }
            None => Ok(Self(pairs)),
        }
    }

    /// All values of a parameter in order.
    pub(super) fn all<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Vec<T>, Refused> {
        let values = self.0.iter().filter(|(key, _)| key == name);
        values.map(|(_, value)| parse(name, value)).collect()
    }

    /// The value of a parameter that must not be repeated.
    pub(super) fn one<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Refused> {
        let mut values = self.all(name)?;
        let value = values.pop();
        if values.is_empty() { Ok(value) } else { Err(Refused::bad(format!("{name} must not be repeated"))) }
    }
}

/// Parses `text`, the value of `name`.
pub(super) fn parse<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, Refused> {
    text.parse()
        .map_err(|error| Refused::bad(format!("{name} cannot be {:?}: {error}", beginning(text, MAXIMUM_SHOWN))))
}

/// The id in a path, if it is text.
pub(super) type PathId = Result<Path<String>, PathRejection>;

/// Parses the id in a path.
pub(super) fn read_id<T: FromStr<Err: Display>>(what: &str, id: PathId) -> Result<T, Refused> {
    let Path(text) = id.map_err(|rejection| Refused::bad(rejection.body_text()))?;
    parse(what, &text)
}
