//! The same scenario over each connection to a Hub, with a real dispatcher.

mod http_support;
mod retry_support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http_support::{DEADLINE, Served};
use hub_core::details::RepairAction;
use hub_core::{JobStatus, Json};
use hub_engine::client::{AmqpHub, HttpHub};
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::http::HttpSettings;
use hub_engine::operations::{
    Hub, JobCancel, JobFilter, JobSignal, Pausable, PauseRequest, PriorityRequest, RequestErrorKind, ResultUpdate,
    SignalOutcome, Submission, TaskApproval, TaskRepair, UpdateStatus,
};
use hub_engine::store::MemoryStore;
use hub_engine::wire::{JobMessage, Names, TaskMessage};
use hub_transport::memory::MemoryBroker;
use hub_transport::{Message, Outcome, SubscribeOptions, Topology};
use retry_support::run_retries;
use serde_json::{Value, json};

async fn dispatcher(broker: &MemoryBroker) -> Dispatcher {
    let settings = DispatcherSettings::new("hub");
    let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
    tokio::time::timeout(DEADLINE, dispatcher.ready()).await.expect("the dispatcher is not ready");
    dispatcher
}

/// The scenario: submits, reads, is refused, cancels and removes.
async fn run_scenario(hub: &dyn Hub) {
    let health = hub.health().await.unwrap();
    assert_eq!((health.is_ready(), health.live_jobs), (true, 0));
    assert_eq!(hub.workers().await.unwrap(), []);

    let text = json!({"name": "story", "tasks": [{"name": "a"}, {"name": "b", "args": ["_a.data"]}]}).to_string();
    let submission = Submission { text: text.as_str().into(), id: None };
    let id = hub.submit(submission).await.unwrap();
    let again = Submission { text: text.as_str().into(), id: Some(id) };
    assert_eq!(hub.submit(again).await.unwrap(), id, "the same again changes nothing");
    let other = Submission { text: text.replace("story", "other").into(), id: Some(id) };
    assert_eq!(hub.submit(other).await.unwrap_err().kind, RequestErrorKind::Conflict);
    let refused = hub.submit(Submission { text: "{\"tasks\": 7}".into(), id: None }).await.unwrap_err();
    assert_eq!(refused.kind, RequestErrorKind::InvalidJob);
    assert!(refused.problems.len() >= 2 && refused.problems[0].line == Some(1), "{refused:?}");

    let record = |json: hub_core::Json| -> Value { serde_json::from_str(json.get()).unwrap() };
    let job = record(hub.job(id, Some(Duration::from_millis(20))).await.unwrap());
    assert_eq!((&job["id"], &job["name"], &job["output"]), (&json!(id), &json!("story"), &Value::Null));
    let live = JobFilter { status: vec![JobStatus::Pending, JobStatus::Running], ..JobFilter::default() };
    let page = hub.jobs(live).await.unwrap();
    assert_eq!(page.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);

    for limit in [0, 1001] {
        let refused = hub.jobs(JobFilter { limit: Some(limit), ..JobFilter::default() }).await.unwrap_err();
        assert_eq!(refused.kind, RequestErrorKind::InvalidRequest, "a limit means the same by every way");
        assert!(refused.message.contains("1 to 1000"), "{refused}");
    }
    let submitted_at = page.jobs[0].submitted_at;
    let since = JobFilter { since: Some(submitted_at), ..JobFilter::default() };
    assert_eq!(hub.jobs(since).await.unwrap().jobs, page.jobs);
    let until = JobFilter { until: Some(submitted_at), ..JobFilter::default() };
    assert_eq!(hub.jobs(until).await.unwrap().jobs, []);
    assert_eq!(hub.summary(id, None).await.unwrap().status, page.jobs[0].status);

    let update =
        |index| ResultUpdate { id: id.task(index), status: UpdateStatus::Success, data: None, msg: None, v: None };
    assert_eq!(hub.post_result(update(1)).await.unwrap_err().kind, RequestErrorKind::Conflict);
    assert_eq!(hub.post_result(update(2)).await.unwrap_err().kind, RequestErrorKind::NotFound);
    assert_eq!(hub.remove(id).await.unwrap_err().kind, RequestErrorKind::Conflict);
    let waited = Duration::from_millis(20);
    let again = || Submission { text: text.as_str().into(), id: Some(id) };
    let submitted = hub.submit_and_wait(again(), waited).await.unwrap();
    assert_eq!((submitted.id, submitted.record), (id, None), "it has not ended");
    let refused = hub.submit_and_wait(Submission { text: "{}".into(), id: None }, waited).await.unwrap_err();
    assert_eq!(refused.kind, RequestErrorKind::InvalidJob);

    let (submitted, ()) = tokio::join!(hub.submit_and_wait(again(), DEADLINE), async { hub.cancel(id).await.unwrap() });
    let submitted = submitted.unwrap();
    assert_eq!((submitted.id, &record(submitted.record.unwrap())["status"]), (id, &json!("CANCELLED")));
    let job = record(hub.job(id, Some(DEADLINE)).await.unwrap());
    assert_eq!(job["status"], "CANCELLED");
    let submitted = hub.submit_and_wait(again(), waited).await.unwrap();
    assert_eq!(record(submitted.record.unwrap()), job, "it has ended before");
    assert_eq!(hub.cancel(id).await.unwrap_err().kind, RequestErrorKind::Conflict);
    run_repairs(hub).await;
    run_pauses(hub).await;
    run_explanations(hub).await;
    run_documents(hub).await;
    run_priorities(hub).await;
    run_waits(hub).await;
    run_retries(hub).await;
    hub.remove(id).await.unwrap();
    for error in [hub.job(id, None).await.err(), hub.cancel(id).await.err(), hub.remove(id).await.err()] {
        assert_eq!(error.expect("it is gone").kind, RequestErrorKind::NotFound);
    }
}

