//! The client over the broker, with a scripted dispatcher.

mod scripted_support;

use std::time::Duration;

use futures_util::future::join_all;
use hub_core::{JobId, JobStatus, TaskId};
use hub_engine::client::AmqpHub;
use hub_engine::operations::{
    Hub, JobCancel, JobFilter, Pausable, PauseRequest, PriorityRequest, RequestError, RequestErrorKind, ResultUpdate,
    Submission, UpdateStatus,
};
use hub_engine::wire::{JobMessage, Reply};
use hub_transport::memory::MemoryBroker;
use hub_transport::{Message, Persistence};
use scripted_support::{DEADLINE, Scripted};
use serde_json::{Value, json};
use uuid::Uuid;

/// The client's timeout. Time is simulated in these tests.
const TIMEOUT: Duration = Duration::from_secs(5);

async fn connect(broker: &MemoryBroker) -> AmqpHub {
    AmqpHub::connect(broker.transport(), "hub", TIMEOUT).await.unwrap()
}

fn some_id() -> JobId {
    "693eb630-e77d-11f1-b11f-02fc00000001".parse().unwrap()
}

fn submission(text: &str, id: Option<JobId>) -> Submission {
    Submission { text: text.into(), id }
}

fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

/// Runs a request concurrently with the script that answers it.
async fn asked<T>(question: impl Future<Output = T>, script: impl Future<Output = ()>) -> T {
    tokio::time::timeout(DEADLINE, async { tokio::join!(question, script).0 }).await.expect("it hangs")
}

#[tokio::test(start_paused = true)]
async fn every_request_is_as_documented() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let id = some_id();
    let task = id.task(0);
    let mut expect = async |wanted: Value, answer: Value| {
        let message = scripted.request().await;
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("hub.requests", "requests"));
        assert_eq!(message.content_type.as_deref(), Some("application/json"));
        assert_eq!(body(&message), wanted);
        scripted.reply(&message, json!({"v": 1, "ok": answer}).to_string()).await;
    };

    let record = json!({"status": "RUNNING"});
    let question = json!({"v": 1, "type": "job", "id": id});
    let got = asked(hub.job(id, None), expect(question, record.clone())).await.unwrap();
    assert_eq!(got.to_value(), record);

    let question = json!({"v": 1, "type": "jobs", "filter": {"status": [], "name": "a", "limit": null, "after": null}});
    let filter = JobFilter { name: Some("a".to_owned()), ..JobFilter::default() };
    let page = asked(hub.jobs(filter), expect(question, json!({"jobs": [], "next": "9"}))).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("9"));

    asked(hub.cancel(id), expect(json!({"v": 1, "type": "cancel", "id": id}), json!({"id": id}))).await.unwrap();
    let question = json!({"v": 1, "type": "cancel", "id": id, "now": true, "by": "ops"});
    let cancel = JobCancel { now: true, by: Some("ops".to_owned()), ..JobCancel::new(id) };
    let status = asked(hub.cancel_with(cancel), expect(question, json!({"id": id, "status": "CANCELLING"}))).await;
    assert_eq!(status, Ok(JobStatus::Cancelling));
    let question = json!({"v": 1, "type": "explain", "id": id, "task": "a"});
    let explained = asked(hub.explain(id, Some("a".to_owned())), expect(question, json!({"text": "…"}))).await;
    assert_eq!(explained.unwrap().to_value(), json!({"text": "…"}));
    let script = async {
        let question = json!({"v": 1, "type": "document", "id": id});
        expect(question, json!({"text": "{ \"name\"", "next": 8})).await;
        let question = json!({"v": 1, "type": "document", "id": id, "after": 8});
        expect(question, json!({"text": ": 1 }\n"})).await;
    };
    assert_eq!(asked(hub.document(id), script).await.unwrap().text(), "{ \"name\": 1 }\n");
    let question = json!({"v": 1, "type": "pause", "id": id});
    asked(hub.pause(PauseRequest::new(Pausable::Job(id))), expect(question, json!({"id": id}))).await.unwrap();
    let question = json!({"v": 1, "type": "resume", "pool": "gpu", "reason": "no"});
    let resume = PauseRequest { of: Pausable::Pool("gpu".to_owned()), by: None, reason: Some("no".to_owned()) };
    asked(hub.resume(resume), expect(question, json!({"pool": "gpu"}))).await.unwrap();
    let question = json!({"v": 1, "type": "priority", "id": id, "priority": -5, "reason": "no"});
    let priority = PriorityRequest { reason: Some("no".to_owned()), ..PriorityRequest::new(id, -5) };
    asked(hub.set_priority(priority), expect(question, json!({"id": id, "priority": -5}))).await.unwrap();
    asked(hub.remove(id), expect(json!({"v": 1, "type": "remove", "id": id}), json!({"id": id}))).await.unwrap();

    let update = ResultUpdate {
        id: task,
        status: UpdateStatus::Success,
        data: Some(json!({"a": [1]}).into()),
        msg: None,
        v: None,
    };
    let question = json!({"v": 1, "type": "result", "result": {"id": task, "status": "SUCCESS", "data": {"a": [1]}}});
    asked(hub.post_result(update), expect(question, json!({"id": task}))).await.unwrap();

    let workers = asked(hub.workers(), expect(json!({"v": 1, "type": "workers"}), json!([]))).await.unwrap();
    assert_eq!(workers, []);

    let health = json!({"broker": "up", "store": "up", "version": "1", "incarnation": 1, "live_jobs": 0,
        "workers": 0, "tasks_in_flight": 0, "tasks_ready": 0});
    let report = asked(hub.health(), expect(json!({"v": 1, "type": "health"}), health)).await.unwrap();
    assert!(report.is_ready());
}

