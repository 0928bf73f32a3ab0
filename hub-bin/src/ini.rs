//! Reads INI files in the format of the manual. Each entry keeps its line number.

/// One `key = value` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The section, as written.
    pub(crate) section: String,
    /// The key, in lower case.
    pub(crate) key: String,
    pub(crate) value: String,
    /// The line number, counted from 1.
    pub(crate) line: usize,
}

/// A line that is neither a section nor an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) line: usize,
    pub(crate) why: String,
}

/// Reads a file: sections in brackets, `key = value` or `key: value`. A comment begins with `#` or `;`, at the beginning of a line
/// or after whitespace behind a value. A value in quotation marks is taken literally. A section may occur several times, a key of a
/// section only once.
pub(crate) fn read(text: &str) -> (Vec<Entry>, Vec<BadLine>) {
    let (mut entries, mut bad) = (Vec::<Entry>::new(), Vec::new());
    let mut section: Option<String> = None;
    for (at, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let (line, content) = (at + 1, raw.trim());
        let mut refuse = |why: String| bad.push(BadLine { line, why });
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = content.strip_prefix('[') {
            match without_comment(rest).strip_suffix(']') {
                Some(name) => section = Some(name.trim().to_owned()),
                None => refuse(format!("{content:?} lacks the closing bracket of a section: write [NAME]")),
            }
            continue;
        }
        let Some((key, value)) = content.split_once(['=', ':']) else {
            refuse(format!("{content:?} does not have the form \"key = value\""));
            continue;
        };
        let (Some(section), key) = (&section, key.trim().to_ascii_lowercase()) else {
            refuse("the key is before the first section: write [HUB] above it".to_owned());
            continue;
        };
        let same = |entry: &&Entry| entry.section.eq_ignore_ascii_case(section) && entry.key == key;
        if let Some(first) = entries.iter().find(same) {
            refuse(format!("duplicate key {key}, first in line {}: remove one of them", first.line));
            continue;
        }
        match value_of(value.trim()) {
            Ok(value) => entries.push(Entry { section: section.clone(), key, value, line }),
            Err(why) => refuse(format!("{key}: {why}")),
        }
    }
    (entries, bad)
}

/// Parses the text behind the equals sign.
fn value_of(text: &str) -> Result<String, String> {
    let Some(quote) = text.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        return Ok(without_comment(text).to_owned());
    };
    let Some((value, rest)) = text[1..].split_once(quote) else {
        return Err(format!("the quotation mark {quote} is not closed"));
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with(['#', ';']) {
        return Ok(value.to_owned());
    }
    Err(format!("unexpected {rest:?} after the closing {quote}: put the whole value in quotation marks, or nothing"))
}

/// The text before a comment, without trailing whitespace.
fn without_comment(text: &str) -> &str {
    if text.starts_with(['#', ';']) {
        return "";
    }
    let begins = |at: usize| text[..at].ends_with(char::is_whitespace);
    let comment = text.match_indices(['#', ';']).find(|(at, _)| begins(*at));
    comment.map_or(text, |(at, _)| &text[..at]).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_the_manual_is_read() {
        let (entries, bad) =
            read("# x\n[HUB]\nbroker=localhost\nPid_File : /run/x.pid\n\n[LOGGING]\nlog_level = debug\n");
        assert!(bad.is_empty());
        let found: Vec<_> = entries.iter().map(|one| (&*one.section, &*one.key, &*one.value, one.line)).collect();
        assert_eq!(
            found,
            [
                ("HUB", "broker", "localhost", 3),
                ("HUB", "pid_file", "/run/x.pid", 4),
                ("LOGGING", "log_level", "debug", 7)
            ]
        );
    }

    #[test]
    fn comments_and_quotation_marks_are_removed() {
        let text = "\u{feff}[HUB] ; the hub\r\n\
            broker = rabbit:5672   # the broker\r\n\
            prefix = \"my hub # 1\" ; quoted\r\n\
            pools = 'a,b'\r\n\
            http = amqp://u:p%23;w#x@h/v\r\n\
            python = # nothing\r\n";
        let (entries, bad) = read(text);
        assert!(bad.is_empty(), "{bad:?}");
        let found: Vec<_> = entries.iter().map(|one| (&*one.key, &*one.value)).collect();
        let wanted = [
            ("broker", "rabbit:5672"),
            ("prefix", "my hub # 1"),
            ("pools", "a,b"),
            ("http", "amqp://u:p%23;w#x@h/v"),
            ("python", ""),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn invalid_lines_are_reported_with_their_numbers() {
        let (_, bad) = read("a=1\n[HUB\n[X]\nnothing\n");
        assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [1, 2, 4]);
    }

    #[test]
    fn a_duplicate_key_is_refused_with_both_lines() {
        let (entries, bad) = read("[HUB]\nbroker=a\n[LOGGING]\nbroker=b\n[hub]\nslots=1\nBROKER=c\n");
        assert_eq!(entries.len(), 3, "different sections may have the same key");
        assert_eq!((bad.len(), bad[0].line), (1, 7));
        assert!(bad[0].why.contains("first in line 2"), "{bad:?}");
    }

    #[test]
    fn quotes_that_do_not_enclose_the_value_are_refused() {
        let (_, bad) = read("[HUB]\nbroker = \"rabbit\nprefix = 'a' b\n");
        assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [2, 3]);
    }
}
