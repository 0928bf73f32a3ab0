//! Rules for names of definitions and aliases. Each rule returns the message of a violation.

/// Maximum length of the name of a definition or of an alias in bytes.
pub const MAXIMUM_NAME_BYTES: usize = 128;

/// The name of a definition. It can stand in a path of the HTTP API, in a file name and before an `@`.
///
/// # Errors
/// What a name is, if this is none.
pub fn name(text: &str) -> Result<(), String> {
    if is_name(text) {
        return Ok(());
    }
    Err(format!(
        "the name of a definition has 1 to {MAXIMUM_NAME_BYTES} bytes: letters, digits, \".\", \"_\" and \"-\", and begins with a letter or a digit"
    ))
}

/// An alias. It begins with a letter, so that it is no number of a version.
///
/// # Errors
/// What an alias is, if this is none.
pub fn alias(text: &str) -> Result<(), String> {
    if is_name(text) && text.starts_with(char::is_alphabetic) {
        return Ok(());
    }
    Err(format!(
        "an alias has 1 to {MAXIMUM_NAME_BYTES} bytes: letters, digits, \".\", \"_\" and \"-\", and begins with a letter"
    ))
}

fn is_name(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-');
    text.len() <= MAXIMUM_NAME_BYTES && text.chars().all(is_plain) && text.starts_with(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_stand_in_paths_and_before_an_at_sign() {
        for good in ["etl", "7", "nightly-etl_v2.1", "größe", "日次", &"a".repeat(128)] {
            assert_eq!(name(good), Ok(()), "{good:?}");
        }
        for bad in ["", "a b", "a/b", "a@b", ".hidden", "..", "-x", "_x", "a\n", "a?b", &"a".repeat(129)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn aliases_are_no_numbers() {
        for good in ["prod", "v2", "größe"] {
            assert_eq!(alias(good), Ok(()), "{good:?}");
        }
        for bad in ["", "7", "2nd", "a@b", "-prod"] {
            assert!(alias(bad).is_err(), "{bad:?}");
        }
    }
}