/// The answer to a request for a summary.
fn summary(status: &str) -> Value {
    json!({"id": some_id(), "name": "j", "status": status, "tasks": 1, "tasks_ended": 0,
        "submitted_at": "2026-11-23T22:01:43.120Z", "ended_at": null})
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_summaries_and_the_record_once() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let (id, ended) = (some_id(), json!({"status": "FAILED"}));
    let script = async {
        for (wait_ms, status) in [(10_000, "RUNNING"), (10_000, "RUNNING"), (10_000, "FAILED")] {
            let message = scripted.request().await;
            assert_eq!(body(&message), json!({"v": 1, "type": "summary", "id": id, "wait_ms": wait_ms}));
            scripted.reply(&message, json!({"v": 1, "ok": summary(status)}).to_string()).await;
        }
        let message = scripted.request().await;
        assert_eq!(body(&message), json!({"v": 1, "type": "job", "id": id}));
        scripted.reply(&message, json!({"v": 1, "ok": ended}).to_string()).await;
    };
    let got = asked(hub.job(id, Some(DEADLINE)), script).await.unwrap();
    assert_eq!(got.to_value(), ended);
}

#[tokio::test(start_paused = true)]
async fn data_from_outside_keeps_its_digits() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let digits = "123456789012345678901234567890.00";
    let update = ResultUpdate {
        id: TaskId::new(Uuid::nil()),
        status: UpdateStatus::Success,
        data: Some(hub_core::Json::parse(digits).unwrap()),
        msg: None,
        v: None,
    };
    let script = async {
        let message = scripted.request().await;
        assert!(std::str::from_utf8(&message.body).unwrap().contains(digits));
        scripted.reply(&message, r#"{"v": 1, "ok": {"id": "00000000-0000-0000-0000-000000000000"}}"#).await;
    };
    asked(hub.post_result(update), script).await.unwrap();
    let script = async {
        let message = scripted.request().await;
        scripted.reply(&message, format!(r#"{{"v": 1, "ok": {{"output": {digits}}}}}"#)).await;
    };
    assert!(asked(hub.job(some_id(), None), script).await.unwrap().get().contains(digits));
}

#[tokio::test(start_paused = true)]
async fn a_submission_contains_the_unchanged_text_and_the_id() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let text = "{ \"name\" :\"\u{e9}\" }";
    let script = async {
        let message = scripted.job().await;
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("hub", "jobs.40"));
        assert_eq!(message.body, text);
        assert_eq!(message.message_id, Some(some_id().to_string().into()));
        assert_eq!(message.persistence, Persistence::Persistent);
        scripted.reply(&message, json!({"v": 1, "ok": {"id": some_id()}}).to_string()).await;
    };
    assert_eq!(asked(hub.submit(submission(text, Some(some_id()))), script).await.unwrap(), some_id());

    // Without an id the client generates one. The dispatcher may answer with another id, if it knows the job by its
    // key.
    let script = async {
        let message = scripted.job().await;
        assert_ne!(message.message_id, Some(some_id().to_string().into()));
        scripted.reply(&message, json!({"v": 1, "ok": {"id": some_id()}}).to_string()).await;
    };
    assert_eq!(asked(hub.submit(submission("{}", None)), script).await.unwrap(), some_id());
}

