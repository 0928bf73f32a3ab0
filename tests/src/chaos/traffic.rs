//! Clients that submit random jobs in sequence, repeat requests without a response, and compare the results with the expected
//! ones.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hub_core::JobId;
use hub_engine::client::AmqpHub;
use hub_engine::operations::{
    Hub, JobCancel, JobFilter, JobRetry, Pausable, PauseRequest, RequestErrorKind, Submission,
};
use hub_transport::Transport;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::Chance;
use super::expected::compare;
use crate::{DEADLINE, poll_delay};

/// Maximum time of a request before it is repeated.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time that one request waits for the end of a job.
const STEP: Duration = Duration::from_secs(10);

/// A job that has ended as expected.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its id.
    pub id: JobId,
    /// Its record.
    pub record: Value,
}

/// Generates the job with a number. The same number always gives the same job.
pub type Source = fn(&mut Chance, u64) -> Value;

/// Concurrent clients.
pub struct Traffic {
    runtime: Runtime,
    /// `None` after the traffic has stopped.
    hub: Option<Arc<AmqpHub>>,
    shared: Arc<Shared>,
    lanes: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    /// Whether clients also pause, cancel and retry jobs.
    has_operators: AtomicBool,
    /// Jobs with this number or a higher one are not submitted yet.
    limit: AtomicU64,
    /// After the faults have stopped, lanes fail at this time.
    deadline: Mutex<Option<Instant>>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    ended: Vec<Ended>,
    wrong: Option<String>,
    repeated: u64,
}

impl Traffic {
    /// Starts lanes of jobs. Each lane runs one job at a time, and waits until it is allowed to submit.
    ///
    /// # Panics
    /// If the broker does not answer.
    #[must_use]
    pub fn start(transport: Arc<dyn Transport>, prefix: &str, seed: u64, lanes: u64, source: Source) -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        let hub = runtime.block_on(AmqpHub::connect(transport, prefix, RESPONSE_TIMEOUT)).expect("the broker answers");
        let (hub, shared) = (Arc::new(hub), Arc::new(Shared::default()));
        let lane = |next: u64| {
            let (hub, shared) = (Arc::clone(&hub), Arc::clone(&shared));
            runtime.spawn(Lane { hub, shared, next, step: lanes, seed, source }.run())
        };
        let lanes = (0..lanes).map(lane).collect();
        Self { runtime, hub: Some(hub), shared, lanes }
    }

    /// Has clients pause, cancel and retry some jobs.
    pub fn operate(&self) {
        self.shared.has_operators.store(true, Ordering::Relaxed);
    }

    /// Allows jobs with a number below `limit`.
    pub fn allow(&self, limit: u64) {
        self.shared.limit.store(limit, Ordering::Relaxed);
    }

    /// The first failure, if there is one.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        self.shared.found().wrong.clone()
    }

    /// Number of ended jobs.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.shared.found().ended.len()
    }

    /// Number of repeated submissions and requests.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.shared.found().repeated
    }

    /// Stops submitting, waits for the end of all jobs, requests all records again, and checks that they are unchanged and that there
    /// are no other jobs.
    ///
    /// # Panics
    /// If a job did not end as expected.
    #[must_use]
    pub fn finish(mut self) -> Vec<Ended> {
        *self.shared.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + DEADLINE);
        self.shared.over.store(true, Ordering::Relaxed);
        for lane in std::mem::take(&mut self.lanes) {
            self.runtime.block_on(lane).expect("no task panics");
        }
        let found = std::mem::take(&mut *self.shared.found());
        if let Some(wrong) = found.wrong {
            panic!("{wrong}");
        }
        let hub = self.hub.as_ref().expect("it is there until it is dropped");
        self.runtime.block_on(async {
            for Ended { id, record } in &found.ended {
                let again = hub.job(*id, None).await.expect("a job that has ended is known").to_value();
                assert_eq!(&again, record, "it has changed after its end");
            }
            let mut known = BTreeMap::new();
            let mut filter = JobFilter { limit: Some(1000), ..JobFilter::default() };
            loop {
                let page = hub.jobs(filter.clone()).await.expect("jobs are listed");
                known.extend(page.jobs.into_iter().map(|job| (job.id.to_string(), job.name.to_string())));
                let Some(next) = page.next else { break };
                filter.after = Some(next);
            }
            for Ended { id, .. } in &found.ended {
                assert!(known.remove(&id.to_string()).is_some(), "job {id} is not listed");
            }
            assert!(known.is_empty(), "unknown or duplicate jobs: {known:?}");
        });
        found.ended
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        for lane in self.lanes.drain(..) {
            lane.abort();
            // Wait for the lane to release the connection. Its result does not matter here.
            let _ = self.runtime.block_on(lane);
        }
        if let Some(hub) = self.hub.take() {
            // amqprs needs a runtime when its last handle is dropped.
            self.runtime.block_on(async {
                hub.close().await;
                drop(hub);
            });
        }
    }
}

impl Shared {
    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the deadline has passed.
    fn is_late(&self) -> bool {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_some_and(|deadline| Instant::now() > deadline)
    }
}

/// Runs jobs in sequence.
struct Lane {
    hub: Arc<AmqpHub>,
    shared: Arc<Shared>,
    next: u64,
    step: u64,
    seed: u64,
    source: Source,
}

impl Lane {
    async fn run(mut self) {
        while !self.shared.over.load(Ordering::Relaxed) && self.shared.found().wrong.is_none() {
            let number = self.next;
            if number >= self.shared.limit.load(Ordering::Relaxed) {
                poll_delay().await;
                continue;
            }
            self.next += self.step;
            match self.job(number).await {
                Ok(ended) => self.shared.found().ended.extend(ended),
                Err(wrong) => {
                    self.shared.found().wrong.get_or_insert(wrong);
                }
            }
        }
    }

