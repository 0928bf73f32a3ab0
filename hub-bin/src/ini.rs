//! Reads INI files as the manual shows them, and remembers the line of everything.

/// One `key = value` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The section, as written.
    pub(crate) section: String,
    /// The key, in lower case.
    pub(crate) key: String,
    pub(crate) value: String,
    /// From 1.
    pub(crate) line: usize,
}

/// A line that is neither a section nor an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) line: usize,
    pub(crate) why: String,
}

/// Reads a file: sections in brackets, `key = value` or `key: value`, comments after `#` or `;` at the
/// beginning of a line.
pub(crate) fn read(text: &str) -> (Vec<Entry>, Vec<BadLine>) {
    let (mut entries, mut bad) = (Vec::new(), Vec::new());
    let mut section: Option<String> = None;
    for (at, raw) in text.lines().enumerate() {
        let (line, content) = (at + 1, raw.trim().trim_start_matches('\u{feff}'));
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = content.strip_prefix('[') {
            match rest.strip_suffix(']') {
                Some(name) => section = Some(name.trim().to_owned()),
                None => bad.push(BadLine { line, why: format!("{content:?} opens a section and does not close it") }),
            }
            continue;
        }
        match (&section, content.split_once(['=', ':'])) {
            (Some(section), Some((key, value))) => entries.push(Entry {
                section: section.clone(),
                key: key.trim().to_ascii_lowercase(),
                value: value.trim().to_owned(),
                line,
            }),
            (None, Some(_)) => bad.push(BadLine { line, why: "comes before the first section".to_owned() }),
            (_, None) => bad.push(BadLine { line, why: format!("{content:?} is no \"key = value\"") }),
        }
    }
    (entries, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manuals_way_of_writing_is_read() {
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
    fn what_is_no_entry_is_named_with_its_line() {
        let (_, bad) = read("a=1\n[HUB\n[X]\nnothing\n");
        assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [1, 2, 4]);
    }
}
