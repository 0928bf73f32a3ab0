//! One run of the chosen workloads, with what it yielded.

use std::collections::BTreeMap;

use super::bound::Bound;
use super::cost::{Used, total_cpu};

/// What one round yielded.
#[derive(Debug)]
pub(super) struct Round {
    /// What the broker alone did at its beginning. `None`: no broker was needed.
    pub(super) bound: Option<Bound>,
    /// Figures by key.
    pub(super) values: BTreeMap<String, f64>,
    pub(super) costs: Vec<Cost>,
    pub(super) points: Vec<Point>,
}

/// What a workload cost.
#[derive(Clone, Debug)]
pub(super) struct Cost {
    pub(super) workload: String,
    /// How many tasks it was (echoes, for the bound).
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
    pub(super) const fn new(bound: Option<Bound>) -> Self {
        Self { bound, values: BTreeMap::new(), costs: Vec::new(), points: Vec::new() }
    }

    /// Notes a figure.
    pub(super) fn note(&mut self, key: &str, value: f64) {
        let before = self.values.insert(key.to_owned(), value);
        assert!(before.is_none() && value.is_finite(), "{key} is {value}, and was {before:?}");
        eprintln!("    {key} {value:.6}");
    }

    /// Notes what a workload cost.
    pub(super) fn cost(&mut self, workload: &str, tasks: usize, used: Used) {
        eprintln!("    {workload} cpu {:.1} µs a task", total_cpu(&used) / tasks as f64 * 1e6);
        self.costs.push(Cost { workload: workload.to_owned(), tasks, used });
    }

    /// Notes a point of a plot.
    pub(super) fn point(&mut self, plot: &'static str, line: &'static str, x: f64, y: f64) {
        eprintln!("    {plot} {line} {x:.2} {y:.6}");
        self.points.push(Point { plot, line, x, y });
    }
}