/// Pauses and resumes a job and a pool.
async fn run_pauses(hub: &dyn Hub) {
    let text = json!({"name": "pauses", "tasks": [{"name": "a"}, {"name": "b", "depends": ["a"]}]});
    let id = hub.submit(Submission { text: text.to_string().into(), id: None }).await.unwrap();
    let of_job = || PauseRequest { by: Some("ops".into()), ..PauseRequest::new(Pausable::Job(id)) };
    let of_pool = |name: &str| PauseRequest::new(Pausable::Pool(name.to_owned()));
    for _ in 0..2 {
        hub.pause(of_job()).await.unwrap();
    }
    assert_eq!(hub.summary(id, None).await.unwrap().status, JobStatus::Paused);
    let filter = JobFilter { status: vec![JobStatus::Paused], ..JobFilter::default() };
    assert_eq!(hub.jobs(filter).await.unwrap().jobs.len(), 1);
    let job: Value = serde_json::from_str(hub.job(id, None).await.unwrap().get()).unwrap();
    assert_eq!(job["pauses"]["self"]["by"], "ops", "{job:#}");
    for _ in 0..2 {
        hub.resume(of_job()).await.unwrap();
    }
    assert_eq!(hub.summary(id, None).await.unwrap().status, JobStatus::Running);
    hub.pause(of_pool("gpu")).await.unwrap();
    assert_eq!(hub.health().await.unwrap().paused_pools.iter().map(|pool| &*pool.name).collect::<Vec<_>>(), ["gpu"]);
    hub.resume(of_pool("gpu")).await.unwrap();
    assert_eq!(hub.health().await.unwrap().paused_pools, []);
    assert_eq!(hub.pause(of_pool("a b")).await.unwrap_err().kind, RequestErrorKind::InvalidRequest);
    let cancel = JobCancel { by: Some("ops".into()), reason: Some("enough".into()), ..JobCancel::new(id) };
    hub.cancel_with(cancel).await.unwrap();
    let job: Value = serde_json::from_str(hub.job(id, Some(DEADLINE)).await.unwrap().get()).unwrap();
    assert_eq!((&job["status"], &job["cancel"]["reason"]), (&json!("CANCELLED"), &json!("enough")), "{job:#}");
    assert_eq!(hub.pause(of_job()).await.unwrap_err().kind, RequestErrorKind::Conflict);
    assert_eq!(hub.resume(of_job()).await.unwrap_err().kind, RequestErrorKind::Conflict);
    hub.remove(id).await.unwrap();
    assert_eq!(hub.pause(of_job()).await.unwrap_err().kind, RequestErrorKind::NotFound);

    let text = "{\"name\": \"late\",\n \"deadline\": \"2020-01-01\", \"tasks\": [{\"name\": \"a\"}]}";
    let late = hub.submit(Submission { text: text.into(), id: None }).await.unwrap_err();
    assert_eq!(late.kind, RequestErrorKind::InvalidJob);
    assert_eq!((late.problems[0].line, late.problems[0].column), (Some(2), Some(14)), "{late:?}");
}

