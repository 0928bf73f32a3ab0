//! Plots of a result, as SVG.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::figure::digits;

/// The size of a plot.
const SIZE: (f64, f64) = (640.0, 360.0);
/// The space around its area: left, right, top, bottom.
const MARGIN: (f64, f64, f64, f64) = (64.0, 70.0, 34.0, 46.0);
/// The line height of text.
const LINE_HEIGHT: f64 = 14.0;
/// The colours of the lines, in order. They are suitable for light and dark backgrounds and for colour-blind readers.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// The contents of a plot.
struct Plot {
    name: &'static str,
    title: &'static str,
    x: Axis,
    y: Axis,
}

struct Axis {
    title: &'static str,
    logarithmic: bool,
    show: fn(f64) -> String,
}

struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

const PLOTS: [Plot; 2] = [
    Plot {
        name: "throughput",
        title: "Throughput of one flat job, against its size",
        x: Axis { title: "tasks in the job", logarithmic: true, show: short },
        y: Axis { title: "tasks a second", logarithmic: false, show: short },
    },
    Plot {
        name: "latency",
        title: "Latency of a job of two tasks, against load",
        x: Axis { title: "load, in percent of the most", logarithmic: false, show: |x| short(x * 100.0) },
        y: Axis { title: "milliseconds", logarithmic: true, show: |y| short(y * 1000.0) },
    },
];

/// Formats a number on an axis.
fn short(value: f64) -> String {
    let text = digits(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Draws all plots for which the result contains points.
pub(super) fn draw(json: &Path, into: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(json).map_err(|error| format!("cannot read {}: {error}", json.display()))?;
    let result: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", json.display()))?;
    let mut drawn = 0;
    for plot in &PLOTS {
        let lines = lines(&result, plot.name);
        if lines.is_empty() {
            continue;
        }
        let path = into.join(format!("performance-{}.svg", plot.name));
        std::fs::write(&path, svg(plot, &lines))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        eprintln!("{}", path.display());
        drawn += 1;
    }
    if drawn == 0 {
        let advice = "measure the workloads sizes and load too";
        return Err(format!("{} has no points to draw: {advice}", json.display()));
    }
    Ok(())
}

fn lines(result: &Value, plot: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for point in result["points"].as_array().into_iter().flatten().filter(|point| point["plot"] == plot) {
        let (Some(name), Some(x), Some(y)) =
            (point["line"].as_str(), point["x"].as_f64(), point["y"]["median"].as_f64())
        else {
            continue;
        };
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push((x, y)),
            None => lines.push(Line { name: name.to_owned(), points: vec![(x, y)] }),
        }
    }
    lines
}

fn svg(plot: &Plot, lines: &[Line]) -> String {
    let (left, right, top, bottom) = MARGIN;
    let (width, height) = (SIZE.0 - left - right, SIZE.1 - top - bottom);
    let xs = Scale::over(lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)), plot.x.logarithmic);
    let ys = Scale::over(lines.iter().flat_map(|line| line.points.iter().map(|point| point.1)), plot.y.logarithmic);
    let (px, py) = (|x: f64| left + xs.at(x) * width, |y: f64| top + (1.0 - ys.at(y)) * height);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{left}\" y=\"20\" font-weight=\"bold\">{}</text>\n",
        SIZE.0, SIZE.1, plot.title
    );
    for tick in ys.ticks() {
        let y = py(tick);
        let _ = writeln!(out, "<path d=\"M{left} {y:.1}h{width}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y + 4.0,
            (plot.y.show)(tick)
        );
    }
    for tick in xs.ticks() {
        let (x, foot) = (px(tick), top + height);
        let _ = writeln!(out, "<path d=\"M{x:.1} {foot}v4\" stroke=\"#888\"/>");
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            foot + 18.0,
            (plot.x.show)(tick)
        );
    }
    let _ = writeln!(out, "<path d=\"M{left} {top}v{height}h{width}\" fill=\"none\" stroke=\"#888\"/>");
    let (middle, foot) = (left + width / 2.0, SIZE.1 - 8.0);
    let _ = writeln!(out, "<text x=\"{middle}\" y=\"{foot}\" text-anchor=\"middle\">{}</text>", plot.x.title);
    let side = top + height / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"14\" y=\"{side}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {side})\">{}</text>",
        plot.y.title
    );
    let mut ends = Vec::new();
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let places: Vec<(f64, f64)> = line.points.iter().map(|(x, y)| (px(*x), py(*y))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (x, y) in &places {
            let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        if let Some(end) = places.last() {
            ends.push((*end, line.name.as_str(), *colour));
        }
    }
    names(&mut out, ends);
    out.push_str("</svg>\n");
    out
}

