//! Follows a job until it has ended, through restarts of the dispatcher. While waiting, only the summary is requested.
//! The record may be large, and is requested once at the end.

use std::time::Duration;

use hub_core::state::JobSummary;
use tokio::time::Instant;

use crate::operations::{Answer, Request, RequestError, RequestErrorKind};

/// Maximum wait of one request. A longer wait is divided, so that a restarted dispatcher is asked again.
pub(super) const MAXIMUM_STEP: Duration = Duration::from_secs(10);
/// Delay between two requests if the first was answered too early.
const RETRY_DELAY: Duration = Duration::from_millis(250);
/// Maximum total wait, which the clock can still represent.
const MAXIMUM_WAIT: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Executes a request with `ask`, which sends one request that waits at most [`MAXIMUM_STEP`] for the end of a job. A
/// longer wait is divided into several requests. `timeout` is the maximum time for an answer that is not delayed.
///
/// # Errors
/// The permanent errors of `ask`.
pub(super) async fn carry_out<F, Asking>(request: Request, timeout: Duration, ask: F) -> Result<Answer, RequestError>
where
    F: Fn(Request) -> Asking + Send + Sync,
    Asking: Future<Output = Result<Answer, RequestError>> + Send,
{
    let Some(wait) = request.wait() else { return ask(request).await };
    debug_assert!(request.may_repeat(), "{request:?} is not repeated");
    match request {
        Request::Summary { id, .. } => {
            follow(wait, |step| summary(ask(Request::Summary { id, wait: Some(step) }))).await.map(Answer::Summary)
        }
        Request::Job { id, view, .. } => {
            let deadline = deadline(wait) + timeout;
            let summary = follow(wait, |step| summary(ask(Request::Summary { id, wait: Some(step) }))).await?;
            last_answer(&summary, deadline, || ask(Request::Job { id, wait: None, view: view.clone() })).await
        }
        other => ask(other).await,
    }
}

async fn summary(
    asking: impl Future<Output = Result<Answer, RequestError>> + Send,
) -> Result<JobSummary, RequestError> {
    match asking.await? {
        Answer::Summary(summary) => Ok(summary),
        _ => Err(Answer::unexpected()),
    }
}

/// Requests the summary of a job until the job has ended or `wait` has passed. `ask` receives the maximum time that the
/// answer may be delayed.
///
/// # Errors
/// The permanent errors of `ask`. `Unreachable` is permanent only before the first answer.
async fn follow<F, Asking>(wait: Duration, ask: F) -> Result<JobSummary, RequestError>
where
    F: Fn(Duration) -> Asking + Send,
    Asking: Future<Output = Result<JobSummary, RequestError>> + Send,
{
    let deadline = deadline(wait);
    let mut answered = false;
    loop {
        let asked_at = Instant::now();
        let left = deadline.saturating_duration_since(asked_at);
        let step = left.min(MAXIMUM_STEP);
        let outcome = ask(step).await;
        let over = step == left;
        match &outcome {
            Ok(summary) if over || summary.status.is_terminal() => return outcome,
            Ok(_) => answered = true,
            Err(error) if over || !is_temporary(error.kind, answered) => return outcome,
            Err(error) => tracing::debug!(%error, "the request failed and is repeated"),
        }
        if asked_at.elapsed() < step / 2 {
            tokio::time::sleep(RETRY_DELAY.min(deadline.saturating_duration_since(Instant::now()))).await;
        }
    }
}

/// The deadline of a wait that begins now.
fn deadline(wait: Duration) -> Instant {
    Instant::now() + wait.min(MAXIMUM_WAIT)
}

/// Sends the last request about a followed job. It is repeated until `deadline`, because the dispatcher has just
/// answered and may be restarting.
///
/// # Errors
/// The permanent errors of `ask`. If the job was removed after its end, the error contains its final status.
pub async fn last_answer<T, F, Asking>(summary: &JobSummary, deadline: Instant, ask: F) -> Result<T, RequestError>
where
    F: Fn() -> Asking + Send,
    Asking: Future<Output = Result<T, RequestError>> + Send,
{
    loop {
        match ask().await {
            Err(error) if is_temporary(error.kind, true) && Instant::now() + RETRY_DELAY < deadline => {
                tracing::debug!(%error, "the request failed and is repeated");
                tokio::time::sleep(RETRY_DELAY).await;
            }
            Err(error) if error.kind == RequestErrorKind::NotFound && summary.status.is_terminal() => {
                let (id, status) = (summary.id, summary.status);
                let message = format!("job {id} has ended with {status}, and its record has been removed since");
                return Err(RequestError::new(error.kind, message));
            }
            answer => return answer,
        }
    }
}

