//! Texts of the user in messages.

/// Maximum number of characters that are quoted of a user's text.
const LONGEST: usize = 80;

/// A text of the user in quotation marks, control characters escaped, cut short where it is long: a message
/// stays readable whatever was sent.
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
