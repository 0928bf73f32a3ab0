//! The times of a job: when it starts, and its deadline.

use super::model::Job;
use super::moment::{Due, Moment};
use super::path::Path;
use super::position::Positions;
use super::problem::{Problem, ProblemCode};
use super::report::Report;
use crate::Timestamp;

impl Job {
    /// Whether the job has a start, a deadline, or handlers, which have one.
    #[must_use]
    pub fn has_times(&self) -> bool {
        self.start_at().is_some() || self.deadline().is_some() || self.has_handlers()
    }

    /// When the job starts that was submitted at this time.
    #[must_use]
    pub fn start(&self, submitted_at: Timestamp) -> Option<Due> {
        self.start_at().map(|start| match start {
            Moment::At(time) => Due::Wall(time),
            Moment::After(duration) => Due::Clock { at: submitted_at.after(duration), longest: duration },
        })
    }

    /// The time of the wall clock at which the job starts, if it is given as such.
    #[must_use]
    pub fn absolute_start(&self) -> Option<Timestamp> {
        match self.start_at() {
            Some(Moment::At(time)) => Some(time),
            _ => None,
        }
    }

    /// The deadline of the job that was submitted at this time. A duration begins at the submission, or at the start if
    /// that is later.
    #[must_use]
    pub fn due(&self, submitted_at: Timestamp) -> Option<Due> {
        self.deadline().map(|deadline| match deadline {
            Moment::At(time) => Due::Wall(time),
            Moment::After(duration) => {
                let begin = match self.start(submitted_at) {
                    Some(Due::Wall(at) | Due::Clock { at, .. }) => at.max(submitted_at),
                    None => submitted_at,
                };
                let at = begin.after(duration);
                Due::Clock { at, longest: at.since(submitted_at) }
            }
        })
    }

    /// The problem of a new job whose deadline has passed.
    #[must_use]
    pub fn passed_deadline(&self, now: Timestamp) -> Option<Problem> {
        let Some(Moment::At(time)) =
            self.deadline().filter(|deadline| matches!(deadline, Moment::At(time) if *time <= now))
        else {
            return None;
        };
        let place = self.options().deadline_at.map(|at| Positions::new(&self.source).of(at));
        Some(Problem {
            code: ProblemCode::OutOfRange,
            path: Path::Root.key("deadline").to_string(),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message: format!("the deadline {time} has passed: it is {now}"),
            suggestion: Some("give a later time, or a duration such as \"2h\"".to_owned()),
        })
    }
}

/// A deadline has to be later than the start.
pub(super) fn check(report: &mut Report, times: (Option<Moment>, Option<Moment>), deadline_at: Option<usize>) {
    if let (Some(Moment::At(start)), Some(Moment::At(deadline))) = times
        && deadline <= start
    {
        let message = format!("the deadline {deadline} is not after start_at, which is {start}");
        report.add(ProblemCode::OutOfRange, Path::Root.key("deadline"), deadline_at.unwrap_or_default(), message, None);
    }
}
