//! One run of the selected workloads, with its figures.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bound::Bound;
use super::cost::{Used, total_cpu};

/// The results of one round.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The measurements of the broker alone before and after each workload that needs a broker.
    pub(super) bounds: Vec<Bound>,
    /// Figures by key.
    values: BTreeMap<String, Value>,
    pub(super) costs: Vec<Cost>,
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    value: f64,
    /// Number of bounds measured before it.
    bounds: usize,
}

/// The cost of a workload.
#[derive(Clone, Debug)]
pub(super) struct Cost {
    pub(super) workload: String,
    /// Number of tasks (or echoes, for the bound).
    pub(super) tasks: usize,
    pub(super) used: Used,
}

/// A point of a plot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) plot: &'static str,
    pub(super) line: &'static str,
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Round {
    /// Adds a figure.
    pub(super) fn note(&mut self, key: &str, value: f64) {
        let before = self.values.insert(key.to_owned(), Value { value, bounds: self.bounds.len() });
        assert!(before.is_none() && value.is_finite(), "{key} is {value}, and was {before:?}");
        eprintln!("    {key} {value:.6}");
    }

    /// A figure, if it was measured.
    pub(super) fn value(&self, key: &str) -> Option<f64> {
        self.values.get(key).map(|value| value.value)
    }

    /// The measurement of the broker alone for a figure: the mean of before and after. `None` if there is none.
    pub(super) fn bound_of(&self, key: &str) -> Option<Bound> {
        let Value { bounds, .. } = self.values.get(key)?;
        let around = [bounds.checked_sub(1), Some(*bounds)].into_iter().flatten();
        let around: Vec<_> = around.filter_map(|at| self.bounds.get(at)).collect();
        let count = u32::try_from(around.len()).ok().filter(|count| *count > 0)?;
        Some(Bound {
            echoes_per_second: around.iter().map(|bound| bound.echoes_per_second).sum::<f64>() / f64::from(count),
            round_trip: around.iter().map(|bound| bound.round_trip).sum::<Duration>() / count,
        })
    }

    /// Adds the cost of a workload.
    pub(super) fn cost(&mut self, workload: &str, tasks: usize, used: Used) {
        eprintln!("    {workload} cpu {:.1} µs a task", total_cpu(&used) / tasks as f64 * 1e6);
        self.costs.push(Cost { workload: workload.to_owned(), tasks, used });
    }

    /// Adds a point of a plot.
    pub(super) fn point(&mut self, plot: &'static str, line: &'static str, x: f64, y: f64) {
        eprintln!("    {plot} {line} {x:.2} {y:.6}");
        self.points.push(Point { plot, line, x, y });
    }
}