/// Reads the text of a live job and of the same job after its end.
async fn run_documents(hub: &dyn Hub) {
    let text = "\n { \"name\": \"docümented\",\r\n\t\"tasks\":\n[ {\"name\":\"a\", \"delay\": 3600, \"meta\": {\"b\": 1, \"a\": 1.0e2}} ] }\n\n";
    let id = hub.submit(Submission { text: text.into(), id: None }).await.unwrap();
    assert_eq!(hub.document(id).await.unwrap().text(), text);
    hub.cancel(id).await.unwrap();
    hub.summary(id, Some(DEADLINE)).await.unwrap();
    assert_eq!(hub.document(id).await.unwrap().text(), text);
    hub.remove(id).await.unwrap();
    assert_eq!(hub.document(id).await.unwrap_err().kind, RequestErrorKind::NotFound);
}

/// Changes the priority of a job.
async fn run_priorities(hub: &dyn Hub) {
    let text = json!({"name": "prioritized", "priority": 3, "tasks": [{"name": "a", "delay": 3600, "priority": 1}]});
    let id = hub.submit(Submission { text: text.to_string().into(), id: None }).await.unwrap();
    let of = |priority| PriorityRequest { by: Some("ops".into()), ..PriorityRequest::new(id, priority) };
    let record = async || serde_json::from_str::<Value>(hub.job(id, None).await.unwrap().get()).unwrap();
    hub.set_priority(of(3)).await.unwrap();
    assert_eq!((&record().await["priority"], record().await.get("priority_change")), (&json!(3), None));
    for _ in 0..2 {
        hub.set_priority(of(-1000)).await.unwrap();
    }
    let job = record().await;
    assert_eq!((&job["priority"], &job["priority_change"]["by"]), (&json!(-1000), &json!("ops")), "{job:#}");
    assert_eq!(job["tasks"][0]["priority"], 1);
    for wrong in [1001, -1001, i64::MAX] {
        let error = hub.set_priority(of(wrong)).await.unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::InvalidRequest);
        assert_eq!(error.message, "a priority is a whole number from -1000 to 1000");
    }
    hub.cancel(id).await.unwrap();
    hub.summary(id, Some(DEADLINE)).await.unwrap();
    let error = hub.set_priority(of(1)).await.unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::Conflict);
    assert!(error.message.ends_with("has ended already (CANCELLED): its priority cannot be changed"), "{error}");
    assert_eq!(record().await["priority"], -1000, "the store has it");
    hub.remove(id).await.unwrap();
    assert_eq!(hub.set_priority(of(1)).await.unwrap_err().kind, RequestErrorKind::NotFound);
}

