//! A Hub with scripted answers behind a real HTTP server on loopback.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hub_core::definition::VersionSummary;
use hub_core::job_details::PauseRecord;
use hub_core::schedule::{LastRun, Skip, SkipReason};
use hub_core::state::{FirstFailure, JobSummary};
use hub_core::{JobId, JobStatus, Json, TaskKinds, Timestamp};
use hub_engine::http::{HttpSettings, serve};
use hub_engine::operations::{
    Answer, BrokerHealth, Cancelled, Defined, DefinitionDraft, DefinitionPage, DefinitionRecord, DefinitionSummary,
    HealthReport, Hub, JobPage, JobRetry, Request, RequestError, RequestErrorKind, ScheduleAnswer, ScheduleChange,
    ScheduleDraft, ScheduleName, ScheduleOrder, SchedulePage, ScheduleRecord, ScheduleRequest, ScheduleSet,
    ScheduleSummary, SignalOutcome, SignalReceipt, StoreHealth, Submission, Submitted, TaskQuery, UpcomingRun, View,
    WorkerInfo,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Timeout of all waits, which is reached only if something hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A Hub that records its calls.
#[derive(Debug, Default)]
pub(crate) struct FakeHub {
    pub(crate) calls: Mutex<Vec<String>>,
    /// The refusal of all calls, if set.
    pub(crate) refusal: Mutex<Option<RequestError>>,
    /// The answer of [`Hub::job`], as text.
    pub(crate) record: Mutex<Option<Json>>,
    /// A job with `wait` is answered only when this is cancelled.
    pub(crate) ended: Option<CancellationToken>,
    /// The state of the broker in the health report.
    pub(crate) broker: Mutex<Option<BrokerHealth>>,
}

impl FakeHub {
    fn note<T>(&self, call: String, answer: T) -> Result<T, RequestError> {
        self.calls.lock().unwrap().push(call);
        match &*self.refusal.lock().unwrap() {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(answer),
        }
    }

    async fn wait_for_end(&self, is_wanted: bool) {
        if let (Some(ended), true) = (&self.ended, is_wanted) {
            ended.cancelled().await;
        }
    }

    /// Refuses all further calls.
    pub(crate) fn refuse(&self, kind: RequestErrorKind) {
        *self.refusal.lock().unwrap() = Some(RequestError::new(kind, "no, and here is what to do"));
    }

    /// The calls since the last time.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

/// The text of the fake's job.
pub(crate) const DOCUMENT: &str = "{ \"name\": \"jöb\",\n  \"tasks\": [{\"name\": \"a\"}] }\n";

/// The id that the fake gives to jobs without one.
pub(crate) fn some_id() -> JobId {
    "693eb630-e77d-11f1-b11f-02fc00000001".parse().unwrap()
}

pub(crate) fn summary() -> JobSummary {
    JobSummary {
        id: some_id(),
        name: "sum_product".into(),
        status: JobStatus::Running,
        tasks: 2,
        tasks_ended: 1,
        submitted_at: Timestamp::from_millis(1_795_471_303_120),
        ended_at: None,
        msg: Some("1 of 2 tasks failed".into()),
        first_failure: Some(Arc::new(FirstFailure::new(&"add".into(), None, "bad"))),
    }
}

pub(crate) fn explanation() -> Value {
    json!({
        "id": some_id(), "name": "sum_product", "status": "PENDING", "text": "nothing holds the job as a whole",
        "reasons": [], "counts": {"PENDING": 2}, "tasks": [], "more": 2
    })
}

pub(crate) fn worker() -> WorkerInfo {
    WorkerInfo {
        id: "w1".to_owned(),
        host: "here".to_owned(),
        pid: 7,
        pools: vec!["default".to_owned()],
        slots: 4,
        running: 1,
        tasks: vec!["add".to_owned()],
        broken: BTreeMap::from([("bad".to_owned(), "SyntaxError".to_owned())]),
        allow: TaskKinds::all(),
        shortage: None,
        last_seen: Timestamp::from_millis(1_795_471_303_120),
    }
}

pub(crate) fn health(broker: BrokerHealth) -> HealthReport {
    HealthReport {
        broker,
        store: StoreHealth::Up,
        version: "0.1.0".to_owned(),
        incarnation: 3,
        live_jobs: 1,
        live_bytes: 0,
        workers: 1,
        tasks_in_flight: 1,
        tasks_ready: 0,
        paused_pools: Vec::new(),
    }
}

pub(crate) fn definition_record(name: &str) -> DefinitionRecord {
    let created_at = Timestamp::from_millis(1_795_471_303_120);
    let summary = VersionSummary { version: 2, created_at, by: Some("ops".into()), aliases: vec!["prod".into()] };
    let job = Json::parse(r#"{"name": "etl", "tasks": [{"name": "a"}]}"#).unwrap();
    DefinitionRecord { name: name.into(), versions: vec![summary.clone()], summary, job }
}

pub(crate) fn schedule_answer(request: ScheduleRequest) -> ScheduleAnswer {
    let at = Timestamp::from_millis(1_795_471_303_120);
    let upcoming = vec![UpcomingRun { at, local: "2026-11-23T23:01:43+01:00".to_owned() }];
    let summary = ScheduleSummary {
        name: "nightly".into(),
        definition: Some("etl@prod".to_owned()),
        next_at: Some(at),
        paused: Some(PauseRecord { at, by: Some("ops".into()), reason: None }),
        last: Some(LastRun { at, job: some_id() }),
        running: 1,
        waiting: 2,
        started: 3,
        skipped: 4,
        failures: 5,
    };
    match request {
        ScheduleRequest::Set(ScheduleDraft { name, .. }) => {
            let change = if name.starts_with("new") { ScheduleChange::Created } else { ScheduleChange::Changed };
            ScheduleAnswer::Set(ScheduleSet { name, change, upcoming, warnings: Vec::new() })
        }
        ScheduleRequest::List(_) => {
            ScheduleAnswer::List(SchedulePage { schedules: vec![summary], next: Some("nightly".to_owned()) })
        }
        ScheduleRequest::Get { .. } => ScheduleAnswer::One(Box::new(ScheduleRecord {
            summary,
            created_at: at,
            changed_at: at,
            by: None,
            upcoming,
            jobs: vec![some_id()],
            skips: vec![Skip { at, reason: SkipReason::Overlap, msg: None }],
            schedule: Json::parse(r#"{"name": "nightly", "job": "etl"}"#).unwrap(),
        })),
        ScheduleRequest::Remove { name }
        | ScheduleRequest::Pause(ScheduleOrder { name, .. })
        | ScheduleRequest::Resume(ScheduleOrder { name, .. }) => ScheduleAnswer::Done(ScheduleName { name }),
        ScheduleRequest::Trigger(trigger) => {
            ScheduleAnswer::Triggered(Submitted::new(trigger.id.unwrap_or_else(some_id)))
        }
    }
}

#[async_trait]
impl Hub for FakeHub {
    async fn call(&self, request: Request) -> Result<Answer, RequestError> {
        let waits = request.wait().is_some();
        let shown = |view: &View| serde_json::to_string(view).unwrap();
        let record = self.record.lock().unwrap().clone();
        let (call, answer) = match request {
            Request::Job { id, wait, view } => {
                let shown = if view.is_whole() { String::new() } else { format!(" {}", shown(&view)) };
                let record = record.unwrap_or_else(Json::null);
                (format!("job {id} {wait:?}{shown}"), Answer::Job(Box::new(record.into())))
            }
            Request::Summary { id, wait } => (format!("summary {id} {wait:?}"), Answer::Summary(summary())),
            Request::Tasks { id, query: TaskQuery { after, limit, of, view } } => {
                let page = Json::parse(r#"{"tasks": [], "next": 7}"#).unwrap();
                (format!("tasks {id} {after:?} {limit:?} {of:?} {}", shown(&view)), Answer::Tasks(page))
            }
            Request::Jobs { filter } => {
                let page = JobPage { jobs: vec![summary()], next: Some("7".to_owned()) };
                (format!("jobs {}", serde_json::to_string(&filter).unwrap()), Answer::Jobs(page))
            }
            Request::Explain { id, task } => {
                (format!("explain {id} {task:?}"), Answer::Explained(explanation().into()))
            }
            Request::Document { id, after } => {
                (format!("document {id} {after:?}"), Answer::Document(Arc::<str>::from(DOCUMENT).into()))
            }
            Request::Cancel { cancel } => {
                let answer = Answer::Cancelled(Cancelled { id: cancel.id, status: JobStatus::Cancelling });
                (format!("cancel {}", serde_json::to_string(&cancel).unwrap()), answer)
            }
            Request::Pause { of } => (format!("pause {}", serde_json::to_string(&of).unwrap()), Answer::Paused(of.of)),
            Request::Resume { of } => {
                (format!("resume {}", serde_json::to_string(&of).unwrap()), Answer::Resumed(of.of))
            }
            Request::Priority { of } => {
                let answer = of.checked().map(Answer::Prioritized)?;
                (format!("priority {}", serde_json::to_string(&of).unwrap()), answer)
            }
            Request::Remove { id } => (format!("remove {id}"), Answer::Removed(id)),
            Request::Result { result } => {
                (format!("result {}", serde_json::to_string(&result).unwrap()), Answer::Posted(result.id))
            }
            Request::Repair { repair } => (format!("{repair:?}"), Answer::Repaired(repair.id)),
            Request::Retry { retry } => {
                // The real Hub chooses an id, too, which differs from call to call.
                let shown = JobRetry { new_id: None, ..retry.clone() };
                let id = retry.new_id.unwrap_or_else(some_id);
                (format!("retry {}", serde_json::to_string(&shown).unwrap()), Answer::Retried(Submitted::new(id)))
            }
            Request::Signal { signal } => {
                let receipt = SignalReceipt { id: signal.id, outcome: SignalOutcome::Kept };
                (format!("{signal:?}"), Answer::Signalled(receipt))
            }
            Request::Approve { approval } => (format!("{approval:?}"), Answer::Approved(approval.id)),
            Request::Define { definition: DefinitionDraft { name, text, aliases, by, dry_run } } => {
                let moved_aliases = aliases.iter().map(|alias| (Arc::clone(alias), Some(1))).collect();
                let (created, warnings) = (name.starts_with("new"), Vec::new());
                let call = format!("define {name} {text} {aliases:?} {by:?} {dry_run}");
                (call, Answer::Defined(Defined { name, version: 2, created, moved_aliases, warnings }))
            }
            Request::Alias { change } => (format!("{change:?}"), Answer::Aliased(change)),
            Request::Definitions { filter } => {
                let newest = definition_record("etl");
                let VersionSummary { version, created_at, by, .. } = newest.summary;
                let aliases = BTreeMap::from([("prod".into(), 1)]);
                let summary = DefinitionSummary { name: newest.name, version, created_at, by, aliases };
                let page = DefinitionPage { definitions: vec![summary], next: Some("etl".to_owned()) };
                (format!("{filter:?}"), Answer::Definitions(page))
            }
            Request::Definition { reference } => {
                let record = definition_record(&reference.name);
                (format!("definition {reference}"), Answer::Definition(Box::new(record)))
            }
            Request::Schedule { schedule } => {
                let call = format!("schedule {}", serde_json::to_string(&schedule).unwrap());
                (call, Answer::Schedule(schedule_answer(schedule)))
            }
            Request::Workers => ("workers".to_owned(), Answer::Workers(vec![worker()])),
            Request::Health => {
                let broker = self.broker.lock().unwrap().unwrap_or(BrokerHealth::Up);
                ("health".to_owned(), Answer::Health(health(broker)))
            }
        };
        let answer = self.note(call, answer);
        self.wait_for_end(waits).await;
        answer
    }

    async fn submit_with(&self, submission: Submission, wait: Option<Duration>) -> Result<Submitted, RequestError> {
        let Submission { id, text } = submission;
        let given = id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let waiting = wait.map_or_else(String::new, |wait| format!(" and wait {wait:?}"));
        let record = self.record.lock().unwrap().clone().filter(|_| wait.is_some());
        let submitted = Submitted { record, ..Submitted::new(id.unwrap_or_else(some_id)) };
        let answer = self.note(format!("submit {given} {text}{waiting}"), submitted);
        self.wait_for_end(wait.is_some()).await;
        answer
    }
}

/// A served Hub.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub(crate) async fn start(hub: Arc<dyn Hub>, settings: HttpSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, hub, settings, shutdown.clone()));
        Self { address, shutdown, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Stops the server, which must complete all open requests.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(DEADLINE, self.serving).await.expect("the server does not stop").unwrap().unwrap();
    }
}

/// An HTTP client without redirects and proxies.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap()
}

/// The status and the body of an answer. All bodies of this API are JSON.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}
