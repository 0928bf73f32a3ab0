//! Texts with wildcards.

/// A text in which `*` stands for any characters, also for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The texts between the wildcards. One part: no wildcard.
    parts: Vec<String>,
}

impl Pattern {
    /// A pattern of the texts between its wildcards.
    pub(super) const fn new(parts: Vec<String>) -> Self {
        Self { parts }
    }

    /// The pattern of the texts between its wildcards, at least one.
    #[must_use]
    pub fn of_parts<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        Self { parts: parts.map(str::to_owned).collect() }
    }

    /// The pattern that only this text matches.
    #[must_use]
    pub fn exactly(text: &str) -> Self {
        Self { parts: vec![text.to_owned()] }
    }

    /// The text, if there is no wildcard.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [text] => Some(text),
            _ => None,
        }
    }

    /// The texts between its wildcards.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Whether a text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else { return self.exact() == Some(text) };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        // The first place of each part leaves the most for those behind it.
        for part in middle {
            let Some(at) = rest.find(part.as_str()) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.len() >= last.len() && rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text.split('*').map(str::to_owned).collect())
    }

    #[test]
    fn wildcards_stand_for_any_characters() {
        for (text, yes, no) in [
            ("etl", &["etl"][..], &["etl2", "ETL", ""][..]),
            ("etl*", &["etl", "etl-nightly"], &["an etl", "et"]),
            ("*load", &["load", "download"], &["loads"]),
            ("a*b*c", &["abc", "a-b-b-c", "abcbc"], &["acb", "ab"]),
            ("*", &["", "anything"], &[]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("*ü*", &["über", "ü"], &["u"]),
        ] {
            assert!(yes.iter().all(|word| pattern(text).matches(word)), "{text}");
            assert!(no.iter().all(|word| !pattern(text).matches(word)), "{text}");
        }
    }
}
