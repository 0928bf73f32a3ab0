//! The retries of the scenario.
#![allow(unreachable_pub, reason = "test files cannot be more private")]

use std::collections::BTreeMap;

use hub_core::details::RepairAction;
use hub_core::{JobStatus, Json, RetryFrom};
use hub_engine::operations::{Hub, JobRetry, RequestErrorKind, Submission, TaskRepair};
use serde_json::{Value, json};

use crate::http_support::DEADLINE;

/// Retries a job that has ended.
pub async fn run_retries(hub: &dyn Hub) {
    let text = json!({"name": "retries", "key": "mine", "output": "_c.data", "tasks": [
        {"name": "a", "delay": "1h"}, {"name": "b", "delay": "1h"},
        {"name": "c", "wait": {"until": "1h"}, "depends": ["a", "b"]}]});
    let first = hub.submit(Submission { text: text.to_string().into(), id: None }).await.unwrap();
    let retry = || JobRetry { by: Some("ops".into()), reason: Some("again".into()), ..JobRetry::new(first) };
    let live = hub.retry(retry()).await.unwrap_err();
    assert!(live.kind == RequestErrorKind::Conflict && live.message.contains("it has not ended"), "{live}");
    let data = Json::parse("123456789012345678901234567890").unwrap();
    let skip = TaskRepair { data: Some(data.clone()), ..TaskRepair::new(first.task(0), RepairAction::Skip) };
    hub.repair(skip).await.unwrap();
    hub.repair(TaskRepair::new(first.task(1), RepairAction::Fail)).await.unwrap();
    let record = |json: Json| -> Value { serde_json::from_str(json.get()).unwrap() };
    let failed = record(hub.job(first, Some(DEADLINE)).await.unwrap());
    assert_eq!(failed["status"], "FAILED", "{failed:#}");

    let id = hub_core::JobId::new(uuid::Uuid::now_v7());
    for _ in 0..2 {
        let submitted = hub.retry(JobRetry { new_id: Some(id), ..retry() }).await.unwrap();
        assert_eq!(submitted.id, id, "the same retry is the same job");
    }
    let taken = hub.retry(JobRetry { new_id: Some(first), ..retry() }).await.unwrap_err();
    assert_eq!(taken.kind, RequestErrorKind::Conflict);
    let job = record(hub.job(id, None).await.unwrap());
    let origin = json!({"job": first, "root": first, "try": 2, "by": "ops", "reason": "again"});
    assert_eq!((&job["origin"], job.get("key")), (&origin, None), "{job:#}");
    let kept = &job["tasks"][0];
    assert_eq!(
        (&kept["status"], &kept["data"], &kept["kept_from"]),
        (&json!("SUCCESS"), &failed["tasks"][0]["data"], &json!(first))
    );
    assert_eq!(
        (&job["tasks"][1]["status"], &job["tasks"][2]["status"]),
        (&json!("PENDING"), &json!("PENDING")),
        "{job:#}"
    );
    let wrong = JobRetry { cancel: true, from: RetryFrom::Tasks(vec!["z".into()]), ..JobRetry::new(id) };
    assert_eq!(hub.retry(wrong).await.unwrap_err().kind, RequestErrorKind::InvalidRequest);
    assert_eq!(hub.summary(id, None).await.unwrap().status, JobStatus::Pending, "a wrong request cancels nothing");
    let second = hub.retry(JobRetry { cancel: true, by: Some("ops".into()), ..JobRetry::new(id) }).await.unwrap().id;
    let cancelled = record(hub.job(id, Some(DEADLINE)).await.unwrap());
    assert_eq!((&cancelled["status"], &cancelled["cancel"]["by"]), (&json!("CANCELLED"), &json!("ops")));
    assert_eq!(record(hub.job(second, None).await.unwrap())["origin"]["job"], json!(id));
    hub.cancel(second).await.unwrap();
    hub.job(second, Some(DEADLINE)).await.unwrap();

    let given = |task: &str| BTreeMap::from([(task.to_owned(), data.clone())]);
    let overrides = [given("b"), given("c")].into_iter().flatten().collect();
    let all = JobRetry { overrides, from: RetryFrom::Tasks(vec!["b".into()]), ..JobRetry::new(id) };
    let refused = hub.retry(all.clone()).await.unwrap_err();
    assert!(refused.kind == RequestErrorKind::InvalidRequest && refused.message.contains("\"b\""), "{refused}");
    let third = hub.retry(JobRetry { from: RetryFrom::Failure, ..all }).await.unwrap().id;
    let job = hub.job(third, Some(DEADLINE)).await.unwrap();
    assert!(
        job.get().contains(&format!("\"output\": {}", data.get()))
            || job.get().contains(&format!("\"output\":{}", data.get())),
        "{job:?}"
    );
    let job = record(job);
    assert_eq!((&job["origin"]["try"], &job["tasks"][1]["overridden"]), (&json!(3), &json!(true)), "{job:#}");
    let again = hub.retry(JobRetry::new(third)).await.unwrap_err();
    assert!(again.kind == RequestErrorKind::Conflict && again.message.contains("\"start\""), "{again}");
    let unknown = JobRetry { overrides: given("d"), ..JobRetry::new(third) };
    assert_eq!(hub.retry(unknown).await.unwrap_err().kind, RequestErrorKind::InvalidRequest);
    for job in [first, id, second, third] {
        hub.remove(job).await.unwrap();
        assert_eq!(hub.retry(JobRetry::new(job)).await.unwrap_err().kind, RequestErrorKind::NotFound);
    }
}
