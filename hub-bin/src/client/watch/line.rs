//! A line of the view: escaped, and cut to the width of the terminal.

use std::fmt::{self, Write};

use hub_core::text::{Escaping, Shown};
use unicode_width::UnicodeWidthChar;

use super::super::style::color_code;

/// Maximum number of characters of one text in a line.
const MAXIMUM_CHARS: usize = 1000;
/// What the second row of a line begins with.
const INDENT: &str = "          ";

/// A line. All text in it is escaped, so that names and messages cannot affect the terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    /// The ANSI code of its colour.
    color: Option<u8>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a text.
    pub(super) fn add(mut self, text: impl fmt::Display) -> Self {
        self.0.push(Piece { text: shortened(text), color: None });
        self
    }

    /// Adds a word in the colour that it has as a status, or as a mark.
    pub(super) fn mark(mut self, word: &str) -> Self {
        let color = match word {
            "RETRY" | "HELD" | "AGAIN" => Some(33),
            "WAITS" => Some(35),
            status => color_code(status),
        };
        self.0.push(Piece { text: Shown(word).to_string(), color });
        self
    }

    /// The number of columns that it takes on a terminal.
    pub(super) fn width(&self) -> usize {
        self.0.iter().flat_map(|piece| piece.text.chars()).map(columns).sum()
    }

    /// The line in up to `maximum` rows of this width, the further ones indented. What does not fit stays in the last row.
    pub(super) fn rows(&self, width: usize, maximum: usize) -> Vec<Self> {
        if self.width() <= width || width <= 2 * INDENT.len() {
            return vec![self.clone()];
        }
        let (mut rows, mut row, mut used) = (Vec::new(), Self::new(), 0);
        for Piece { text, color } in &self.0 {
            row.0.push(Piece { text: String::new(), color: *color });
            for one in text.chars() {
                if used + columns(one) > width && rows.len() + 1 < maximum {
                    rows.push(std::mem::replace(&mut row, Self::new().add(INDENT)));
                    row.0.push(Piece { text: String::new(), color: *color });
                    used = INDENT.len();
                }
                used += columns(one);
                if let Some(piece) = row.0.last_mut() {
                    piece.text.push(one);
                }
            }
        }
        rows.push(row);
        rows
    }

    /// Its text, cut to `width` columns.
    pub(super) fn written(&self, width: Option<usize>, has_colors: bool) -> String {
        let cut_at = width.filter(|width| self.width() > *width).map(|width| width.saturating_sub(1));
        let (mut text, mut used) = (String::new(), 0);
        for piece in &self.0 {
            let color = piece.color.filter(|_| has_colors);
            if let Some(code) = color {
                let _ = write!(text, "\u{1b}[{code}m");
            }
            let mut is_cut = false;
            for one in piece.text.chars() {
                if cut_at.is_some_and(|limit| used + columns(one) > limit) {
                    is_cut = true;
                    break;
                }
                used += columns(one);
                text.push(one);
            }
            if color.is_some() {
                text.push_str("\u{1b}[0m");
            }
            if is_cut {
                if width != Some(0) {
                    text.push('…');
                }
                break;
            }
        }
        text
    }
}

/// An escaped text, cut if it is very long.
fn shortened(text: impl fmt::Display) -> String {
    struct Limited(String, usize);
    impl Write for Limited {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for one in text.chars() {
                if self.1 == 0 {
                    self.0.push('…');
                    return Err(fmt::Error);
                }
                self.1 -= 1;
                self.0.push(one);
            }
            Ok(())
        }
    }
    let mut limited = Limited(String::new(), MAXIMUM_CHARS);
    // An error means that the limit was reached.
    let _ = write!(Escaping::one_line(&mut limited), "{text}");
    limited.0
}

/// The columns that a character takes at most. A variation selector can widen the character before it.
fn columns(one: char) -> usize {
    if one == '\u{fe0f}' { 1 } else { one.width().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use hub_core::text::is_active;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_cut_by_columns_and_not_by_characters() {
        let cases = [
            ("plain", 5, "plain"),
            ("plain", 4, "pla…"),
            ("名前名前", 8, "名前名前"),
            ("名前名前", 7, "名前名…"),
            ("名前名前", 6, "名前…"),
            ("👩‍🚀 x", 3, "👩\u{200d}…"),
            ("a\u{301}bc", 2, "a\u{301}…"),
            ("x", 0, ""),
        ];
        for (text, width, cut) in cases {
            assert_eq!(Line::new().add(text).written(Some(width), false), cut, "{text} at {width}");
        }
    }

    #[test]
    fn colours_are_closed_where_a_line_is_cut() {
        let line = Line::new().mark("FAILED").add("  load");
        assert_eq!(line.written(Some(4), true), "\u{1b}[31mFAI\u{1b}[0m…");
        assert_eq!(line.written(None, true), "\u{1b}[31mFAILED\u{1b}[0m  load");
        assert_eq!(line.written(None, false), "FAILED  load");
    }

    #[test]
    fn a_line_can_have_several_rows() {
        let line = Line::new().add("0123456789").mark("FAILED").add("  名前名前名前 and more than fits in two rows");
        let rows = line.rows(24, 2);
        let written = |row: &Line| row.written(Some(24), false);
        assert_eq!(
            rows.iter().map(written).collect::<Vec<_>>(),
            ["0123456789FAILED  名前名", "          前名前 and mo…"]
        );
        assert_eq!(line.rows(200, 3), std::slice::from_ref(&line));
        assert_eq!(line.rows(3, 3), std::slice::from_ref(&line), "too narrow for an indent");
    }

    #[test]
    fn very_long_texts_are_cut() {
        assert_eq!(Line::new().add("x".repeat(100_000)).width(), MAXIMUM_CHARS + 1);
    }

    proptest! {
        #[test]
        fn no_text_reaches_the_terminal_raw_or_is_too_wide(text in any::<String>(), mark in any::<String>(), width in 0_usize..90) {
            let line = Line::new().mark(&mark).add(&text);
            let written = line.written(Some(width), false);
            prop_assert!(!written.contains(is_active), "{written:?}");
            let taken: usize = written.chars().map(columns).sum();
            prop_assert!(taken <= width, "{taken} columns: {written:?}");
            let rows = line.rows(width, 3);
            prop_assert!((1..=3).contains(&rows.len()));
            let all: String = rows.iter().map(|row| row.written(None, false)).collect();
            prop_assert_eq!(all.replace(' ', ""), line.written(None, false).replace(' ', ""));
        }
    }
}
