//! Schedules: checks them before they are kept, and prepares their jobs.

use std::sync::Arc;

use hub_core::Timestamp;
use hub_core::job::{Limits, Problem, ProblemCode, Problems};
use hub_core::machine::{LiveScheduleView, Remark};
use hub_core::schedule::{KeptSchedule, Preparation, Schedule, ScheduledStart};
use hub_core::{JobId, Json};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::inputs::{Ask, Input, PreparedRun, ScheduleAsk, ScheduleControl, Submit};
use super::intake::{Answered, Arrival, full, refusal, stopping};
use super::local::LocalHub;
use super::room::ParsePermit;
use crate::clock::wall;
use crate::operations::{
    NamePage, RequestError, RequestErrorKind, ScheduleAnswer, ScheduleChange, ScheduleDraft, ScheduleName,
    SchedulePage, ScheduleRecord, ScheduleRequest, ScheduleSet, ScheduleSummary, ScheduleTrigger, Submitted,
    UpcomingRun,
};

/// Maximum size of a schedule in bytes.
const MAXIMUM_BYTES: usize = 1024 * 1024;
/// Maximum number of schedules.
const MAXIMUM_SCHEDULES: usize = 100_000;
/// Maximum size of the texts of all schedules in bytes. A job in a schedule counts twice.
const MAXIMUM_TOTAL_BYTES: u64 = 256 * 1024 * 1024;
/// Maximum length of who changes a schedule, in bytes.
const MAXIMUM_BY: usize = 256;

impl LocalHub {
    pub(super) async fn answer_schedule(&self, request: ScheduleRequest) -> Result<ScheduleAnswer, RequestError> {
        let remark = |by: Option<String>, reason: Option<String>| {
            [&by, &reason].into_iter().flatten().try_for_each(|text| check_remark(text))?;
            Ok::<_, RequestError>(Remark { by: by.map(Into::into), reason: reason.map(Into::into) })
        };
        match request {
            ScheduleRequest::Set(draft) => self.set_schedule(draft).await.map(ScheduleAnswer::Set),
            ScheduleRequest::List(filter) => self.list_schedules(filter).await.map(ScheduleAnswer::List),
            ScheduleRequest::Get { name } => {
                let view = self.known_schedule(&name).await?;
                Ok(ScheduleAnswer::One(Box::new(record(&view))))
            }
            ScheduleRequest::Remove { name } => self.control_schedule(name, ScheduleControl::Remove).await,
            ScheduleRequest::Pause(order) => {
                let remark = remark(order.by, order.reason)?;
                self.control_schedule(order.name, ScheduleControl::Pause(remark)).await
            }
            ScheduleRequest::Resume(order) => {
                remark(order.by, order.reason)?;
                self.control_schedule(order.name, ScheduleControl::Resume).await
            }
            ScheduleRequest::Trigger(trigger) => self.trigger(trigger).await.map(ScheduleAnswer::Triggered),
        }
    }

    async fn set_schedule(&self, draft: ScheduleDraft) -> Result<ScheduleSet, RequestError> {
        let ScheduleDraft { name, text, by, dry_run } = draft;
        by.iter().try_for_each(|by| check_remark(by))?;
        // What the request would change depends on the changes before it, so these are committed first.
        let _turn = self.intake.defining.lock().await;
        let before = self.find_schedule(&name).await?.map(|view| view.snapshot.kept);
        let now = wall();
        let created_at = before.as_ref().map_or(now, |before| before.created_at);
        let limits = Limits { max_bytes: MAXIMUM_BYTES, ..self.intake.limits.clone() };
        let schedule = Schedule::parse(&text, &limits, created_at).map_err(invalid)?;
        if *schedule.name() != name {
            let message = format!("the text is that of the schedule {:?}, not of {name:?}", schedule.name());
            return Err(RequestError::new(RequestErrorKind::InvalidRequest, message));
        }
        let mut warnings = schedule.notes();
        warnings.extend(self.try_job(&schedule, now).await?);
        let change = match &before {
            None => ScheduleChange::Created,
            Some(before) if *before.schedule == schedule => ScheduleChange::Unchanged,
            Some(_) => ScheduleChange::Changed,
        };
        let upcoming = upcoming(&schedule, now);
        if upcoming.is_empty() {
            warnings.push("the schedule has ended: it starts no more jobs".to_owned());
        }
        if !dry_run && change != ScheduleChange::Unchanged {
            let uid = before.map_or_else(|| self.new_uid(&name, now), |before| before.uid);
            let is_new = change == ScheduleChange::Created;
            self.check_room(&schedule, is_new).await?;
            let schedule = Arc::new(schedule);
            let kept = Arc::new(KeptSchedule { uid, created_at, changed_at: now, by: by.map(Into::into), schedule });
            self.ask_schedule(|answer| ScheduleAsk::Set(kept, answer)).await?;
        }
        Ok(ScheduleSet { name, change, upcoming, warnings })
    }

