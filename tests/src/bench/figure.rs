//! A measured figure: its name, its unit, its reference and its target.

/// A figure, measured once in each round.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// The key for programs, which begins with the name of the workload.
    pub(super) key: String,
    /// The title for people.
    pub(super) title: String,
    pub(super) unit: Unit,
    pub(super) scale: Scale,
    pub(super) target: Option<Target>,
}

/// The unit of a figure. Values are in seconds, bytes or counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    PerSecond,
    Millis,
    Micros,
    Megabytes,
    Percent,
}

/// The reference of a figure, from the same round.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scale {
    /// No reference: the target is absolute.
    Absolute,
    /// The echoes per second of the broker alone.
    Echoes,
    /// A number of idle round trips of the broker alone.
    RoundTrips(u32),
    /// Scaled to a broker with this number of echoes per second.
    AtEchoes(f64),
    /// Another figure.
    Figure(String),
}

/// The target of a figure relative to its reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) at_least: f64,
    pub(super) ideal: f64,
    pub(super) better: Better,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    Higher,
    Lower,
}

/// The comparison of a value with its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ideal,
    Met,
    Missed,
}

impl Figure {
    pub(super) fn new(key: impl Into<String>, title: impl Into<String>, unit: Unit) -> Self {
        Self { key: key.into(), title: title.into(), unit, scale: Scale::Absolute, target: None }
    }

    /// Sets the reference.
    pub(super) fn to(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// Sets another figure as the reference.
    pub(super) fn beside(self, key: &str) -> Self {
        self.to(Scale::Figure(key.to_owned()))
    }

    /// Sets a target for a figure that should be high.
    pub(super) fn above(mut self, at_least: f64, ideal: f64) -> Self {
        self.target = Some(Target { at_least, ideal, better: Better::Higher });
        self
    }

    /// Sets a target for a figure that should be low.
    pub(super) fn below(mut self, at_least: f64, ideal: f64) -> Self {
        self.target = Some(Target { at_least, ideal, better: Better::Lower });
        self
    }
}

impl Unit {
    /// A value with its unit, for people.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{} /s", digits(value)),
            Self::Millis => format!("{} ms", digits(value * 1e3)),
            Self::Micros => format!("{} µs", digits(value * 1e6)),
            Self::Megabytes => format!("{} MB", digits(value / 1e6)),
            Self::Percent => format!("{} %", digits(value * 1e2)),
        }
    }

    /// The base unit of values, for programs.
    pub(super) const fn base(self) -> &'static str {
        match self {
            Self::PerSecond => "1/s",
            Self::Millis | Self::Micros => "s",
            Self::Megabytes => "B",
            Self::Percent => "1",
        }
    }
}

impl Target {
    pub(super) fn judge(&self, value: f64) -> Verdict {
        let reaches = |target: f64| match self.better {
            Better::Higher => value >= target,
            Better::Lower => value <= target,
        };
        match () {
            () if reaches(self.ideal) => Verdict::Ideal,
            () if reaches(self.at_least) => Verdict::Met,
            () => Verdict::Missed,
        }
    }
}

impl Verdict {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ideal => "ideal",
            Self::Met => "met",
            Self::Missed => "missed",
        }
    }
}

/// Formats a value with three significant digits.
pub(super) fn digits(value: f64) -> String {
    let before = value.abs().max(1e-9).log10().floor() as i32;
    let after = usize::try_from((2 - before).clamp(0, 3)).unwrap_or_default();
    let text = format!("{value:.after$}");
    let (sign, rest) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

/// A percentile: 0.5 is the median. Between two values, their mean.
pub(super) fn percentile(values: &[f64], part: f64) -> f64 {
    assert!(!values.is_empty(), "there is nothing to take a percentile of");
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    (above - below).mul_add(at.fract(), below)
}

/// The median.
pub(super) fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_between_the_values() {
        let values = [4.0, 1.0, 3.0, 2.0, 5.0];
        assert_eq!(median(&values), 3.0);
        assert_eq!(median(&values[..4]), 2.5);
        assert_eq!((percentile(&values, 0.0), percentile(&values, 1.0)), (1.0, 5.0));
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
    }

    #[test]
    fn values_are_shown_with_three_digits() {
        let shown = [0.0, 0.01234, 0.5, 1.234, 12.34, 123.4, 12_345.6, 1_234_567.0, -4321.0].map(digits);
        assert_eq!(shown, ["0.000", "0.012", "0.500", "1.23", "12.3", "123", "12,346", "1,234,567", "-4,321"]);
        assert_eq!(Unit::Micros.show(0.000_061), "61.0 µs");
    }

    #[test]
    fn targets_have_a_direction() {
        let more = Figure::new("k", "t", Unit::PerSecond).above(0.5, 0.8).target.unwrap();
        assert_eq!([0.4, 0.5, 0.9].map(|value| more.judge(value)), [Verdict::Missed, Verdict::Met, Verdict::Ideal]);
        let less = Figure::new("k", "t", Unit::Millis).below(120.0, 40.0).target.unwrap();
        assert_eq!([121.0, 41.0, 40.0].map(|value| less.judge(value)), [Verdict::Missed, Verdict::Met, Verdict::Ideal]);
    }
}
