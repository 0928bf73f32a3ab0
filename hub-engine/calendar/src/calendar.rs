//! A schedule's times, ready for use.

use std::collections::HashSet;
use std::sync::Arc;

use crate::cron::Cron;
use crate::error::{CalendarError, CalendarField};
use crate::interval::Interval;
use crate::range::{MAXIMUM_MS, MAXIMUM_SECOND};
use crate::spec::CalendarSpec;
use crate::zone::Zone;

/// Maximum number of cron expressions of a schedule.
const MAXIMUM_EXPRESSIONS: usize = 100;

/// The times of a schedule. A clone shares the data of the original.
#[derive(Clone, Debug)]
pub struct Calendar {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    zone: Zone,
    times: Times,
    notes: Vec<String>,
}

#[derive(Debug)]
enum Times {
    Cron(Vec<Cron>),
    Every(Interval),
}

impl Calendar {
    /// Reads what a schedule says about its times.
    ///
    /// # Errors
    ///
    /// All problems, in the order cron, every, anchor, timezone. A cron expression that never fires is a problem.
    pub fn new(spec: &CalendarSpec) -> Result<Self, Vec<CalendarError>> {
        let mut problems = Vec::new();
        let times = times(spec, &mut problems);
        let zone = Zone::parse(&spec.timezone).map_err(|problem| problems.push(problem)).ok();
        let (Some(times), Some(zone), true) = (times, zone, problems.is_empty()) else { return Err(problems) };
        let mut notes = match &times {
            Times::Cron(crons) => notes_of_crons(spec, crons),
            Times::Every(_) => Vec::new(),
        };
        notes.extend(zone.note());
        Ok(Self { inner: Arc::new(Inner { zone, times, notes }) })
    }

    /// The first firing after `after`, both in milliseconds since 1970. A firing at `after` itself does not count.
    ///
    /// `None` if there is no firing up to the end of 29 December 9999, or if `after` is before 1970. The value −1 is allowed, so
    /// that a firing at 0 can be found.
    #[must_use]
    pub fn next_after(&self, after: i64) -> Option<i64> {
        if !(-1..MAXIMUM_MS).contains(&after) {
            return None;
        }
        match &self.inner.times {
            Times::Every(interval) => interval.next_after(after),
            Times::Cron(crons) => {
                let from = after.div_euclid(1000) + 1;
                // No later firing than the earliest one so far is looked for.
                let mut best = None;
                for cron in crons {
                    let until = best.map_or(MAXIMUM_SECOND, |best| best - 1);
                    best = self.inner.zone.first_firing(cron, from, until).or(best);
                }
                best.map(|second: i64| second * 1000)
            }
        }
    }

    /// The local time with the offset from UTC, such as `2026-03-29T03:00:00+02:00`. `at` is in milliseconds since
    /// 1970; fractions of a second are omitted. Offsets of early dates may have seconds. A time before 1970 or after
    /// 29 December 9999 is returned as a number.
    #[must_use]
    pub fn local(&self, at: i64) -> String {
        self.inner.zone.local(at).unwrap_or_else(|| format!("{at} ms since 1970"))
    }

    /// The abbreviation that the zone uses at a time in milliseconds since 1970, such as `CEST`. Zones without
    /// abbreviations have an offset instead, such as `+0545`. `None` if the time is before 1970 or after 29 December
    /// 9999.
    #[must_use]
    pub fn abbreviation(&self, at: i64) -> Option<String> {
        self.inner.zone.abbreviation(at)
    }

    /// The name of the time zone.
    #[must_use]
    pub fn timezone(&self) -> &str {
        self.inner.zone.name()
    }

    /// What the author of the schedule may not expect, in complete sentences. If there are several cron expressions,
    /// each sentence begins with the expression that it is about.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.inner.notes.clone()
    }
}

fn times(spec: &CalendarSpec, problems: &mut Vec<CalendarError>) -> Option<Times> {
    let problem = CalendarError::of_value;
    match (spec.cron.is_empty(), spec.every) {
        (true, None) => {
            let why = "is missing: write cron, for example \"0 6 * * mon-fri\", or every, for example \"5m\"";
            problems.push(problem(CalendarField::Cron, why));
            None
        }
        (false, Some(every)) => {
            let _ = crons(&spec.cron, problems);
            problems.push(problem(CalendarField::Every, "must not be used together with cron: remove one of them"));
            let _ = Interval::new(every, Some(spec.anchor.unwrap_or(0)), problems);
            None
        }
        (true, Some(every)) => Interval::new(every, spec.anchor, problems).map(Times::Every),
        (false, None) => {
            let crons = crons(&spec.cron, problems);
            if spec.anchor.is_some() {
                problems.push(problem(CalendarField::Anchor, "is used only with every: remove it"));
            }
            Some(Times::Cron(crons))
        }
    }
}

fn crons(texts: &[String], problems: &mut Vec<CalendarError>) -> Vec<Cron> {
    if texts.len() > MAXIMUM_EXPRESSIONS {
        let message = format!("a schedule has at most {MAXIMUM_EXPRESSIONS} cron expressions, not {}", texts.len());
        let error = CalendarError::of_value(CalendarField::Cron, message);
        problems.push(CalendarError { index: MAXIMUM_EXPRESSIONS, ..error });
    }
    let mut crons = Vec::new();
    for (index, text) in texts.iter().take(MAXIMUM_EXPRESSIONS).enumerate() {
        match Cron::parse(text) {
            Ok(cron) => crons.push(cron),
            Err(refused) => problems.extend(refused.into_iter().map(|problem| CalendarError {
                field: CalendarField::Cron,
                index,
                position: problem.position,
                message: problem.message,
                suggestion: problem.suggestion,
            })),
        }
    }
    crons
}

fn notes_of_crons(spec: &CalendarSpec, crons: &[Cron]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut seen = HashSet::new();
    for (text, cron) in spec.cron.iter().zip(crons) {
        if !seen.insert(text) {
            notes.push(format!("{text:?}: The expression is in the list more than once. It fires once."));
            continue;
        }
        let is_one_of_many = crons.len() > 1;
        notes.extend(
            cron.notes().into_iter().map(|note| if is_one_of_many { format!("{text:?}: {note}") } else { note }),
        );
    }
    notes
}
