//! Computes results from rounds: medians, ratios and verdicts, also as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cost::Role;
use super::figure::{Figure, Scale, Verdict, median};
use super::processes::Usage;
use super::round::Round;

/// The version of the JSON.
const FORMAT: u32 = 1;

/// The results of all rounds.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) bound: Option<BoundResult>,
    pub(super) results: Vec<FigureResult>,
    pub(super) costs: Vec<CostResult>,
    pub(super) points: Vec<PointResult>,
}

/// All measurements of the broker alone.
#[derive(Debug)]
pub(super) struct BoundResult {
    pub(super) echoes_per_second: Vec<f64>,
    pub(super) round_trip: Vec<f64>,
}

/// A figure of all rounds.
#[derive(Debug)]
pub(super) struct FigureResult {
    pub(super) figure: Figure,
    /// One value for each round.
    pub(super) values: Vec<f64>,
    /// The same, compared as the figure says. Empty where it is compared with nothing, or with what was not measured.
    pub(super) compared: Vec<f64>,
}

/// The median cost of a workload.
#[derive(Debug)]
pub(super) struct CostResult {
    pub(super) workload: String,
    /// Processor time per task, and peak memory.
    pub(super) each: BTreeMap<Role, Usage>,
}

/// A point of a plot, as the median.
#[derive(Debug)]
pub(super) struct PointResult {
    plot: &'static str,
    line: &'static str,
    x: f64,
    values: Vec<f64>,
}

impl Report {
    pub(super) fn new(figures: Vec<Figure>, rounds: &[Round]) -> Self {
        let bounds: Vec<_> = rounds.iter().flat_map(|round| &round.bounds).collect();
        let bound = (!bounds.is_empty()).then(|| BoundResult {
            echoes_per_second: bounds.iter().map(|bound| bound.echoes_per_second).collect(),
            round_trip: bounds.iter().map(|bound| bound.round_trip.as_secs_f64()).collect(),
        });
        let results = figures.into_iter().map(|figure| FigureResult::new(figure, rounds)).collect();
        Self { bound, results, costs: costs(rounds), points: points(rounds) }
    }

    /// The results as JSON.
    pub(super) fn to_json(&self, machine: &Value, settings: &Value) -> Value {
        json!({
            "format": FORMAT,
            "machine": machine,
            "settings": settings,
            "bound": self.bound.as_ref().map(|bound| json!({
                "echoes_per_second": spread(&bound.echoes_per_second),
                "round_trip": spread(&bound.round_trip),
            })),
            "figures": self.results.iter().map(FigureResult::to_json).collect::<Vec<_>>(),
            "costs": self.costs.iter().map(CostResult::to_json).collect::<Vec<_>>(),
            "points": self.points.iter().map(PointResult::to_json).collect::<Vec<_>>(),
        })
    }
}

impl FigureResult {
    fn new(figure: Figure, rounds: &[Round]) -> Self {
        let values = rounds.iter().filter_map(|round| round.value(&figure.key)).collect();
        let compared = rounds.iter().filter_map(|round| compare(&figure, round)).collect();
        Self { figure, values, compared }
    }

    /// The verdict, if the figure has a target and its reference was measured.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        let judged = if self.figure.scale == Scale::Absolute { &self.values } else { &self.compared };
        let target = self.figure.target.filter(|_| !judged.is_empty())?;
        Some(target.judge(median(judged)))
    }

    fn to_json(&self) -> Value {
        let Self { figure, values, compared } = self;
        let to = match &figure.scale {
            Scale::Absolute => None,
            Scale::Echoes => Some("echoes a second of the bound".to_owned()),
            Scale::RoundTrips(count) => Some(format!("{count} idle round trips of the bound")),
            Scale::AtEchoes(echoes) => Some(format!("seconds at a bound of {echoes} echoes a second")),
            Scale::Figure(key) => Some(key.clone()),
        };
        json!({
            "key": figure.key, "title": figure.title, "unit": figure.unit.base(), "measured": spread(values),
            "compared_with": to, "compared": spread(compared),
            "target": figure.target.map(|target| json!({"at_least": target.at_least, "ideal": target.ideal})),
            "verdict": self.verdict().map(Verdict::as_str),
        })
    }
}

impl CostResult {
    fn to_json(&self) -> Value {
        let each = self.each.iter().map(|(role, usage)| {
            (role.name().to_owned(), json!({"cpu_seconds_per_task": usage.cpu, "peak_bytes": usage.peak}))
        });
        json!({"workload": self.workload, "processes": each.collect::<serde_json::Map<_, _>>()})
    }
}

