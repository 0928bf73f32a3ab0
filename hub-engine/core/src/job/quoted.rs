//! Quotes user text in messages.

/// Maximum number of quoted characters.
const LONGEST: usize = 80;

/// Puts a text in quotation marks, escapes control characters, and truncates a long text, so that messages stay
/// readable.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_cut_between_characters() {
        assert_eq!(quoted("a\n"), r#""a\n""#);
        assert_eq!(quoted(&"ß".repeat(500)).chars().count(), LONGEST + 3);
    }
}
