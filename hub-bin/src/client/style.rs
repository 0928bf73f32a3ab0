//! The style of human-readable output: the width and colours of the terminal, and tables that fit it.

use std::io::{self, IsTerminal};

use comfy_table::{Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Table, TableStyle, Width};
use hub_core::text::Shown;

use super::format::When;

/// Minimum width of a column that is narrowed to fit the terminal.
const MIN_COLUMN_WIDTH: u16 = 6;

/// The capabilities of standard output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) has_colors: bool,
    /// Number of characters in a line. `None` means no limit.
    pub(super) width: Option<u16>,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// Never truncated.
    Whole(&'static str),
    /// A number or a duration: never truncated, aligned to the right.
    Right(&'static str),
    /// Truncated if the line does not fit the terminal.
    Cut(&'static str),
}

impl Style {
    /// The style for standard output. The environment variable `COLUMNS` sets the width. Without it, output to a pipe or a file is
    /// not truncated.
    pub(super) fn of_stdout(colors: When) -> Self {
        let terminal = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0);
        Self { has_colors: has_colors(colors, io::stdout().is_terminal()), width: number("COLUMNS").or_else(terminal) }
    }

    /// The style for standard error, where lines are as long as they are.
    pub(super) fn of_stderr(colors: When) -> Self {
        Self { has_colors: has_colors(colors, io::stderr().is_terminal()), width: None }
    }

    /// Whether lines on standard error can be drawn again.
    pub(super) fn can_redraw() -> bool {
        io::stderr().is_terminal() && !is_dumb()
    }

    /// The columns and lines of the terminal at standard error now. The variables `COLUMNS` and `LINES` are for terminals that do not
    /// know their size, and make it smaller, but not larger, on others.
    pub(super) fn size_of_stderr() -> (usize, usize) {
        let known = terminal_size::terminal_size_of(io::stderr()).map(|(width, height)| (width.0, height.0));
        let size = |known: Option<u16>, name: &str, default: u16| match (known.filter(|known| *known > 0), number(name))
        {
            (Some(known), Some(own)) => known.min(own),
            (known, own) => known.or(own).unwrap_or(default),
        };
        let (width, height) = (known.map(|known| known.0), known.map(|known| known.1));
        (size(width, "COLUMNS", 80).into(), size(height, "LINES", 24).into())
    }

    /// An empty table.
    pub(super) fn table(self, columns: &[Column]) -> Table {
        let mut table = Table::new();
        table.load_style(TableStyle::new()).set_truncation_indicator("…");
        if self.has_colors {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        if let Some(width) = self.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(row(columns.iter().map(|column| Cell::new(column.name()))));
        for (at, column) in columns.iter().enumerate() {
            let Some(own) = table.column_mut(at) else { continue };
            own.set_padding((0, if at + 1 == columns.len() { 0 } else { 2 }));
            match column {
                Column::Whole(_) => drop(own.set_constraint(ColumnConstraint::ContentWidth)),
                Column::Right(_) => {
                    own.set_constraint(ColumnConstraint::ContentWidth);
                    own.set_cell_alignment(CellAlignment::Right);
                }
                Column::Cut(_) => {
                    own.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(MIN_COLUMN_WIDTH)));
                }
            }
        }
        table
    }

    /// Whether a line with `width` characters fits.
    pub(super) fn fits(self, width: usize) -> bool {
        self.width.is_none_or(|own| width <= usize::from(own))
    }

    /// A status in its colour.
    pub(super) fn status(self, status: &str) -> String {
        match color_code(status).filter(|_| self.has_colors) {
            Some(code) => format!("\u{1b}[{code}m{}\u{1b}[0m", Shown(status)),
            None => Shown(status).to_string(),
        }
    }
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Whole(name) | Self::Right(name) | Self::Cut(name) => name,
        }
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable with a positive number.
fn number(name: &str) -> Option<u16> {
    variable(name)?.parse().ok().filter(|number| *number > 0)
}

fn is_dumb() -> bool {
    variable("TERM").as_deref() == Some("dumb")
}

fn has_colors(colors: When, is_terminal: bool) -> bool {
    match colors {
        When::Always => true,
        When::Never => false,
        When::Auto => is_terminal && variable("NO_COLOR").is_none() && !is_dumb(),
    }
}

/// A table row with a height of one line.
pub(super) fn row(cells: impl IntoIterator<Item = Cell>) -> Row {
    let mut row = Row::from(cells.into_iter().collect::<Vec<_>>());
    row.max_height(1);
    row
}

/// A cell with untrusted text, which is escaped.
pub(super) fn cell(text: impl std::fmt::Display) -> Cell {
    Cell::new(Shown(text))
}

/// A cell with a status.
pub(super) fn status_cell(status: &str) -> Cell {
    match color(status) {
        Some(color) => cell(status).fg(color),
        None => cell(status),
    }
}

fn color(status: &str) -> Option<Color> {
    match status {
        "SUCCESS" => Some(Color::DarkGreen),
        "FAILED" => Some(Color::DarkRed),
        "CANCELLED" | "CANCELLING" | "UPSTREAM_FAILED" => Some(Color::DarkYellow),
        "RUNNING" => Some(Color::DarkCyan),
        "SKIPPED" | "PAUSED" => Some(Color::DarkMagenta),
        _ => None,
    }
}

/// The colour as an ANSI code.
pub(super) fn color_code(status: &str) -> Option<u8> {
    match color(status)? {
        Color::DarkGreen => Some(32),
        Color::DarkRed => Some(31),
        Color::DarkYellow => Some(33),
        Color::DarkCyan => Some(36),
        Color::DarkMagenta => Some(35),
        _ => None,
    }
}
