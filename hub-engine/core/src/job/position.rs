//! Converts byte offsets to lines and columns as editors show them.

/// Traverses a text forwards and counts lines and characters.
pub(super) struct Positions<'a> {
    text: &'a str,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'a> Positions<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, offset: 0, line: 1, column: 1 }
    }

    /// The line and the column (in characters) of a byte offset, both from 1. Offsets must not decrease from call to
    /// call, so that all calls together take one pass over the text.
    pub(super) fn of(&mut self, offset: usize) -> (u32, u32) {
        let offset = offset.min(self.text.len());
        assert!(self.offset <= offset, "offsets do not decrease");
        for byte in &self.text.as_bytes()[self.offset..offset] {
            match byte {
                b'\n' => (self.line, self.column) = (self.line.saturating_add(1), 1),
                // A continuation byte of UTF-8.
                0x80..=0xBF => {}
                _ => self.column = self.column.saturating_add(1),
            }
        }
        self.offset = offset;
        (self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_not_bytes() {
        let mut positions = Positions::new("a\nßx\n\u{1F600}y");
        let offsets = [(0, (1, 1)), (2, (2, 1)), (4, (2, 2)), (4, (2, 2)), (6, (3, 1)), (10, (3, 2)), (99, (3, 3))];
        for (offset, place) in offsets {
            assert_eq!(positions.of(offset), place, "{offset}");
        }
    }
}