/// Writes the names of lines at their ends, those of neighbours apart from each other.
fn names(out: &mut String, mut ends: Vec<((f64, f64), &str, &str)>) {
    ends.sort_by(|one, two| one.0.1.total_cmp(&two.0.1));
    let mut free = f64::NEG_INFINITY;
    for ((x, y), name, colour) in ends {
        let y = (y + 4.0).max(free);
        free = y + LINE_HEIGHT;
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{name}</text>", x + 8.0);
    }
}

/// Maps values to positions from 0 to 1.
struct Scale {
    least: f64,
    most: f64,
    logarithmic: bool,
}

impl Scale {
    /// From nothing to a little more than the most; logarithmic, from power to power of ten.
    fn over(values: impl Iterator<Item = f64>, logarithmic: bool) -> Self {
        let (least, most) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)));
        if logarithmic {
            let (floor, ceiling) = (least.log10().floor(), most.log10().ceil());
            return Self { least: floor, most: ceiling.max(floor + 1.0), logarithmic };
        }
        Self { least: 0.0, most: (most * 1.05).max(f64::MIN_POSITIVE), logarithmic }
    }

    fn at(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.log10() } else { value };
        (value - self.least) / (self.most - self.least)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            // A short axis gets some between the powers of ten.
            let factors: &[f64] = if self.most - self.least < 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            let powers = (self.least as i32..=self.most as i32).map(|power| 10f64.powi(power));
            let ticks = powers.flat_map(|power| factors.iter().map(move |factor| factor * power));
            return ticks.filter(|tick| self.at(*tick) <= 1.0).collect();
        }
        let rough = self.most / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(power);
        (0..).map(|at| f64::from(at) * step).take_while(|tick| *tick <= self.most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let scale = Scale::over([3.0, 470.0].into_iter(), false);
        assert_eq!(scale.ticks(), [0.0, 100.0, 200.0, 300.0, 400.0]);
        let scale = Scale::over([20.0, 30_000.0].into_iter(), true);
        assert_eq!(scale.ticks(), [10.0, 100.0, 1000.0, 10_000.0, 100_000.0]);
        assert_eq!((scale.at(10.0), scale.at(100_000.0)), (0.0, 1.0));
        assert_eq!(Scale::over([2.0, 90.0].into_iter(), true).ticks(), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
    }

    #[test]
    fn every_point_is_drawn() {
        let lines = vec![Line { name: "Hub".to_owned(), points: vec![(10.0, 1.0), (100.0, 5.0), (1000.0, 4.0)] }];
        let text = svg(&PLOTS[0], &lines);
        assert_eq!((text.matches("<circle").count(), text.matches("<polyline").count()), (3, 1));
        assert!(text.ends_with("</svg>\n"));
    }

    #[test]
    fn names_do_not_cover_each_other() {
        let line = |name: &str, y: f64| Line { name: name.to_owned(), points: vec![(0.1, y), (0.9, y)] };
        let text = svg(&PLOTS[1], &[line("p50", 0.01), line("p95", 0.020), line("p99", 0.0201)]);
        let heights = text.lines().filter(|line| line.contains(">p")).map(|line| {
            let after = line.split("y=\"").nth(1).unwrap();
            after.split('"').next().unwrap().parse::<f64>().unwrap()
        });
        let mut heights: Vec<f64> = heights.collect();
        heights.sort_by(f64::total_cmp);
        assert!(heights.len() == 3 && heights.windows(2).all(|pair| pair[1] - pair[0] >= LINE_HEIGHT), "{heights:?}");
    }
}