    async fn job(&self, number: u64) -> Result<Vec<Ended>, String> {
        let mut chance = Chance::new(self.seed.wrapping_mul(1_000_003).wrapping_add(number));
        let mut job = (self.source)(&mut chance, number);
        // A submission is idempotent with either an id or a key.
        let mut id = None;
        if chance.one_in(2) {
            job["key"] = json!(format!("key {number}"));
        } else {
            id = Some(JobId::new(uuid::Uuid::new_v4()));
        }
        let text: Arc<str> = job.to_string().into();
        let submitted = self.submit(&text, id).await?;
        if chance.one_in(4) {
            let again = self.submit(&text, id).await?;
            if again != submitted {
                return Err(format!("submitted twice it is two jobs, {submitted} and {again}: {job}"));
            }
        }
        let has_operators = self.shared.has_operators.load(Ordering::Relaxed);
        if has_operators && chance.one_in(6) {
            self.pause(submitted, chance.one_in(2)).await?;
        }
        let was_cancelled = has_operators && chance.one_in(10);
        if was_cancelled {
            self.cancel(submitted, chance.one_in(2)).await?;
        }
        let record = self.ended(submitted, &job).await?;
        compare(&job, &record, was_cancelled)?;
        let mut all = vec![Ended { id: submitted, record }];
        if has_operators && all[0].record["status"] == "FAILED" && chance.one_in(2) {
            all.push(self.retried(submitted, &all[0].record, &job).await?);
        }
        Ok(all)
    }

    /// Pauses a job, and resumes it, perhaps a moment later.
    async fn pause(&self, id: JobId, is_long: bool) -> Result<(), String> {
        let of = || PauseRequest { of: Pausable::Job(id), by: Some("chaos".into()), reason: None };
        for pauses in [true, false] {
            loop {
                let answer = if pauses { self.hub.pause(of()).await } else { self.hub.resume(of()).await };
                match answer {
                    Ok(()) => break,
                    // It has ended before.
                    Err(error) if matches!(error.kind, RequestErrorKind::Conflict) => return Ok(()),
                    Err(error) => self.go_on(error.kind, || format!("{error} to the pause of job {id}")).await?,
                }
            }
            if pauses && is_long {
                poll_delay().await;
            }
        }
        Ok(())
    }

    async fn cancel(&self, id: JobId, now: bool) -> Result<(), String> {
        loop {
            match self.hub.cancel_with(JobCancel { now, ..JobCancel::new(id) }).await {
                Ok(_) => return Ok(()),
                // It has ended before.
                Err(error) if matches!(error.kind, RequestErrorKind::Conflict) => return Ok(()),
                Err(error) => self.go_on(error.kind, || format!("{error} to the cancel of job {id}")).await?,
            }
        }
    }

    /// Retries a job that has failed. It fails in the same way, and keeps what has succeeded.
    async fn retried(&self, id: JobId, failed: &Value, job: &Value) -> Result<Ended, String> {
        let retry = JobRetry::new(id).with_new_id();
        let new = loop {
            match self.hub.retry(retry.clone()).await {
                Ok(submitted) => break submitted.id,
                Err(error) => self.go_on(error.kind, || format!("{error} to the retry of job {id}, {job}")).await?,
            }
        };
        let record = self.ended(new, job).await?;
        let seen = |record: &Value| {
            let tasks = record["tasks"].as_array().into_iter().flatten();
            let tasks = tasks.map(|task| json!([task["name"], task["status"], task["error"]["kind"]]));
            json!([record["status"], record["output"], tasks.collect::<Vec<_>>()])
        };
        let is_kept = |task: &Value| task["status"] != "SUCCESS" || task["kept_from"].is_string();
        let tasks = record["tasks"].as_array().map_or(&[][..], Vec::as_slice);
        if seen(failed) != seen(&record) || !tasks.iter().all(is_kept) {
            return Err(format!("the retry of {failed:#} should end in the same way, and is {record:#}"));
        }
        Ok(Ended { id: new, record })
    }

    async fn submit(&self, text: &Arc<str>, id: Option<JobId>) -> Result<JobId, String> {
        loop {
            match self.hub.submit(Submission { text: Arc::clone(text), id }).await {
                Ok(submitted) => return Ok(submitted),
                Err(error) => self.go_on(error.kind, || format!("{error} to the job {text}")).await?,
            }
        }
    }

    async fn ended(&self, id: JobId, job: &Value) -> Result<Value, String> {
        loop {
            match self.hub.job(id, Some(STEP)).await {
                Ok(record) => {
                    let record = record.to_value();
                    if record["ended_at"].is_string() {
                        return Ok(record);
                    }
                    if self.shared.is_late() {
                        return Err(format!("it has not ended: {record:#}"));
                    }
                }
                Err(error) => self.go_on(error.kind, || format!("{error} about job {id}, {job}")).await?,
            }
        }
    }

    /// Handles a failed request, which is repeated.
    async fn go_on(&self, kind: RequestErrorKind, what: impl FnOnce() -> String) -> Result<(), String> {
        use RequestErrorKind::{TimedOut, Unavailable, Unreachable};
        if !matches!(kind, TimedOut | Unavailable | Unreachable) || self.shared.is_late() {
            return Err(what());
        }
        self.shared.found().repeated += 1;
        poll_delay().await;
        Ok(())
    }
}