#[tokio::test(start_paused = true)]
async fn simultaneous_submissions_share_a_message_and_have_separate_answers() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let large = format!("\"{}\"", "x".repeat(64 << 10));
    let texts = ["{}", "no JSON", &large, "[]"];
    let script = async {
        let mut jobs = Vec::new();
        for count in [2, 1, 1] {
            let message = scripted.job().await;
            let together = JobMessage::all_of(&message).unwrap();
            assert_eq!(
                (together.len(), &message.exchange, &message.persistence),
                (count, &"hub".into(), &Persistence::Persistent)
            );
            jobs.extend(together.into_iter().map(|job| (job, message.clone())));
        }
        assert_eq!(jobs.iter().map(|(job, _)| &job.text[..]).collect::<Vec<_>>(), texts.map(str::as_bytes));
        for (job, message) in jobs.iter().rev() {
            let answer = json!({"v": 1, "ok": {"id": job.id.unwrap(), "record": job.text.len()}});
            scripted.reply_as(message, job.correlation_id.clone(), answer.to_string()).await;
        }
    };
    let waits = join_all(texts.map(|text| hub.submit_and_wait(submission(text, None), Duration::from_secs(1))));
    for (submitted, text) in asked(waits, script).await.into_iter().zip(texts) {
        assert_eq!(submitted.unwrap().record.unwrap().get(), text.len().to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_submission_may_wait_for_its_jobs_end_but_not_too_long() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let record = json!({"status": "SUCCESS"});
    let script = async {
        let message = scripted.job().await;
        assert_eq!(message.headers.get("wait_ms").map(String::as_str), Some("250"));
        scripted.reply(&message, json!({"v": 1, "ok": {"id": some_id(), "record": record}}).to_string()).await;
    };
    let waited = hub.submit_and_wait(submission("{}", Some(some_id())), Duration::from_millis(250));
    let submitted = asked(waited, script).await.unwrap();
    assert_eq!((submitted.id, submitted.record), (some_id(), Some(record.into())));

    // A dispatcher that restarts does not answer, but the next one knows the job if it was stored.
    for (status, known) in [("RUNNING", None), ("FAILED", Some(json!({"status": "FAILED"})))] {
        let script = async {
            let id = scripted.job().await.message_id.unwrap();
            let question = scripted.request().await;
            assert_eq!(body(&question), json!({"v": 1, "type": "summary", "id": id.as_str()}));
            scripted.reply(&question, json!({"v": 1, "ok": summary(status)}).to_string()).await;
            if let Some(record) = &known {
                let question = scripted.request().await;
                assert_eq!(body(&question), json!({"v": 1, "type": "job", "id": id.as_str()}));
                scripted.reply(&question, json!({"v": 1, "ok": record}).to_string()).await;
            }
        };
        let waited = hub.submit_and_wait(submission("{}", None), Duration::from_millis(250));
        assert_eq!(asked(waited, script).await.unwrap().record, known.clone().map(Into::into));
    }
    // An id from the user may belong to another job.
    let waited = hub.submit_and_wait(submission("{}", Some(some_id())), Duration::from_millis(250));
    let error = asked(waited, async { drop(scripted.job().await) }).await.unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::TimedOut);
    assert!(error.message.contains(&some_id().to_string()), "{error}");

    // A wait is limited, because the dispatcher may have ended. The caller divides longer waits.
    let script = async {
        let message = scripted.job().await;
        assert_eq!(message.headers.get("wait_ms").map(String::as_str), Some("10000"));
        scripted.reply(&message, json!({"v": 1, "ok": {"id": some_id()}}).to_string()).await;
    };
    let submitted = asked(hub.submit_and_wait(submission("{}", None), DEADLINE), script).await.unwrap();
    assert_eq!((submitted.id, submitted.record), (some_id(), None));
}

