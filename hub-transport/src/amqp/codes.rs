//! Converts the reply codes of AMQP 0-9-1 to kinds of errors.

use crate::ErrorKind;

/// The kind of error of a reply code. If a code has several meanings, the text decides.
pub fn kind_of_code(code: u16, text: &str) -> ErrorKind {
    match code {
        311 => ErrorKind::TooLarge,
        406 if size_limit(text).is_some() => ErrorKind::TooLarge,
        // The queue exists on an unavailable node of the cluster, which may return.
        404 if text.contains("down or inaccessible") => ErrorKind::Unreachable,
        404 => ErrorKind::NotFound,
        // Another client consumes the queue exclusively.
        403 if text.contains("exclusive use") => ErrorKind::InUse,
        403 => ErrorKind::AccessRefused,
        405 => ErrorKind::InUse,
        406 => ErrorKind::Conflict,
        // RabbitMQ uses this code both for a missing virtual host and for one that the user may not access.
        402 => ErrorKind::NotFound,
        530 if text.contains("not found") => ErrorKind::NotFound,
        530 => ErrorKind::AccessRefused,
        320 | 541 => ErrorKind::Unreachable,
        _ => ErrorKind::Protocol,
    }
}

/// The broker's limit for the size of a message, if `text` reports that a message exceeded it.
pub fn size_limit(text: &str) -> Option<usize> {
    let (_, after) = text.split_once("larger than")?;
    let digits: String =
        after.chars().skip_while(|one| !one.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The name of the queue in the broker's reason.
pub fn queue_in(text: &str) -> Option<&str> {
    let (_, name) = text.split_once("queue '")?;
    name.split_once("' in vhost").or_else(|| name.split_once('\'')).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_limit_is_read_from_the_reason() {
        let text = "PRECONDITION_FAILED - message size 2000 is larger than configured max size 1000";
        assert_eq!(size_limit(text), Some(1000));
        assert_eq!(kind_of_code(406, text), ErrorKind::TooLarge);
    }

    #[test]
    fn a_locked_queue_is_read_from_the_reason() {
        let locked =
            "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'it's' in vhost '/'. It could be";
        assert_eq!(queue_in(locked), Some("it's"));
        assert_eq!(queue_in("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q'"), Some("q"));
        assert_eq!(queue_in("ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"), Some("q"));
        assert_eq!(queue_in("ACCESS_REFUSED - login was refused"), None);
    }

    #[test]
    fn the_text_decides_the_meaning_of_a_code() {
        let cases = [
            (403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use", ErrorKind::InUse),
            (403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'", ErrorKind::AccessRefused),
            (404, "NOT_FOUND - no queue 'q' in vhost '/'", ErrorKind::NotFound),
            (
                404,
                "NOT_FOUND - home node 'rabbit@r1' of durable queue 'q' in vhost '/' is down or inaccessible",
                ErrorKind::Unreachable,
            ),
            (405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q'", ErrorKind::InUse),
            (406, "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q'", ErrorKind::Conflict),
            (530, "NOT_ALLOWED - vhost v not found", ErrorKind::NotFound),
            (530, "NOT_ALLOWED - access to vhost 'v' refused for user 'u'", ErrorKind::AccessRefused),
            (320, "CONNECTION_FORCED - broker forced connection closure", ErrorKind::Unreachable),
            (505, "UNEXPECTED_FRAME", ErrorKind::Protocol),
        ];
        for (code, text, kind) in cases {
            assert_eq!(kind_of_code(code, text), kind, "{code} {text}");
        }
    }
}
