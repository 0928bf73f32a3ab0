//! Text from outside, as it may be shown to people: on terminals, in tables and in log lines.
//!
//! A job's name, a routing key or a task's message can hold whatever their sender likes: escape sequences that a terminal obeys,
//! newlines that look like log lines of their own, marks that turn the direction of a line around. [`Shown`] writes such
//! characters as escapes (`\n`, `\u{1b}`). Values for programs (JSON) are never changed by it.

use std::fmt::{self, Write};
use std::sync::Arc;

/// Shows a value on one line: no character of it does anything to the terminal or the line that it appears in.
///
/// ```
/// use hub_core::text::Shown;
///
/// assert_eq!(Shown("job \u{1b}[2J\nERROR done").to_string(), "job \\u{1b}[2J\\nERROR done");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shown<T>(pub T);

/// The same for text that may have many lines, such as a traceback: line breaks and tabs stay.
#[derive(Clone, Copy, Debug)]
pub struct ShownLines<T>(pub T);

/// Writes text on to another writer, with escapes in the place of what [`Shown`] does not let through.
#[derive(Debug)]
pub struct Escaping<W> {
    to: W,
    keeps_lines: bool,
}

impl<W: Write> Escaping<W> {
    /// Writes everything on one line.
    pub const fn one_line(to: W) -> Self {
        Self { to, keeps_lines: false }
    }

    /// Keeps line breaks and tabs.
    pub const fn lines(to: W) -> Self {
        Self { to, keeps_lines: true }
    }
}

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, found)) = rest.char_indices().find(|(_, one)| self.must_escape(*one)) {
            self.to.write_str(&rest[..at])?;
            match found {
                '\n' => self.to.write_str("\\n")?,
                '\r' => self.to.write_str("\\r")?,
                '\t' => self.to.write_str("\\t")?,
                other => write!(self.to, "{}", other.escape_unicode())?,
            }
            rest = &rest[at + found.len_utf8()..];
        }
        self.to.write_str(rest)
    }
}

impl<W> Escaping<W> {
    const fn must_escape(&self, one: char) -> bool {
        !(self.keeps_lines && matches!(one, '\n' | '\t')) && is_active(one)
    }
}

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping::one_line(f), "{}", self.0)
    }
}

impl<T: fmt::Display> fmt::Display for ShownLines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping::lines(f), "{}", self.0)
    }
}

/// Whether a character does something instead of being seen: controls (with the escape character and line breaks), separators of lines and
/// paragraphs, marks of direction, and invisible characters that no script needs. Joiners stay: scripts and emoji need them.
#[must_use]
pub const fn is_active(one: char) -> bool {
    matches!(
        one,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The text, or its beginning and its end where it is longer than `limit` bytes, with a note on what is left out.
///
/// ```
/// assert_eq!(&*hub_core::text::cut("abcdefgh".into(), 4), "ab\n[4 bytes left out]\ngh");
/// ```
#[must_use]
pub fn cut(text: Arc<str>, limit: usize) -> Arc<str> {
    if text.len() <= limit {
        return text;
    }
    let first = text.floor_char_boundary(limit / 2);
    let last = text.ceil_char_boundary(text.len() - limit / 2);
    format!("{}\n[{} bytes left out]\n{}", &text[..first], last - first, &text[last..]).into()
}

/// The beginning of a text, at most `limit` bytes of it.
#[must_use]
pub fn beginning(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_escaped_and_what_is_seen_stays() {
        let cases = [
            ("plain, naïve, 名前, שלום, 👩‍🚀", "plain, naïve, 名前, שלום, 👩‍🚀"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\r\nERROR b\tc", "a\\r\\nERROR b\\tc"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("a\u{202e}txt.exe\u{2066}\u{200f}", "a\\u{202e}txt.exe\\u{2066}\\u{200f}"),
            ("a\u{2028}b\u{feff}", "a\\u{2028}b\\u{feff}"),
        ];
        for (text, shown) in cases {
            assert_eq!(Shown(text).to_string(), shown);
        }
    }

    #[test]
    fn many_lines_stay_many_lines() {
        assert_eq!(ShownLines("a\n\tb\u{1b}[0m\r").to_string(), "a\n\tb\\u{1b}[0m\\r");
    }

    proptest! {
        #[test]
        fn nothing_that_is_shown_acts(text in any::<String>()) {
            prop_assert!(!Shown(&text).to_string().contains(is_active));
            let lines = ShownLines(&text).to_string();
            prop_assert!(!lines.contains(|one| is_active(one) && one != '\n' && one != '\t'));
        }
    }
}