#[tokio::test(start_paused = true)]
async fn several_answers_may_share_a_message() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let (record, wait) = (json!({"deep": [{"status": "SUCCESS"}]}), Duration::from_secs(1));
    let script = async {
        let message = scripted.job().await;
        assert_eq!(message.headers.get("replies").map(String::as_str), Some("many"));
        let [first, second] = &JobMessage::all_of(&message).unwrap()[..] else { panic!("not two jobs") };
        let ok = |job: &JobMessage| json!({"id": job.id, "record": record});
        let to = |job: &JobMessage| json!(job.correlation_id.as_deref().unwrap());
        let many = json!({"v": 1, "replies": [
            {"to": to(second), "reply": {"v": 1, "ok": ok(second)}},
            {"to": "somebody who has gone", "reply": {"v": 1, "ok": null}},
            {"reply": {"error": {"kind": "conflict", "message": "no"}, "v": 1}, "to": to(first)},
        ]});
        // Invalid replies do not affect others.
        scripted.reply_as(&message, None, json!({"v": 1, "replies": [{"to": 1}]}).to_string()).await;
        scripted.reply_as(&message, None, json!({"v": 2, "replies": []}).to_string()).await;
        scripted.reply_as(&message, None, many.to_string()).await;
    };
    let both = async {
        let (first, second) = (submission("{}", None), submission("{}", Some(some_id())));
        tokio::join!(hub.submit_and_wait(first, wait), hub.submit_and_wait(second, wait))
    };
    let (first, second) = asked(both, script).await;
    assert_eq!(first.unwrap_err().kind, RequestErrorKind::Conflict);
    let second = second.unwrap();
    assert_eq!((second.id, second.record), (some_id(), Some(record.into())));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_complete_and_invalid_answers_are_reported() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let problem = json!({"code": "no_tasks", "path": "$", "line": 1, "column": 1, "message": "none"});
    let refusal: RequestError =
        serde_json::from_value(json!({"kind": "invalid_job", "message": "bad", "problems": [problem]})).unwrap();
    let script = async {
        let message = scripted.job().await;
        let reply = Reply::new::<()>(Err(refusal.clone()));
        scripted.reply(&message, serde_json::to_vec(&reply).unwrap()).await;
    };
    assert_eq!(asked(hub.submit(submission("{}", None)), script).await.unwrap_err(), refusal);

    let unclear = [&b""[..], b"yes", b"{}", br#"{"v": 1}"#, br#"{"v": 1, "ok": 7}"#, br#"{"v": 2, "ok": {}}"#, b"\xff"];
    for reply in unclear {
        let script = async {
            let message = scripted.request().await;
            scripted.reply(&message, reply).await;
        };
        let error = asked(hub.cancel(some_id()), script).await.unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::Internal, "{reply:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn replies_to_other_requests_are_ignored() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let script = async {
        let (first, second) = (scripted.request().await, scripted.request().await);
        scripted.reply_as(&first, None, "{}").await;
        scripted.reply_as(&first, Some("another".into()), "{}").await;
        // The last request is answered first.
        for message in [&second, &first] {
            let record = json!({"v": 1, "ok": {"id": body(message)["id"]}});
            scripted.reply(message, record.to_string()).await;
            scripted.reply(message, record.to_string()).await;
        }
    };
    let other = JobId::new(Uuid::nil());
    let (first, second) = asked(async { tokio::join!(hub.job(some_id(), None), hub.job(other, None)) }, script).await;
    assert_eq!(first.unwrap().to_value()["id"], json!(some_id()));
    assert_eq!(second.unwrap().to_value()["id"], json!(other));
}

#[tokio::test(start_paused = true)]
async fn without_a_dispatcher_a_request_fails_immediately_and_is_not_queued() {
    let broker = MemoryBroker::new();
    let hub = connect(&broker).await;
    let asked_at = tokio::time::Instant::now();
    let error = hub.job(some_id(), Some(DEADLINE)).await.unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::Unreachable);
    assert!(error.message.contains("start hub-dispatcher"), "{error}");
    assert_eq!(asked_at.elapsed(), Duration::ZERO);
    assert_eq!(broker.depths().values().sum::<usize>(), 0, "{:?}", broker.depths());
}