/// Whether the error is temporary, so that the request may be repeated.
fn is_temporary(kind: RequestErrorKind, answered: bool) -> bool {
    match kind {
        RequestErrorKind::TimedOut | RequestErrorKind::Unavailable => true,
        RequestErrorKind::Unreachable => answered,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use hub_core::state::JobState;
    use hub_core::{JobId, JobStatus, Timestamp};

    use super::*;

    /// Follows a job whose dispatcher gives these answers, each with the delay `takes`.
    async fn run(
        wait: Duration,
        takes: Duration,
        answers: &[Result<JobStatus, RequestErrorKind>],
    ) -> (Result<JobStatus, RequestError>, usize) {
        let script = Mutex::new(answers.iter().copied());
        let outcome = follow(wait, |step| {
            assert!(step <= MAXIMUM_STEP);
            let answer = script.lock().unwrap().next().expect("too many requests");
            async move {
                tokio::time::sleep(takes.min(step)).await;
                answer.map(standing).map_err(|kind| RequestError::new(kind, "scripted"))
            }
        });
        let outcome = outcome.await;
        let left = script.lock().unwrap().len();
        (outcome.map(|summary| summary.status), left)
    }

    fn standing(status: JobStatus) -> JobSummary {
        let state = JobState { status, ..JobState::pending(Timestamp::from_millis(0)) };
        JobSummary::new(JobId::new(uuid::Uuid::nil()), "j", &state, 1, 0)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn ends_with_the_job() {
        let (outcome, left) =
            run(HOUR, MAXIMUM_STEP, &[Ok(JobStatus::Pending), Ok(JobStatus::Running), Ok(JobStatus::Failed)]).await;
        assert_eq!((outcome.unwrap(), left), (JobStatus::Failed, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn ends_with_the_time() {
        let (outcome, left) = run(Duration::from_secs(25), MAXIMUM_STEP, &[Ok(JobStatus::Running); 3]).await;
        assert_eq!((outcome.unwrap(), left), (JobStatus::Running, 0));
        assert_eq!(run(Duration::ZERO, Duration::ZERO, &[Ok(JobStatus::Pending)]).await.0.unwrap(), JobStatus::Pending);
    }

    #[tokio::test(start_paused = true)]
    async fn continues_after_a_restart() {
        use RequestErrorKind::{TimedOut, Unavailable, Unreachable};
        let answers = [
            Err(TimedOut),
            Ok(JobStatus::Running),
            Err(Unavailable),
            Err(Unreachable),
            Err(Unreachable),
            Ok(JobStatus::Success),
        ];
        let (outcome, left) = run(HOUR, Duration::ZERO, &answers).await;
        assert_eq!((outcome.unwrap(), left), (JobStatus::Success, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_a_hub_that_never_answered() {
        for kind in [RequestErrorKind::Unreachable, RequestErrorKind::NotFound, RequestErrorKind::Unauthorized] {
            let (outcome, left) = run(HOUR, Duration::ZERO, &[Err(kind), Ok(JobStatus::Success)]).await;
            assert_eq!((outcome.unwrap_err().kind, left), (kind, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_a_removed_job() {
        let answers = [Ok(JobStatus::Running), Err(RequestErrorKind::NotFound), Ok(JobStatus::Success)];
        let (outcome, left) = run(Duration::MAX, Duration::ZERO, &answers).await;
        assert_eq!((outcome.unwrap_err().kind, left), (RequestErrorKind::NotFound, 1));
    }

    /// Sends the last request about a job with this status to a dispatcher that gives these answers.
    async fn ask_last(status: JobStatus, answers: &[Result<u8, RequestErrorKind>]) -> Result<u8, RequestError> {
        let script = Mutex::new(answers.iter().copied());
        let ask = || {
            let answer = script.lock().unwrap().next().unwrap_or(Err(RequestErrorKind::Unavailable));
            async move { answer.map_err(|kind| RequestError::new(kind, "scripted")) }
        };
        last_answer(&standing(status), deadline(MAXIMUM_STEP), ask).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_request_is_repeated_until_its_deadline() {
        use RequestErrorKind::{Conflict, NotFound, TimedOut, Unavailable, Unreachable};
        let passing = [Err(Unreachable), Err(Unavailable), Err(TimedOut), Ok(7)];
        assert_eq!(ask_last(JobStatus::Success, &passing).await.unwrap(), 7);
        let begun = Instant::now();
        assert_eq!(ask_last(JobStatus::Success, &[]).await.unwrap_err().kind, Unavailable);
        assert!((MAXIMUM_STEP - RETRY_DELAY..=MAXIMUM_STEP).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(ask_last(JobStatus::Success, &[Err(Conflict), Ok(7)]).await.unwrap_err().kind, Conflict);

        let gone = ask_last(JobStatus::Failed, &[Err(NotFound), Ok(7)]).await.unwrap_err();
        assert_eq!(gone.kind, NotFound);
        assert!(gone.message.contains("has ended with FAILED"), "{gone}");
        let unknown = ask_last(JobStatus::Running, &[Err(NotFound)]).await.unwrap_err();
        assert_eq!(unknown.message, "scripted");
    }
}
