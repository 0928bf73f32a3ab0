//! Compares tokens.

/// Whether `given` equals `wanted`, in constant time with respect to where they differ.
pub(super) fn is_right(given: &str, wanted: &str) -> bool {
    let (given, wanted) = (given.as_bytes(), wanted.as_bytes());
    let longest = given.len().max(wanted.len());
    let byte = |text: &[u8], at: usize| text.get(at).copied().unwrap_or(0);
    let differing = (0..longest)
        .fold(given.len() ^ wanted.len(), |differing, at| differing | usize::from(byte(given, at) ^ byte(wanted, at)));
    std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::is_right;

    #[test]
    fn only_the_complete_token_is_right() {
        assert!(is_right("secret", "secret"));
        for wrong in ["", "secre", "secrets", "Secret", "secret\0"] {
            assert!(!is_right(wrong, "secret"), "{wrong:?}");
        }
    }
}
