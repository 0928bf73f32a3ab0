//! Writes lines to the terminal, above a view that is drawn again in its place; or to a pipe.
//!
//! The view changes no mode of the terminal, so nothing has to be restored, whatever ends the program: the cursor stays visible, at
//! the end of the view, and is moved up by the rows of the view only to draw it again.

use std::io::Write;

use super::line::Line;

/// Maximum number of rows of a line that remains, on a terminal.
const MAXIMUM_ROWS: usize = 3;

/// The part of a terminal below what was printed before.
pub(super) struct Screen<W: Write> {
    out: W,
    has_colors: bool,
    /// The columns that each line of the view takes.
    drawn: Vec<usize>,
}

impl<W: Write> Screen<W> {
    pub(super) const fn new(out: W, has_colors: bool) -> Self {
        Self { out, has_colors, drawn: Vec::new() }
    }

    /// Prints lines that remain, without a view.
    pub(super) fn print(&mut self, lines: &[Line]) {
        let text: String = lines.iter().map(|line| line.written(None, self.has_colors) + "\n").collect();
        self.write(&text);
    }

    /// Prints `above`, which remains, and draws `view` again below it. Nothing is wider than the terminal.
    pub(super) fn draw(&mut self, above: &[Line], view: &[Line], size: (usize, usize)) {
        let width = columns(size);
        let mut text = self.back(size);
        for line in above.iter().flat_map(|line| line.rows(width, MAXIMUM_ROWS)) {
            // What is below is not cleared before it is written again, so that it does not flicker.
            text += &line.written(Some(width), self.has_colors);
            text += "\u{1b}[K\n";
        }
        let written = view.iter().map(|line| line.written(Some(width), self.has_colors) + "\u{1b}[K");
        text += &written.collect::<Vec<_>>().join("\n");
        text += "\u{1b}[J";
        self.drawn = view.iter().map(|line| line.width().min(width)).collect();
        self.write(&text);
    }

    /// Removes the view.
    pub(super) fn clear(&mut self, size: (usize, usize)) {
        if !self.drawn.is_empty() {
            let text = self.back(size) + "\u{1b}[J";
            self.drawn.clear();
            self.write(&text);
        }
    }

    /// Leaves the view where it is, after the terminal was used by another program.
    pub(super) fn forget(&mut self) {
        self.drawn.clear();
    }

    /// Moves the cursor to the begin of the view. Where the terminal has become narrower, its lines take several rows.
    fn back(&self, (width, height): (usize, usize)) -> String {
        let rows: usize = self.drawn.iter().map(|columns| columns.div_ceil(width.max(1)).max(1)).sum();
        match rows.saturating_sub(1).min(height.saturating_sub(1)) {
            0 => "\r".to_owned(),
            up => format!("\r\u{1b}[{up}A"),
        }
    }

    /// Errors are ignored, since the result of the program is elsewhere.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }
}

/// The columns of a line. One is left free, since some terminals begin a new line after the last one.
fn columns((width, _): (usize, usize)) -> usize {
    width.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthChar;

    use super::super::terminal::Terminal;
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line::new().add(text)).collect()
    }

    /// Passes on what was written.
    fn show(screen: &mut Screen<Vec<u8>>, terminal: &mut Terminal) {
        terminal.write(std::str::from_utf8(&std::mem::take(&mut screen.out)).unwrap());
    }

    #[test]
    fn the_view_stays_below_what_was_printed() {
        let (size, mut terminal, mut screen) = ((20, 6), Terminal::new(20, 6), Screen::new(Vec::new(), true));
        let mut draw = |screen: &mut Screen<Vec<u8>>, above: &[&str], view: &[&str]| {
            screen.draw(&lines(above), &lines(view), size);
            show(screen, &mut terminal);
            terminal.rows()
        };
        assert_eq!(draw(&mut screen, &[], &["one", "two", "three"]), ["one", "two", "three"]);
        assert_eq!(draw(&mut screen, &["first"], &["1"]), ["first", "1"]);
        assert_eq!(draw(&mut screen, &["second"], &["one", "two"]), ["first", "second", "one", "two"]);
        assert_eq!(draw(&mut screen, &["a line that is cut off"], &["x"])[2..], ["a line that is cut…", "x"]);
        screen.clear(size);
        show(&mut screen, &mut terminal);
        assert_eq!(terminal.rows().last().unwrap(), "");
        assert_eq!(terminal.wrapped, 0);
        screen.clear(size);
        assert!(screen.out.is_empty(), "it is removed once");
    }

    #[test]
    fn a_narrower_terminal_shows_no_remains() {
        let (mut terminal, mut screen) = (Terminal::new(60, 10), Screen::new(Vec::new(), true));
        let long = "x".repeat(50);
        screen.draw(&lines(&["before"]), &lines(&[&long, &long]), (60, 10));
        show(&mut screen, &mut terminal);
        terminal.narrow(25);
        screen.draw(&lines(&["after"]), &lines(&["view"]), (25, 10));
        show(&mut screen, &mut terminal);
        assert_eq!(terminal.rows(), ["before", "after", "view"]);
    }

    #[test]
    fn a_pipe_gets_whole_lines_without_sequences() {
        let mut screen = Screen::new(Vec::new(), false);
        screen.print(&[Line::new().mark("FAILED").add("x".repeat(500))]);
        assert_eq!(String::from_utf8(screen.out).unwrap(), format!("FAILED{}\n", "x".repeat(500)));
    }

    proptest! {
        #[test]
        fn printed_lines_remain_and_nothing_is_wider_or_higher_than_the_terminal(
            steps in prop::collection::vec((prop::collection::vec(".{0,30}", 0..3), prop::collection::vec(any::<String>(), 1..5)), 1..8),
            width in 41_usize..80,
        ) {
            let (size, mut terminal, mut screen) = ((width, 6), Terminal::new(width, 6), Screen::new(Vec::new(), true));
            let mut printed = Vec::new();
            for (above, view) in &steps {
                let above: Vec<Line> = above.iter().map(|text| Line::new().add(text)).collect();
                let view: Vec<Line> = view.iter().map(|text| Line::new().mark("FAILED").add(text)).collect();
                screen.draw(&above, &view, size);
                printed.extend(above.iter().flat_map(|line| line.rows(width - 1, MAXIMUM_ROWS)));
                show(&mut screen, &mut terminal);
                prop_assert_eq!(terminal.rows().len(), printed.len() + view.len());
            }
            screen.clear(size);
            show(&mut screen, &mut terminal);
            prop_assert_eq!(terminal.wrapped, 0);
            prop_assert_eq!(terminal.rows().len(), printed.len() + 1);
            let is_shown = |one: &char| one.width().unwrap_or(0) > 0;
            for (row, line) in terminal.rows().iter().zip(&printed) {
                let text: String = line.written(None, false).chars().filter(is_shown).collect();
                prop_assert_eq!(row, &text);
            }
        }
    }
}