    /// Refuses a schedule if there are too many, or their texts are too large together.
    async fn check_room(&self, schedule: &Schedule, is_new: bool) -> Result<(), RequestError> {
        let (count, bytes) = self.ask_schedule(ScheduleAsk::Size).await?;
        let own = (schedule.source().len() + schedule.run_text().len()) as u64;
        let message = if is_new && count >= MAXIMUM_SCHEDULES {
            format!("there are {MAXIMUM_SCHEDULES} schedules, and more are not allowed: remove some")
        } else if bytes + own > MAXIMUM_TOTAL_BYTES {
            let limit = MAXIMUM_TOTAL_BYTES;
            format!(
                "the schedules would have more than {limit} bytes together: let them start definitions instead of containing jobs"
            )
        } else {
            return Ok(());
        };
        Err(RequestError::new(RequestErrorKind::TooMany, message))
    }

    /// What identifies a new schedule. A name has one schedule at a time, so its name and the time of its creation do.
    fn new_uid(&self, name: &str, created_at: Timestamp) -> Uuid {
        let text = format!("{}.{}.{name}", created_at.as_millis(), self.incarnation());
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
    }

    /// Checks the job of a schedule as if it were submitted. Returns warnings.
    async fn try_job(&self, schedule: &Schedule, now: Timestamp) -> Result<Vec<String>, RequestError> {
        let text = bytes::Bytes::copy_from_slice(schedule.run_text().as_bytes());
        let mut permit = self.intake.room.parse_permit(text.len()).await;
        let job = self.intake.try_out(text, &mut permit).await.map_err(|error| at_schedule(schedule, error))?;
        let problem = |path: &str, message: &str, suggestion: &str| {
            let (path, message) = (path.to_owned(), message.to_owned());
            let (code, line, column) = (ProblemCode::UnsupportedKey, Some(1), Some(1));
            let problem = Problem { code, path, line, column, message, suggestion: Some(suggestion.into()) };
            Err(invalid(schedule.problem_of_job(problem).into()))
        };
        if job.key().is_some() {
            return problem("$.key", "the job has a key, so it could start only once", "remove the key");
        }
        if let Some(passed) = job.passed_deadline(now) {
            return problem("$.deadline", &passed.message, "give a duration, which counts from each start");
        }
        Ok(job.warnings())
    }

    async fn list_schedules(&self, filter: NamePage) -> Result<SchedulePage, RequestError> {
        let limit = filter.checked_limit()?;
        let ask = |answer| ScheduleAsk::List(filter.after, limit + 1, answer);
        let mut found = self.ask_schedule(ask).await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|last| last.snapshot.name().to_string());
        Ok(SchedulePage { schedules: found.iter().map(summary).collect(), next })
    }

    async fn control_schedule(&self, name: Arc<str>, control: ScheduleControl) -> Result<ScheduleAnswer, RequestError> {
        let _turn = self.intake.defining.lock().await;
        let order = Arc::clone(&name);
        if self.ask_schedule(|answer| ScheduleAsk::Control(order, control, answer)).await? {
            Ok(ScheduleAnswer::Done(ScheduleName { name }))
        } else {
            Err(unknown(&name))
        }
    }

    /// Starts a job of a schedule now.
    async fn trigger(&self, trigger: ScheduleTrigger) -> Result<Submitted, RequestError> {
        let view = self.known_schedule(&trigger.name).await?;
        let schedule = &view.snapshot.kept.schedule;
        let id = trigger.id.unwrap_or_else(|| JobId::new(Uuid::now_v7()));
        let (submit, permit, answered) = self.prepare_job(Arc::clone(schedule.run_text()), id).await?;
        let labels = Some(schedule.labels()).filter(|labels| !labels.is_empty()).cloned();
        let run = view.snapshot.triggered(wall());
        let preparation = Preparation { run, number: 0 };
        let prepared = PreparedRun { preparation, labels, outcome: Ok((submit, permit)) };
        self.intake.inputs.send(Input::Run(Box::new(prepared))).map_err(|_| stopping())?;
        Ok(answered.admitted().await?.into())
    }

    /// Prepares the job of a schedule for one of its times, and passes it to the loop.
    pub(super) async fn prepare_run(&self, start: ScheduledStart) {
        let ScheduledStart { preparation, id, text, labels } = start;
        let outcome = self.prepare_job(text, id).await.map(|(submit, permit, _)| (submit, permit));
        let _ = self.intake.inputs.send(Input::Run(Box::new(PreparedRun { preparation, labels, outcome })));
    }

    async fn prepare_job(&self, text: Arc<str>, id: JobId) -> Result<(Submit, ParsePermit, Answered), RequestError> {
        if self.intake.room.is_full() {
            return Err(full());
        }
        let mut permit = self.intake.room.parse_permit(text.len()).await;
        // Earlier submissions may have reached the limit.
        if self.intake.room.is_full() {
            return Err(full());
        }
        let text = bytes::Bytes::copy_from_slice(text.as_bytes());
        let (submit, answered) = self.intake.check(Arrival { text, id: Some(id) }, None, &mut permit).await?;
        Ok((submit, permit, answered))
    }

    async fn known_schedule(&self, name: &Arc<str>) -> Result<LiveScheduleView, RequestError> {
        self.find_schedule(name).await?.ok_or_else(|| unknown(name))
    }

    async fn find_schedule(&self, name: &Arc<str>) -> Result<Option<LiveScheduleView>, RequestError> {
        self.ask_schedule(|answer| ScheduleAsk::View(Arc::clone(name), answer)).await
    }

    async fn ask_schedule<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> ScheduleAsk) -> Result<T, RequestError> {
        self.ask(|answer| Ask::Schedule(ask(answer))).await
    }
}