/// Explains a live job and the same job after its end.
async fn run_explanations(hub: &dyn Hub) {
    let text = json!({"name": "explained", "tasks": [
        {"name": "a", "delay": "1h"}, {"name": "b", "depends": ["a"]}, {"name": "c", "for_each": {"in": 3, "parallel": 1}, "pool": "p"}]});
    let id = hub.submit(Submission { text: text.to_string().into(), id: None }).await.unwrap();
    let explain = async |task: Option<&str>| hub.explain(id, task.map(str::to_owned)).await.map(|it| it.to_value());
    let live = explain(None).await.unwrap();
    let groups: Vec<_> =
        live["tasks"].as_array().unwrap().iter().map(|group| group["names"][0].as_str().unwrap()).collect();
    assert_eq!((groups, &live["more"]), (vec!["a", "c", "c[0]", "b"], &json!(0)), "{live:#}");
    let b = explain(Some("b")).await.unwrap();
    assert_eq!((&b["tasks"][0]["text"], &b["tasks"][0]["gate"]), (&json!("waits for a"), &json!("trigger_rule")));
    let item = explain(Some("c[2]")).await.unwrap();
    assert_eq!(item["tasks"][0]["reason"]["kind"], "parallel", "{item:#}");
    for unknown in ["x", "c[3]", "a[0]"] {
        let error = explain(Some(unknown)).await.unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::NotFound);
        assert!(error.message.contains(&format!("no task named {unknown:?}")), "{error}");
    }
    hub.repair(TaskRepair::new(id.task(0), RepairAction::Fail)).await.unwrap();
    hub.cancel_with(JobCancel { now: true, by: Some("ops".into()), ..JobCancel::new(id) }).await.unwrap();
    hub.summary(id, Some(DEADLINE)).await.unwrap();
    let ended = explain(None).await.unwrap();
    assert!(ended["text"].as_str().unwrap().ends_with(" by ops"), "{ended:#}");
    let b = explain(Some("b")).await.unwrap();
    let why = "did not run, because the task \"a\" failed: failed by an operator";
    assert_eq!((&b["tasks"][0]["text"], &b["tasks"][0]["reason"]["root"]["task"]), (&json!(why), &json!("a")));
    let item = explain(Some("c[2]")).await.unwrap();
    assert_eq!(item["tasks"][0]["status"], "CANCELLED", "{item:#}");
    assert_eq!(explain(Some("c[3]")).await.unwrap_err().kind, RequestErrorKind::NotFound);
    hub.remove(id).await.unwrap();
    assert_eq!(explain(None).await.unwrap_err().kind, RequestErrorKind::NotFound);
}

/// Repairs tasks that wait.
async fn run_repairs(hub: &dyn Hub) {
    let text = json!({"name": "repairs", "tasks": [
        {"name": "a", "delay": "1h"}, {"name": "b", "depends": ["a"]}, {"name": "c", "delay": "1h"}]});
    let id = hub.submit(Submission { text: text.to_string().into(), id: None }).await.unwrap();
    let ask = |index, action| hub.repair(TaskRepair::new(id.task(index), action));
    assert_eq!(ask(1, RepairAction::Retry).await.unwrap_err().kind, RequestErrorKind::Conflict);
    assert_eq!(ask(3, RepairAction::Skip).await.unwrap_err().kind, RequestErrorKind::NotFound);
    let skip = TaskRepair {
        data: Some(Json::parse("[1]").unwrap()),
        by: Some("ops".into()),
        reason: Some("because".into()),
        ..TaskRepair::new(id.task(0), RepairAction::Skip)
    };
    hub.repair(skip).await.unwrap();
    ask(2, RepairAction::Fail).await.unwrap();
    // Without a worker, it waits on the broker.
    assert_eq!(ask(1, RepairAction::Skip).await.unwrap_err().kind, RequestErrorKind::Conflict);
    hub.cancel(id).await.unwrap();
    let job: Value = serde_json::from_str(hub.job(id, Some(DEADLINE)).await.unwrap().get()).unwrap();
    let task = |index: usize| &job["tasks"][index];
    assert_eq!((&task(0)["status"], &task(0)["data"]), (&json!("SUCCESS"), &json!([1])), "{job:#}");
    let repair = &task(0)["repairs"][0];
    assert_eq!(
        (&repair["action"], &repair["by"], &repair["reason"]),
        (&json!("skip"), &json!("ops"), &json!("because"))
    );
    assert_eq!((&task(2)["status"], &task(2)["msg"]), (&json!("FAILED"), &json!("failed by an operator")), "{job:#}");
    let late = ask(0, RepairAction::Retry).await.unwrap_err();
    assert!(late.kind == RequestErrorKind::Conflict && late.message.contains("CANCELLED"), "{late}");
    hub.remove(id).await.unwrap();
}

