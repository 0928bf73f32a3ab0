//! Escapes text from outside before it is shown on terminals, in tables and in log lines.
//!
//! The name of a job, a routing key or the message of a task can contain escape sequences of terminals, newlines that
//! imitate separate log lines, and characters that change the direction of a line. [`Shown`] writes such characters as
//! escapes (`\n`, `\u{1b}`). It does not apply to values for programs (JSON).

use std::fmt::{self, Write};
use std::sync::Arc;

/// Shows a value on one line. Its characters cannot affect the terminal or the line.
///
/// ```
/// use hub_core::text::Shown;
///
/// assert_eq!(Shown("job \u{1b}[2J\nERROR done").to_string(), "job \\u{1b}[2J\\nERROR done");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shown<T>(pub T);

/// Like [`Shown`] for text with several lines, such as a traceback: keeps line breaks and tabs.
#[derive(Clone, Copy, Debug)]
pub struct ShownLines<T>(pub T);

/// Passes text to another writer and escapes the characters that [`Shown`] escapes.
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

/// Whether a character acts instead of being displayed: control characters (including the escape character and line
/// breaks), separators of lines and paragraphs, direction marks, and invisible characters that no script needs. Joiners
/// are not included, because scripts and emoji need them.
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

/// Truncates a text that is longer than `limit` bytes to its beginning and its end, with a note about the omitted part.
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

/// The beginning of a text, at most `limit` bytes.
#[must_use]
pub fn beginning(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn active_characters_are_escaped_and_visible_ones_stay() {
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
    fn line_breaks_and_tabs_are_kept() {
        assert_eq!(ShownLines("a\n\tb\u{1b}[0m\r").to_string(), "a\n\tb\\u{1b}[0m\\r");
    }

    proptest! {
        #[test]
        fn shown_text_has_no_active_characters(text in any::<String>()) {
            prop_assert!(!Shown(&text).to_string().contains(is_active));
            let lines = ShownLines(&text).to_string();
            prop_assert!(!lines.contains(|one| is_active(one) && one != '\n' && one != '\t'));
        }
    }
}
