//! Answers to the questions of approvals.

use std::sync::Arc;

use super::Machine;
use super::place::Place;
use super::texts;
use super::types::OutOfBounds;
use crate::job::{Approval, Awaited, Task};
use crate::received::{ApprovalAnswer, SIGNAL_BYTES};
use crate::state::ErrorKind;
use crate::text::cut;
use crate::{Json, Now, TaskId, TaskStatus};

/// An answer to the question of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The answer.
    pub choice: Arc<str>,
    /// What the person adds.
    pub input: Json,
    /// Who gives it.
    pub by: Option<Arc<str>>,
}

/// Why an answer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// No task of a live job has this id.
    #[error("no such task is live")]
    UnknownTask,
    /// The task asks no question.
    #[error("the task does not wait for an approval")]
    NoApproval,
    /// The answer is not possible.
    #[error("{choice:?} is not a choice of the task; its choices are {choices}")]
    UnknownChoice {
        /// The answer.
        choice: Arc<str>,
        /// The possible answers.
        choices: String,
    },
    /// The task does not wait yet.
    #[error("the task has not asked yet: answer when it is RUNNING")]
    NotAsked,
    /// The task has another answer, or none was given in time.
    #[error("the task has ended already ({0}): the first answer counts")]
    AlreadyEnded(TaskStatus),
    /// The input is too large.
    #[error("the input has {bytes} bytes, the limit is {SIGNAL_BYTES}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The input is not a value that every program can read.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

impl Machine {
    /// Answers the question of a task. The same answer may be given again.
    ///
    /// # Errors
    /// If the task is unknown, asks no question, does not wait, or was answered differently; if the answer is not
    /// possible, or the input exceeds a limit.
    pub fn choose(&mut self, task: TaskId, answer: Choice, now: Now) -> Result<(), ChoiceError> {
        let Choice { choice, input, by } = answer;
        let (id, index) = self.find_task(task).ok_or(ChoiceError::UnknownTask)?;
        let job = self.jobs.job_mut(id);
        let checked = Arc::clone(&job.job);
        let approval = approval_of(checked.spec(index)).ok_or(ChoiceError::NoApproval)?;
        if !approval.choices.contains(&choice) {
            return Err(ChoiceError::UnknownChoice { choice, choices: approval.choices.join(", ") });
        }
        if input.get().len() > SIGNAL_BYTES {
            return Err(ChoiceError::TooLarge { bytes: input.get().len() });
        }
        OutOfBounds::check_part(&input, SIGNAL_BYTES)?;
        let state = job.task(index).state();
        let given = state.details.as_ref().and_then(|details| details.rare().answer.as_ref());
        if given.is_some_and(|given| given.says_the_same(&choice, &input)) {
            return Ok(());
        }
        if state.status.is_terminal() || job.cancelled {
            let status = if job.cancelled { TaskStatus::Cancelled } else { state.status };
            return Err(ChoiceError::AlreadyEnded(status));
        }
        if (job.task(index).place, state.status) != (Place::Waiting, TaskStatus::Running) {
            return Err(ChoiceError::NotAsked);
        }
        let by = by.map(|by| cut(by, texts::MAXIMUM_REASON));
        let is_failing = approval.fail_on.contains(&choice);
        let answer = ApprovalAnswer { choice, by, at: now.wall, input };
        let msg = match &answer.by {
            Some(by) => format!("{by} has chosen {:?}", answer.choice),
            None => format!("{:?} was chosen", answer.choice),
        };
        // An answer has string keys and checked JSON inside: writing it cannot fail.
        let data = Json::from_checked(serde_json::to_string(&answer).expect("an answer can be written as JSON"));
        let before = job.bytes();
        job.keep_answer(index, answer);
        self.live_bytes = self.live_bytes + job.bytes() - before;
        if is_failing {
            self.fail_wait(id, index, ErrorKind::Rejected, msg, now);
        } else {
            self.succeed_wait(id, index, data, now);
        }
        Ok(())
    }
}

/// The question that a task asks.
pub(super) fn approval_of(task: &Task) -> Option<&Approval> {
    match &task.wait()?.awaited {
        Awaited::Approval(approval) => Some(approval),
        Awaited::Until(_) | Awaited::Signal { .. } => None,
    }
}

impl super::live::LiveJob {
    fn keep_answer(&mut self, index: u32, answer: ApprovalAnswer) {
        let before = self.details_weight(index);
        self.task_mut(index).state_mut().details_mut().rare_mut().answer = Some(answer);
        let after = self.details_weight(index);
        self.resize(before, after);
    }
}
