//! Rules for names, pools and priorities. Each rule returns the message of a violation.

/// Maximum length of a name in bytes.
pub(super) const MAX_NAME_BYTES: usize = 255;
/// Maximum length of a pool's name in bytes. It becomes part of queue names.
pub(super) const MAX_POOL_BYTES: usize = 100;
/// Maximum priority. The minimum is its negative.
pub(super) const MAX_PRIORITY: i32 = 1000;

/// Maximum number of labels of a job.
pub const MAX_LABELS: usize = 64;
/// Maximum size of an input schema in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// Maximum length of a label's name in bytes.
pub(super) const MAX_LABEL_NAME_BYTES: usize = 63;
/// Characters that mean something else in a filter.
pub(super) const NOT_IN_LABEL_NAMES: &str = "\":=<>*!";

/// A name of any kind. The message begins with `what`.
pub(super) fn name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("{what} must not be empty"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("{what} has {} bytes, the limit is {MAX_NAME_BYTES}", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("{what} must not contain control characters"));
    }
    Ok(())
}

/// The name of a task.
pub(super) fn task_name(text: &str) -> Result<(), String> {
    name("a task's name", text)?;
    if text.contains('.') {
        return Err("a task's name must not contain a dot: in references, a dot ends the name".to_owned());
    }
    Ok(())
}

/// The name of a task module: a file name without its extension. It must not lead out of the directory of modules.
pub(super) fn module(text: &str) -> Result<(), String> {
    name("a task module's name", text)?;
    if text.contains(['/', '\\']) || text.starts_with('.') {
        return Err("a task module's name must not contain a path separator or begin with a dot".to_owned());
    }
    Ok(())
}

/// The name of a pool.
pub fn pool(text: &str) -> Result<(), String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if plain && (1..=MAX_POOL_BYTES).contains(&text.len()) {
        return Ok(());
    }
    Err(format!("a pool's name has 1 to {MAX_POOL_BYTES} characters out of A-Z, a-z, 0-9, \".\", \"_\" and \"-\""))
}

/// The name of a label. It can stand in a filter without quotation marks.
pub(crate) fn label_name(text: &str) -> Result<(), String> {
    let is_plain =
        |letter: char| !letter.is_whitespace() && !letter.is_control() && !NOT_IN_LABEL_NAMES.contains(letter);
    if !text.is_empty() && text.len() <= MAX_LABEL_NAME_BYTES && text.chars().all(is_plain) {
        return Ok(());
    }
    Err(format!(
        "a label's name has 1 to {MAX_LABEL_NAME_BYTES} bytes, without blanks, control characters, quotation marks and any of \
         : = < > * !"
    ))
}

/// The value of a label. The empty text is one.
pub(super) fn label_value(text: &str) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { name("the value of a label", text) }
}

/// A priority, from the digits of a whole number.
///
/// # Errors
/// What a priority is, if this is none.
pub fn priority(digits: &str) -> Result<i32, String> {
    let range = -MAX_PRIORITY..=MAX_PRIORITY;
    let priority = digits.parse().ok().filter(|priority| range.contains(priority));
    priority.ok_or_else(|| format!("a priority is a whole number from {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_length_and_are_printable() {
        assert!(task_name(&"a".repeat(255)).is_ok());
        assert!(task_name(&"a".repeat(256)).is_err());
        assert!(task_name("with space, ünïcode and_underscores").is_ok());
        for bad in ["", "a.b", "a\u{0}", "a\u{7f}", "\n"] {
            assert!(task_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn modules_stay_in_their_directory() {
        for bad in [".", "..", "../add", "a/b", "a\\b", "/etc/passwd", ".hidden", "a\0b", ""] {
            assert!(module(bad).is_err(), "{bad:?}");
        }
        assert!(module("add").is_ok());
        assert!(module("report.v2").is_ok());
    }

    #[test]
    fn pools_can_be_parts_of_queue_names() {
        assert!(pool("gpu-1.large_A").is_ok());
        assert!(pool(&"p".repeat(100)).is_ok());
        for bad in ["", "a b", "ä", "a/b", &"p".repeat(101)] {
            assert!(pool(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_of_labels_can_stand_in_filters() {
        for good in ["team", "app.example.com/owner", "größe", &"a".repeat(63)] {
            assert!(label_name(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a b", "a:b", "a=b", "a<b", "a*", "a!", "a\"b", "a\nb", "a\u{a0}b", &"a".repeat(64)] {
            assert!(label_name(bad).is_err(), "{bad:?}");
        }
        assert!(label_value("").is_ok() && label_value("two words").is_ok() && label_value(&"a".repeat(255)).is_ok());
        assert!(label_value("a\nb").is_err() && label_value(&"a".repeat(256)).is_err());
    }

    #[test]
    fn priorities_have_a_range() {
        assert_eq!(priority("-1000"), Ok(-1000));
        assert_eq!(priority("1000"), Ok(1000));
        assert_eq!(priority("-0"), Ok(0));
        for bad in ["1001", "-1001", "99999999999999999999"] {
            assert!(priority(bad).is_err(), "{bad}");
        }
    }
}
