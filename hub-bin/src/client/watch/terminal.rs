//! A terminal for tests: it interprets what is written to it, as far as the view needs it.

use unicode_width::UnicodeWidthChar;

/// What a terminal shows, and what has left it at the top.
pub(super) struct Terminal {
    width: usize,
    height: usize,
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Number of lines that did not fit in one row.
    pub(super) wrapped: usize,
}

impl Terminal {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, rows: vec![Vec::new()], row: 0, column: 0, wrapped: 0 }
    }

    /// Interprets a text.
    ///
    /// # Panics
    /// If it contains something else than text, line breaks, and the sequences that the view may use.
    pub(super) fn write(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(one) = rest.next() {
            match one {
                '\n' => self.next_row(),
                '\r' => self.column = 0,
                '\u{1b}' => {
                    assert_eq!(rest.next(), Some('['), "{text:?}");
                    let number: String = rest.clone().take_while(char::is_ascii_digit).collect();
                    let command = rest.nth(number.len()).unwrap();
                    self.execute(number.parse().unwrap_or(1), command);
                }
                one => {
                    assert!(!one.is_control(), "{text:?}");
                    self.put(one);
                }
            }
        }
    }

    /// The rows, with those that have left the terminal.
    pub(super) fn rows(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.iter().filter(|one| **one != '\0').collect()).collect()
    }

    /// Makes the terminal narrower: its rows are broken anew, as most terminals do. The cursor stays at the end.
    pub(super) fn narrow(&mut self, width: usize) {
        let cells = std::mem::take(&mut self.rows);
        for row in cells {
            let pieces = row.chunks(width).map(<[char]>::to_vec);
            self.rows.extend(if row.is_empty() { vec![Vec::new()] } else { pieces.collect() });
        }
        self.width = width;
        self.row = self.rows.len() - 1;
        self.column = self.rows[self.row].len();
    }

    fn execute(&mut self, number: usize, command: char) {
        match command {
            // The cursor does not leave the terminal.
            'A' => self.row = self.row.saturating_sub(number).max(self.rows.len().saturating_sub(self.height)),
            'K' => self.rows[self.row].truncate(self.column),
            'J' => {
                self.rows[self.row].truncate(self.column);
                self.rows.truncate(self.row + 1);
            }
            'm' => {}
            other => panic!("the sequence {other:?}"),
        }
    }

    fn put(&mut self, one: char) {
        let width = one.width().unwrap_or(0);
        if width == 0 {
            return;
        }
        if self.column + width > self.width {
            self.wrapped += 1;
            self.next_row();
            self.column = 0;
        }
        let (row, column) = (&mut self.rows[self.row], self.column);
        row.resize(row.len().max(column + width), ' ');
        row[column] = one;
        row[column + 1..column + width].fill('\0');
        self.column += width;
    }

    /// The terminal driver adds a carriage return to each line break.
    fn next_row(&mut self) {
        self.column = 0;
        self.row += 1;
        if self.row == self.rows.len() {
            self.rows.push(Vec::new());
        }
    }
}
