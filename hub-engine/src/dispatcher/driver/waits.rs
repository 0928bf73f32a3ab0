//! Signals and answers for the tasks of live jobs, with the refusals as clients see them.

use hub_core::machine::{Choice, ChoiceError, Signal, SignalError, Signalled};
use hub_core::{JobId, TaskId};

use super::Driver;
use super::demands::conflict;
use crate::clock::now;
use crate::dispatcher::local::unknown_task;
use crate::operations::{RequestError, RequestErrorKind};

impl Driver {
    /// Sends a signal to a job. `None`: the job is not live.
    pub(super) fn signal(&mut self, id: JobId, signal: Signal) -> Option<Result<Signalled, RequestError>> {
        let error = match self.machine.signal(id, signal, now()) {
            Ok(outcome) => return Some(Ok(outcome)),
            Err(SignalError::UnknownJob) => return None,
            Err(error) => error,
        };
        let kind = match error {
            SignalError::UnknownJob | SignalError::Cancelled | SignalError::TooLate(_) => RequestErrorKind::Conflict,
            SignalError::UnknownSignal { .. } | SignalError::KeyTooLong { .. } => RequestErrorKind::InvalidRequest,
            SignalError::TooMany => RequestErrorKind::TooMany,
            SignalError::TooLarge { .. } | SignalError::OutOfBounds(_) => RequestErrorKind::TooLarge,
        };
        Some(Err(RequestError::new(kind, format!("job {id}: {error}"))))
    }

    /// Answers the question of a task. `None`: its job is not live.
    pub(super) fn choose(&mut self, task: TaskId, answer: Choice) -> Option<Result<(), RequestError>> {
        let error = match self.machine.choose(task, answer, now()) {
            Ok(()) => return Some(Ok(())),
            Err(ChoiceError::UnknownTask) if self.machine.find_task(task).is_none() => return None,
            Err(ChoiceError::UnknownTask) => return Some(Err(unknown_task(task))),
            Err(error) => error,
        };
        let kind = match error {
            ChoiceError::UnknownChoice { .. } => RequestErrorKind::InvalidRequest,
            ChoiceError::TooLarge { .. } | ChoiceError::OutOfBounds(_) => RequestErrorKind::TooLarge,
            ChoiceError::UnknownTask
            | ChoiceError::NoApproval
            | ChoiceError::NotAsked
            | ChoiceError::AlreadyEnded(_) => return Some(Err(conflict(format!("task {task}: {error}")))),
        };
        Some(Err(RequestError::new(kind, format!("task {task}: {error}"))))
    }
}