fn check_remark(text: &str) -> Result<(), RequestError> {
    if text.len() > MAXIMUM_BY || text.contains(char::is_control) {
        let message = format!("\"by\" or \"reason\" has more than {MAXIMUM_BY} bytes, or control characters");
        return Err(RequestError::new(RequestErrorKind::InvalidRequest, message));
    }
    Ok(())
}

fn unknown(name: &str) -> RequestError {
    let message = format!("there is no schedule {name:?}: hub-client schedules list lists the schedules");
    RequestError::new(RequestErrorKind::NotFound, message)
}

/// The refusal of a schedule with problems.
fn invalid(problems: Problems) -> RequestError {
    let error = refusal(problems);
    let message = error.message.replacen("the job is not valid", "the schedule is not valid", 1);
    RequestError { message, ..error }
}

/// The refusal of a schedule because of its job.
fn at_schedule(schedule: &Schedule, error: RequestError) -> RequestError {
    let problems: Vec<Problem> = error.problems.into_iter().map(|problem| schedule.problem_of_job(problem)).collect();
    let message = match problems.as_slice() {
        [] => format!("the job of the schedule is refused: {}", error.message),
        [one] => format!("the schedule is not valid: {one}"),
        many => format!("the schedule is not valid: {} problems, the first: {}", many.len(), many[0]),
    };
    RequestError { kind: error.kind, message, problems }
}

/// The next times of a schedule after `now`.
fn upcoming(schedule: &Schedule, now: Timestamp) -> Vec<UpcomingRun> {
    let times = schedule.times_after(now).take(ScheduleRecord::UPCOMING);
    times.map(|at| UpcomingRun { at, local: schedule.local(at) }).collect()
}

fn summary(view: &LiveScheduleView) -> ScheduleSummary {
    let state = &view.snapshot.state;
    let schedule = &view.snapshot.kept.schedule;
    ScheduleSummary {
        name: Arc::clone(schedule.name()),
        definition: schedule.definition().map(ToString::to_string),
        next_at: state.next_at.filter(|_| state.paused.is_none()),
        paused: state.paused.clone(),
        last: state.last.clone(),
        running: view.running as u64,
        waiting: state.buffered.len() as u64,
        started: state.started,
        skipped: state.skipped,
        failures: state.failures,
    }
}

fn record(view: &LiveScheduleView) -> ScheduleRecord {
    let (kept, state) = (&view.snapshot.kept, &view.snapshot.state);
    ScheduleRecord {
        summary: summary(view),
        created_at: kept.created_at,
        changed_at: kept.changed_at,
        by: kept.by.clone(),
        upcoming: upcoming(&kept.schedule, wall()),
        jobs: view.jobs.clone(),
        skips: state.skips.iter().rev().cloned().collect(),
        // It was parsed as JSON.
        schedule: Json::from_checked(Arc::clone(kept.schedule.source())),
    }
}
