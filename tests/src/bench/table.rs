//! Prints the results as Markdown tables.

use comfy_table::{Table, presets};

use super::cost::Role;
use super::figure::{Better, Scale, Unit, digits, median};
use super::report::{FigureResult, Report};

/// The tables of a report.
pub(super) fn tables(report: &Report) -> String {
    let mut text = String::new();
    if let Some(bound) = &report.bound {
        let (echoes, time) = (median(&bound.echoes_per_second), median(&bound.round_trip));
        text.push_str(&format!(
            "The broker alone: {} echoes a second, an idle round trip in {}.\n\n",
            digits(echoes),
            Unit::Millis.show(time)
        ));
    }
    if !report.results.is_empty() {
        text.push_str(&format!("{}\n\n", figures(&report.results)));
    }
    text.push_str(&format!("{}\n", costs(report)));
    text
}

fn figures(results: &[FigureResult]) -> Table {
    let mut table = table(&["what", "median", "least … most", "compared", "at least / ideal", ""]);
    for result in results.iter().filter(|result| !result.values.is_empty()) {
        let (figure, values) = (&result.figure, &result.values);
        let show = |value: f64| figure.unit.show(value);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        table.add_row([
            figure.title.clone(),
            show(median(values)),
            format!("{} … {}", show(least), show(most)),
            compared(result).unwrap_or_default(),
            target(result).unwrap_or_default(),
            result.verdict().map_or("", super::figure::Verdict::as_str).to_owned(),
        ]);
    }
    table
}

fn compared(result: &FigureResult) -> Option<String> {
    if result.compared.is_empty() {
        return None;
    }
    let value = median(&result.compared);
    Some(match &result.figure.scale {
        Scale::Absolute => return None,
        Scale::Echoes => format!("{} × the bound", digits(value)),
        Scale::RoundTrips(1) => format!("{} round trips", digits(value)),
        Scale::RoundTrips(count) => format!("{} × {count} round trips", digits(value)),
        Scale::AtEchoes(echoes) => format!("{} at {} echoes/s", result.figure.unit.show(value), digits(*echoes)),
        Scale::Figure(key) => format!("{} × {key}", digits(value)),
    })
}

fn target(result: &FigureResult) -> Option<String> {
    let target = result.figure.target?;
    let sign = if target.better == Better::Higher { "≥" } else { "≤" };
    let show = |value: f64| match result.figure.scale {
        Scale::Absolute | Scale::AtEchoes(_) => result.figure.unit.show(value),
        _ => digits(value),
    };
    Some(format!("{sign} {} / {}", show(target.at_least), show(target.ideal)))
}

/// Processor time per task and peak memory, by process.
fn costs(report: &Report) -> Table {
    let headings: Vec<String> = Role::ALL.iter().map(|role| role.name().to_owned()).collect();
    let mut table = table(&["CPU µs a task / peak MB"]);
    table.set_header(std::iter::once("CPU µs a task / peak MB".to_owned()).chain(headings));
    for cost in &report.costs {
        let cells = Role::ALL.iter().map(|role| match cost.each.get(role) {
            Some(usage) => format!("{} / {}", digits(usage.cpu * 1e6), digits(usage.peak / 1e6)),
            None => String::new(),
        });
        table.add_row(std::iter::once(cost.workload.clone()).chain(cells));
    }
    table
}

fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(headings.to_vec());
    table
}