/// Signals and answers to tasks that wait, before, at and after their time.
async fn run_waits(hub: &dyn Hub) {
    let text = json!({"name": "waits", "output": ["_late.data", "_ask.data.input", "_late.status"], "tasks": [
        {"name": "ask", "wait": {"approval": {"choices": ["ja", "nein"], "fail_on": []}}},
        {"name": "late", "depends": ["ask"], "wait": {"signal": "größe"}}]});
    let id = hub.submit(Submission { text: text.to_string().into(), id: None }).await.unwrap();
    let kind = |refused: Result<_, hub_engine::operations::RequestError>| refused.err().map(|error| error.kind);
    let data = Json::parse("123456789012345678901234567890").unwrap();
    let signal = JobSignal {
        data: Some(data.clone()),
        key: Some("once".into()),
        by: Some("ops".into()),
        ..JobSignal::new(id, "größe")
    };
    assert_eq!(hub.signal(signal.clone()).await.unwrap(), SignalOutcome::Kept);
    assert_eq!(hub.signal(signal.clone()).await.unwrap(), SignalOutcome::Repeated);
    let all = JobSignal { broadcast: true, ..JobSignal::new(id, "größe") };
    assert_eq!(hub.signal(all).await.unwrap(), SignalOutcome::Dropped);
    let unknown = hub.signal(JobSignal::new(id, "grösse")).await.unwrap_err();
    assert!(unknown.kind == RequestErrorKind::InvalidRequest && unknown.message.contains("größe"), "{unknown}");
    let large = JobSignal { data: Some(Json::string(&"x".repeat(65_536))), ..JobSignal::new(id, "größe") };
    assert_eq!(hub.signal(large).await.unwrap_err().kind, RequestErrorKind::TooLarge);
    let nowhere = hub_core::JobId::new(uuid::Uuid::from_u128(77 << 64));
    assert_eq!(hub.signal(JobSignal::new(nowhere, "s")).await.unwrap_err().kind, RequestErrorKind::NotFound);

    let answer = |index, choice: &str| TaskApproval {
        input: Some(data.clone()),
        by: Some("kim".into()),
        ..TaskApproval::new(id.task(index), choice)
    };
    assert_eq!(kind(hub.approve(answer(0, "approve")).await), Some(RequestErrorKind::InvalidRequest));
    assert_eq!(kind(hub.approve(answer(1, "ja")).await), Some(RequestErrorKind::Conflict));
    assert_eq!(kind(hub.approve(answer(2, "ja")).await), Some(RequestErrorKind::NotFound));
    let result = ResultUpdate { id: id.task(0), status: UpdateStatus::Success, data: None, msg: None, v: None };
    assert_eq!(kind(hub.post_result(result).await), Some(RequestErrorKind::Conflict));
    hub.approve(answer(0, "nein")).await.unwrap();
    let job = hub.job(id, Some(DEADLINE)).await.unwrap();
    let output = format!("[{data}, {data}, \"SUCCESS\"]");
    assert!(job.get().contains(&output.replace(", ", ",")) || job.get().contains(&output), "{}", job.get());
    // The job has ended. What is repeated is accepted, and everything else is refused.
    hub.approve(answer(0, "nein")).await.unwrap();
    assert_eq!(hub.signal(signal).await.unwrap(), SignalOutcome::Repeated);
    assert_eq!(kind(hub.approve(answer(0, "ja")).await), Some(RequestErrorKind::Conflict));
    assert_eq!(kind(hub.approve(answer(1, "ja")).await), Some(RequestErrorKind::Conflict));
    let late = hub.signal(JobSignal::new(id, "größe")).await.unwrap_err();
    assert!(late.kind == RequestErrorKind::Conflict && late.message.contains("SUCCESS"), "{late}");
    hub.remove(id).await.unwrap();
}