#[tokio::test(start_paused = true)]
async fn a_job_submitted_before_the_first_dispatcher_is_kept() {
    let broker = MemoryBroker::new();
    let hub = connect(&broker).await;
    let error = hub.submit(submission("{}", Some(some_id()))).await.unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::TimedOut);
    assert!(error.message.contains(&format!("has the job as {}", some_id())), "{error}");
    let detached = hub.submit_detached(submission("[]", None)).await.unwrap();
    hub.close().await;

    let mut scripted = Scripted::start(&broker).await;
    assert_eq!(scripted.job().await.message_id, Some(some_id().to_string().into()));
    let second = scripted.job().await;
    assert_eq!((second.message_id, second.reply_to), (Some(detached.to_string().into()), None));
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_without_an_answer_is_a_timeout() {
    let broker = MemoryBroker::new();
    let _scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let asked_at = tokio::time::Instant::now();
    let error = hub.health().await.unwrap_err();
    assert_eq!((error.kind, asked_at.elapsed()), (RequestErrorKind::TimedOut, TIMEOUT));
    assert!(error.message.contains("within 5 s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_blocked_broker_is_reported() {
    let broker = MemoryBroker::new();
    let _scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    broker.block("memory alarm");
    let error = hub.submit(submission("{}", Some(some_id()))).await.unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::TimedOut);
    assert!(error.message.contains("memory alarm") && error.message.contains(&some_id().to_string()), "{error}");
}

#[tokio::test(start_paused = true)]
async fn requests_are_repeated_after_a_lost_connection() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    let script = async {
        let lost = scripted.request().await;
        broker.drop_sessions();
        scripted = Scripted::start(&broker).await;
        let again = scripted.request().await;
        assert_eq!(lost.body, again.body);
        assert_ne!((&lost.reply_to, &lost.correlation_id), (&again.reply_to, &again.correlation_id));
        scripted.reply(&again, r#"{"v": 1, "ok": []}"#).await;
    };
    assert_eq!(asked(hub.workers(), script).await.unwrap(), []);

    // A submission keeps its id, so that the dispatcher recognises it.
    let script = async {
        let lost = scripted.job().await;
        broker.restart();
        scripted = Scripted::start(&broker).await;
        let again = scripted.job().await;
        assert_eq!((&lost.body, &lost.message_id), (&again.body, &again.message_id));
        scripted.reply(&again, json!({"v": 1, "ok": {"id": again.message_id.as_deref()}}).to_string()).await;
    };
    asked(hub.submit(submission("{}", None)), script).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_not_idempotent_are_not_repeated() {
    let broker = MemoryBroker::new();
    let mut scripted = Scripted::start(&broker).await;
    let hub = connect(&broker).await;
    for remove in [false, true] {
        let script = async {
            scripted.request().await;
            broker.drop_sessions();
            scripted = Scripted::start(&broker).await;
        };
        let question = async { if remove { hub.remove(some_id()).await } else { hub.cancel(some_id()).await } };
        let error = asked(question, script).await.unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::TimedOut);
        assert!(error.message.contains("may have been executed"), "{error}");
        // The next message is the next request.
        let script = async {
            let message = scripted.request().await;
            assert_eq!(body(&message)["type"], "workers");
            scripted.reply(&message, r#"{"v": 1, "ok": []}"#).await;
        };
        asked(hub.workers(), script).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_broker_rejects_is_reported_as_too_large() {
    let broker = MemoryBroker::new().with_max_message_bytes(100);
    let hub = connect(&broker).await;
    let error = hub.submit(submission(&"x".repeat(101), None)).await.unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::TooLarge, "{error}");
    hub.submit_detached(submission(&"x".repeat(100), None)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_missing_broker_is_reported_soon() {
    let broker = MemoryBroker::new();
    broker.go_away();
    let asked_at = tokio::time::Instant::now();
    let error = AmqpHub::connect(broker.transport(), "hub", Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::Unreachable);
    assert!(error.message.contains("memory") && error.message.contains("the broker is away"), "{error}");
    assert!(asked_at.elapsed() < Duration::from_secs(5), "{:?}", asked_at.elapsed());

    broker.come_back();
    let hub = connect(&broker).await;
    broker.go_away();
    let error = hub.submit(submission("{}", None)).await.unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::Unreachable);
    assert!(error.message.contains("the broker is away"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn dropping_it_disconnects() {
    let broker = MemoryBroker::new();
    let hub = connect(&broker).await;
    let before = broker.depths().len();
    drop(hub);
    let gone = async {
        // Its address for replies ends with its session.
        while broker.depths().len() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.expect("it is still connected");
}