impl PointResult {
    fn to_json(&self) -> Value {
        json!({"plot": self.plot, "line": self.line, "x": self.x, "y": spread(&self.values)})
    }
}

/// The figure of a round relative to its reference.
fn compare(figure: &Figure, round: &Round) -> Option<f64> {
    let value = round.value(&figure.key)?;
    let bound = || round.bound_of(&figure.key);
    match &figure.scale {
        Scale::Absolute => None,
        Scale::Echoes => Some(value / bound()?.echoes_per_second),
        Scale::RoundTrips(count) => Some(value / (bound()?.round_trip.as_secs_f64() * f64::from(*count))),
        Scale::AtEchoes(echoes) => Some(value * bound()?.echoes_per_second / echoes),
        // A value of less than one clock tick cannot be a reference.
        Scale::Figure(key) => Some(value / round.value(key).filter(|other| *other > 0.0)?),
    }
}

fn costs(rounds: &[Round]) -> Vec<CostResult> {
    let names = rounds.first().map(|round| &round.costs).into_iter().flatten().map(|cost| &cost.workload);
    names
        .map(|name| {
            let same = || rounds.iter().flat_map(|round| &round.costs).filter(|cost| cost.workload == *name);
            let of = |role: Role, what: fn(&Usage, f64) -> f64| {
                let values: Vec<f64> =
                    same().filter_map(|cost| Some(what(cost.used.get(&role)?, cost.tasks as f64))).collect();
                (!values.is_empty()).then(|| median(&values))
            };
            let usage = |role: Role| {
                let cpu = of(role, |usage, tasks| usage.cpu / tasks)?;
                Some((role, Usage { cpu, peak: of(role, |usage, _| usage.peak)? }))
            };
            CostResult { workload: name.clone(), each: Role::ALL.into_iter().filter_map(usage).collect() }
        })
        .collect()
}

fn points(rounds: &[Round]) -> Vec<PointResult> {
    let mut results: Vec<PointResult> = Vec::new();
    for point in rounds.iter().flat_map(|round| &round.points) {
        let same = |known: &&mut PointResult| (known.plot, known.line, known.x) == (point.plot, point.line, point.x);
        match results.iter_mut().find(same) {
            Some(known) => known.values.push(point.y),
            None => {
                results.push(PointResult { plot: point.plot, line: point.line, x: point.x, values: vec![point.y] });
            }
        }
    }
    results
}

/// Values with their median, minimum and maximum.
fn spread(values: &[f64]) -> Value {
    if values.is_empty() {
        return Value::Null;
    }
    let end = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick);
    json!({"median": median(values), "min": end(f64::min), "max": end(f64::max), "values": values})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::bound::Bound;
    use crate::bench::figure::Unit;

    fn round(echoes: f64, rate: f64, time: f64) -> Round {
        let mut round = Round::default();
        round.note("rate", rate);
        round.bounds.push(Bound { echoes_per_second: echoes, round_trip: Duration::from_millis(2) });
        round.note("time", time);
        round.bounds.push(Bound { echoes_per_second: 0.0, round_trip: Duration::from_millis(6) });
        round
    }

    #[test]
    fn each_figure_is_compared_with_the_bound_of_its_own_time() {
        let figures = vec![
            Figure::new("rate", "rate", Unit::PerSecond).to(Scale::Echoes).above(0.5, 0.8),
            Figure::new("time", "time", Unit::Millis).to(Scale::RoundTrips(5)).below(1.6, 1.1),
            Figure::new("other", "not measured", Unit::Millis).beside("rate").below(1.0, 1.0),
        ];
        let rounds = [round(1000.0, 500.0, 0.02), round(2000.0, 1200.0, 0.04), round(500.0, 450.0, 0.024)];
        let report = Report::new(figures, &rounds);
        assert_eq!(report.results[0].compared, [0.5, 0.6, 0.9]);
        assert_eq!(report.results[0].verdict(), Some(Verdict::Met));
        assert_eq!(report.results[1].compared, [1.0, 2.0, 1.2]);
        assert_eq!(report.results[1].verdict(), Some(Verdict::Met));
        assert_eq!((report.results[2].verdict(), report.results[2].values.len()), (None, 0));
        let json = report.to_json(&Value::Null, &Value::Null);
        assert_eq!(json["figures"][0]["measured"]["median"], 500.0);
        assert_eq!(json["bound"]["echoes_per_second"]["max"], 2000.0);
    }
}
