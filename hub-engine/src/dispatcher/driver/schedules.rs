//! Adds the jobs of schedules, and changes schedules.

use std::sync::Arc;

use hub_core::JobId;
use hub_core::job::Job;
use hub_core::machine::Refused;
use hub_core::schedule::{Preparation, SkipReason};
use tokio::sync::oneshot;

use super::Driver;
use crate::clock::now;
use crate::dispatcher::batch::PendingAnswer;
use crate::dispatcher::inputs::{Admission, Admitted, Known, PreparedRun, ScheduleAsk, ScheduleControl, Submit};
use crate::dispatcher::intake::refusal;
use crate::dispatcher::local::id_taken;
use crate::operations::{RequestError, RequestErrorKind, ScheduleRecord};

impl Driver {
    /// Adds the job of a schedule, or has its time recorded as skipped.
    pub(super) fn handle_run(&mut self, prepared: PreparedRun) {
        let PreparedRun { preparation, labels, outcome } = prepared;
        let (submit, permit) = match outcome {
            Ok(ready) => ready,
            Err(error) => return self.refuse_run(&preparation, &error),
        };
        let run = &preparation.run;
        let Submit { id, job, inputs, examples, stored, lookup: _lookup, answer, .. } = submit;
        let admitted = self.admit_run(&preparation, id, &job, stored);
        let admission = admitted.and_then(|known| match known {
            Some(known) => Ok(Admitted { id: known, warnings: Vec::new() }),
            None => match self.machine.submit_run((run.clone(), labels), id, Arc::clone(&job), inputs, now()) {
                Ok(()) => {
                    self.lately.let_in(id, &job);
                    let is_live = self.machine.is_live(id);
                    Ok(Admitted { id, warnings: if is_live { self.unserved(&job, &examples) } else { Vec::new() } })
                }
                Err(Refused::IdTaken) => Err(id_taken(id)),
            },
        });
        self.answer_run(&preparation, answer, admission);
        // Before others get the room, it is known what this job takes.
        self.note_live();
        drop(permit);
        self.pending.commit_first = true;
    }

    /// Whether the job of a run can be added. Returns the job if the same request has added it before.
    fn admit_run(
        &mut self,
        preparation: &Preparation,
        id: JobId,
        job: &Arc<Job>,
        stored: Option<Known>,
    ) -> Result<Option<JobId>, RequestError> {
        let run = &preparation.run;
        if !self.machine.expects_run(preparation) {
            let message = format!("the schedule {:?} has changed meanwhile", run.name);
            return Err(RequestError::new(RequestErrorKind::Conflict, message));
        }
        if let Some(error) = self.refused.get(&id) {
            return Err(error.clone());
        }
        let lately = || self.lately.find(id, job.key()).map(|(known, same)| Known::new(*known, same, job));
        if let Some(known) = stored.or_else(lately) {
            return if run.triggered && known.id == id && known.is_same { Ok(Some(id)) } else { Err(id_taken(id)) };
        }
        job.passed_deadline(now().wall).map_or(Ok(None), |problem| Err(refusal(problem.into())))
    }

    /// Answers the client that has asked for a run, if one has. Records the time of another one as skipped if its job cannot be added.
    fn answer_run(&mut self, preparation: &Preparation, answer: oneshot::Sender<Admission>, admission: Admission) {
        if preparation.run.triggered {
            self.pending.answers.push(PendingAnswer::Submission(answer, admission));
        } else if let Err(error) = admission {
            self.refuse_run(preparation, &error);
        }
    }

    fn refuse_run(&mut self, preparation: &Preparation, error: &RequestError) {
        // The run of a schedule that was changed meanwhile is prepared again, if at all.
        if !self.machine.expects_run(preparation) {
            return;
        }
        let Preparation { run, .. } = preparation;
        let reason = match error.kind {
            RequestErrorKind::Unavailable | RequestErrorKind::Internal => {
                tracing::debug!(schedule = %run.name, at = %run.at, why = %error.message, "a job of a schedule waits");
                return self.machine.postpone_run(preparation, now());
            }
            RequestErrorKind::Conflict => SkipReason::Exists,
            _ => SkipReason::Refused,
        };
        tracing::warn!(schedule = %run.name, at = %run.at, why = %error.message, "no job was started for a time of a schedule");
        self.pending.commit_first = true;
        let msg = (reason == SkipReason::Refused).then(|| error.message.as_str().into());
        self.machine.refuse_run(preparation, reason, msg, now());
    }

    pub(super) fn handle_schedule(&mut self, ask: ScheduleAsk) {
        match ask {
            ScheduleAsk::View(name, answer) => drop(answer.send(self.machine.schedule(&name, ScheduleRecord::JOBS))),
            ScheduleAsk::List(after, limit, answer) => {
                let _ = answer.send(self.machine.schedules(after.as_deref()).take(limit).collect());
            }
            ScheduleAsk::Size(answer) => drop(answer.send(self.machine.size_of_schedules())),
            ScheduleAsk::Set(kept, answer) => {
                let change = self.machine.set_schedule(kept, now());
                self.pending.commit_first = true;
                self.answer_later(answer, change);
            }
            ScheduleAsk::Control(name, control, answer) => {
                let is_there = match control {
                    ScheduleControl::Pause(remark) => self.machine.pause_schedule(&name, remark, now()),
                    ScheduleControl::Resume => self.machine.resume_schedule(&name, now()),
                    ScheduleControl::Remove => self.machine.remove_schedule(&name, now()),
                };
                self.pending.commit_first = true;
                self.answer_later(answer, is_there);
            }
        }
    }
}
