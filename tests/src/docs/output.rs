//! Compares the output on a page with the output of a program.

/// Units of durations.
const UNITS: [&str; 6] = ["ms", "s", "m", "h", "d", "µs"];

/// Whether a program printed what the page shows. Not compared are ids, times, durations, process ids, ports, names of workers, and
/// the width of columns. `…` stands for any text; a line with nothing else stands for any number of lines.
#[must_use]
pub fn agrees(shown: &str, printed: &str) -> bool {
    let lines = |text: &str| text.trim().lines().map(normal).collect::<Vec<_>>();
    lines_match(&lines(shown), &lines(printed))
}

/// Whether a line of what was printed contains `message`, in which `…` stands for any text.
pub(super) fn contains(message: &str, printed: &str) -> bool {
    let message = format!("…{}…", normal(message));
    printed.lines().any(|line| line_matches(&message, &normal(line)))
}

fn lines_match(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        Some((first, rest)) => {
            printed.split_first().is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others))
        }
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut left) = parts.next().and_then(|first| printed.strip_prefix(first.trim_end())) else { return false };
    let mut last = None;
    for part in parts {
        let part = part.trim();
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
        last = Some(part);
    }
    match last {
        None => left.is_empty(),
        // It may occur several times in the line.
        Some(part) => left.is_empty() || part.is_empty() || printed.ends_with(part),
    }
}

/// A line with placeholders for the parts that differ between runs.
fn normal(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    // The name of a worker begins with the host name, which listings show as well.
    let host = line.split_whitespace().find_map(host_of);
    for word in line.split_whitespace() {
        if Some(word) == host {
            words.push("HOST".to_owned());
            continue;
        }
        let is_unit = UNITS.contains(&word.trim_end_matches([',', '.']));
        if is_unit && words.last().is_some_and(|last| last == "NUMBER" || last.parse::<f64>().is_ok()) {
            words.pop();
            // A duration can have two units.
            if words.last().is_none_or(|last| last != "DURATION") {
                words.push("DURATION".to_owned());
            }
            continue;
        }
        words.push(normal_word(word));
    }
    words.join(" ")
}

fn normal_word(word: &str) -> String {
    let (before, core, after) = bare(word);
    let (name, value) = core.rsplit_once('=').map_or(("", core), |(name, value)| (name, value));
    let replaced = match value {
        _ if is_uuid(value) || value.len() == 12 && is_hex(value) => "ID",
        _ if is_time(value) => "TIME",
        _ if host_of(value).is_some() => "WORKER",
        _ if value.len() >= 3 && value.bytes().all(|byte| byte.is_ascii_digit()) => "NUMBER",
        _ => value,
    };
    let word = if name.is_empty() { replaced.to_owned() } else { format!("{name}={replaced}") };
    format!("{before}{}{after}", without_port(&word))
}

/// The host name in the name of a worker.
fn host_of(word: &str) -> Option<&str> {
    let (host, end) = word.rsplit_once('-')?;
    (!host.is_empty() && end.len() == 8 && is_hex(end)).then_some(host)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A word without the punctuation around it.
fn bare(word: &str) -> (&str, &str, &str) {
    let core = word.trim_start_matches(['(', '"', '\'']);
    let before = &word[..word.len() - core.len()];
    let end = core.trim_end_matches([')', '"', '\'', ',', ':', '.']).len();
    (before, &core[..end], &core[end..])
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

/// A text without the ports of addresses on this machine.
fn without_port(text: &str) -> String {
    const HERE: &str = "127.0.0.1:";
    let Some((before, rest)) = text.split_once(HERE) else { return text.to_owned() };
    format!("{before}{HERE}PORT{}", rest.trim_start_matches(|one: char| one.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_not_compared() {
        let alike = [
            ("a  01a218e7-59bb-759d-a695-0e5fac122a24", "a 01a218e7-7c46-77ab-ad19-7532b1c12e7b"),
            ("8d0de46b820e  order", "35d858eb7363 order"),
            ("at 2026-11-26T17:29:13.543Z, ran for 281 ms", "at 2026-11-27T01:02:03.004Z, ran for 1 m 02 s"),
            ("t  SUCCESS  1.27 s  vm-1cb68cf3  3", "t SUCCESS   0 ms  host.example-00000000   3"),
            ("Starting worker=vm-1cb68cf3 slots=2", "Starting worker=h-1cb68cf4 slots=2"),
            ("vm-1cb68cf3  vm  9329  default", "b.example-00000000  b.example  123  default"),
            ("started (pid 24038)", "started (pid 911)"),
            ("at http://127.0.0.1:8420/api", "at http://127.0.0.1:1/api"),
            ("a…c  d", "abbb bc d"),
            ("a\n…\nd", "a\nd"),
            ("a\n…\nd", "a\nb\nc\nd"),
            ("File \"…/x.py\", line 1", "File \"/a/b/x.py\", line 1"),
            ("ends with…", "ends with more and more"),
        ];
        for (shown, printed) in alike {
            assert!(agrees(shown, printed), "{shown:?} is not {printed:?}");
        }
    }

    #[test]
    fn a_message_is_found_in_what_was_printed() {
        let printed = "INFO  ready\nerror: no job has the id 01a218e7-59bb-759d-a695-0e5fac122a24: it was removed\n";
        assert!(contains("no job has the id …: it was removed", printed));
        assert!(contains("no job has the id", printed));
        assert!(!contains("no job has the id …: it was never", printed));
    }

    #[test]
    fn everything_else_is_compared() {
        let different = [
            ("output: 13", "output: 14"),
            ("a\nb", "a"),
            ("a", "a\nb"),
            ("a…c", "abb"),
            ("a…c", "acb"),
            ("t SUCCESS 1 ms 3", "t FAILED 1 ms 3"),
            ("ran for 1 ms", "ran for"),
        ];
        for (shown, printed) in different {
            assert!(!agrees(shown, printed), "{shown:?} is {printed:?}");
        }
    }
}