#[tokio::test]
async fn in_the_same_process() {
    let dispatcher = dispatcher(&MemoryBroker::new()).await;
    run_scenario(&*dispatcher.hub()).await;
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn over_the_broker() {
    let broker = MemoryBroker::new();
    let dispatcher = dispatcher(&broker).await;
    let hub = AmqpHub::connect(broker.transport(), "hub", DEADLINE).await.unwrap();
    run_scenario(&hub).await;
    hub.close().await;
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn jobs_in_one_message_are_answered_independently() {
    let broker = MemoryBroker::new();
    let dispatcher = dispatcher(&broker).await;
    let hub = AmqpHub::connect(broker.transport(), "hub", DEADLINE).await.unwrap();
    let id = hub_core::JobId::new(uuid::Uuid::from_u128(7 << 64));
    let text = |name: &str| json!({"name": name, "tasks": [{"name": "a"}]}).to_string();
    let job = |name: &str, text: String, id| JobMessage {
        id,
        text: text.into(),
        correlation_id: Some(name.into()),
        wait: None,
    };
    let jobs = vec![
        job("first", text("first"), Some(id)),
        job("nonsense", "nonsense".to_owned(), None),
        job("again", text("first"), Some(id)),
        job("clash", text("clash"), Some(id)),
        job("other", text("other"), None),
    ];
    let session = broker.transport().connect().await.unwrap();
    let mut inbox = session.inbox().await.unwrap();
    let message = JobMessage::message(jobs, &Names::new("hub"), Some(inbox.address.into()));
    let published = session.publisher(1).await.unwrap().publish(message).await.unwrap();
    assert!(matches!(published.await, Outcome::Confirmed));
    let mut answers = BTreeMap::new();
    while answers.len() < 5 {
        let answer = tokio::time::timeout(DEADLINE, inbox.subscription.deliveries.recv()).await.unwrap().unwrap();
        let body: Value = serde_json::from_slice(&answer.message.body).unwrap();
        match answer.message.correlation_id {
            Some(to) => drop(answers.insert(to.to_string(), body)),
            None => answers.extend(
                body["replies"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|answer| (answer["to"].as_str().unwrap().to_owned(), answer["reply"].clone())),
            ),
        }
    }
    assert_eq!((&answers["first"]["ok"]["id"], &answers["again"]["ok"]["id"]), (&json!(id), &json!(id)));
    assert_eq!(answers["nonsense"]["error"]["kind"], "invalid_job");
    assert_eq!(answers["clash"]["error"]["kind"], "conflict");
    assert!(answers["other"]["ok"]["id"].is_string());
    let names = hub.jobs(JobFilter::default()).await.unwrap().jobs.into_iter().map(|job| job.name);
    assert_eq!(names.collect::<Vec<_>>(), ["other".into(), "first".into()] as [Arc<str>; 2]);
    hub.close().await;
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn over_http() {
    let dispatcher = dispatcher(&MemoryBroker::new()).await;
    let served = Served::start(dispatcher.hub(), HttpSettings::default()).await;
    let hub = HttpHub::new(&served.url(""), None, DEADLINE).unwrap();
    run_scenario(&hub).await;
    drop(hub);
    served.stop().await;
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_job_waits_for_its_dispatcher() {
    let broker = MemoryBroker::new();
    let hub = AmqpHub::connect(broker.transport(), "hub", DEADLINE).await.unwrap();
    let text = json!({"name": "early", "tasks": [{"name": "a"}]}).to_string();
    let id = hub.submit_detached(Submission { text: text.into(), id: None }).await.unwrap();
    assert_eq!(hub.job(id, None).await.unwrap_err().kind, RequestErrorKind::Unreachable);
    let dispatcher = dispatcher(&broker).await;
    let known = async {
        while let Err(error) = hub.job(id, None).await {
            assert_eq!(error.kind, RequestErrorKind::NotFound);
        }
    };
    tokio::time::timeout(DEADLINE, known).await.expect("the job was lost");
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_is_kept_that_is_submitted_while_another_program_declares_the_queues() {
    let (broker, wait) = (MemoryBroker::new(), Duration::from_secs(5));
    let (other, whole) = (broker.transport().connect().await.unwrap(), Names::new("hub").shared_topology());
    // The queue exists that the client looks for, and nothing is bound to any.
    other.declare(&Topology { bindings: Vec::new(), ..whole.clone() }).await.unwrap();
    let hub = AmqpHub::connect(broker.transport(), "hub", wait).await.unwrap();
    let submission = |text: &str| Submission { text: text.into(), id: None };
    let error = hub.submit(submission("{}")).await.unwrap_err();
    assert!(error.kind == RequestErrorKind::Unreachable && error.message.contains("start hub-dispatcher"), "{error}");
    let later = async {
        tokio::time::sleep(wait / 2).await;
        other.declare(&whole).await.unwrap();
    };
    tokio::join!(hub.submit_detached(submission("[]")), later).0.unwrap();
    assert_eq!(broker.depths().get("hub.jobs.0"), Some(&1));
}

#[tokio::test]
async fn a_posted_result_for_an_ended_task_is_compared_with_its_result() {
    let broker = MemoryBroker::new();
    let dispatcher = dispatcher(&broker).await;
    let text = json!({"name": "short", "tasks": [{"name": "a"}]}).to_string();
    let id = dispatcher.hub().submit(Submission { text: text.into(), id: None }).await.unwrap();
    let (session, names) = (broker.transport().connect().await.unwrap(), Names::new("hub"));
    let options = SubscribeOptions { prefetch: 1, exclusive: false };
    let mut tasks = session.subscribe(&names.pool_queue("default"), options).await.unwrap();
    let task = tokio::time::timeout(DEADLINE, tasks.deliveries.recv()).await.unwrap().unwrap();
    let task = TaskMessage::decode(&task.message.body).unwrap();
    let mut inbox = session.inbox().await.unwrap();
    let publisher = session.publisher(2).await.unwrap();
    let from_worker = json!({"v": 1, "type": "result", "worker": "w", "id": task.issue.task, "issue": task.issue.number,
        "incarnation": task.issue.incarnation, "status": "SUCCESS", "data": 7, "started_at": 0, "ended_at": 1});
    let mut posted = Message::new(
        names.hub(),
        names.result_key(task.issue.task),
        json!({"id": task.issue.task, "status": "SUCCESS", "data": 7}).to_string(),
    );
    posted.reply_to = Some(inbox.address.into());
    for message in [Message::new(names.hub(), names.result_key(task.issue.task), from_worker.to_string()), posted] {
        drop(publisher.publish(message).await.unwrap());
    }
    let answer = tokio::time::timeout(DEADLINE, inbox.subscription.deliveries.recv()).await.unwrap().unwrap();
    let answer: Value = serde_json::from_slice(&answer.message.body).unwrap();
    assert_eq!(answer["ok"]["id"], json!(task.issue.task), "{answer}");
    let job: Value = serde_json::from_str(dispatcher.hub().job(id, Some(DEADLINE)).await.unwrap().get()).unwrap();
    assert_eq!(job["status"], "SUCCESS");
    dispatcher.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_submission_that_waits_is_answered_when_the_dispatcher_stops() {
    let dispatcher = dispatcher(&MemoryBroker::new()).await;
    let text = json!({"name": "unfinished", "tasks": [{"name": "a"}]}).to_string();
    let id = hub_core::JobId::new(uuid::Uuid::from_u128(7 << 64));
    let (hub, submission) = (dispatcher.hub(), Submission { text: text.into(), id: Some(id) });
    let waiting = tokio::spawn(async move { hub.submit_and_wait(submission, DEADLINE).await });
    let hub = dispatcher.hub();
    let taken = async {
        while hub.job(id, None).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, taken).await.expect("the job was not taken");
    dispatcher.stop(Duration::from_secs(5)).await;
    let submitted = waiting.await.unwrap().unwrap();
    assert_eq!((submitted.id, submitted.record), (id, None));
}
