//! Repeated submissions under any message id are the same job: immediately, later, and after a restart.

use std::sync::Arc;
use std::time::Duration;

use hub_core::JobId;
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, JobFilter};
use hub_engine::runner::{FunctionRunner, Outcome};
use hub_engine::store::MemoryStore;
use hub_engine::wire::Names;
use hub_engine::worker::{Worker, WorkerSettings};
use hub_transport::Message;
use hub_transport::memory::MemoryBroker;

const DEADLINE: Duration = Duration::from_secs(120);
const JOB: &str = r#"{"name": "j", "tasks": [{"name": "one"}], "output": "_one.data"}"#;
const IDS: [&str; 4] = ["order-17", "Ä \u{1f600} '\"\n", "not-quite-a-uuid-693eb630", "0"];

/// Publishes every job twice, in single and in combined messages, and waits until the dispatcher has handled them.
async fn submit_all(broker: &MemoryBroker) {
    let names = Names::new("hub");
    let session = broker.transport().connect().await.unwrap();
    let publisher = session.publisher(1).await.unwrap();
    let entries: Vec<_> = IDS.iter().map(|id| serde_json::json!({"id": id, "bytes": JOB.len()})).collect();
    let many = format!("{}\n{}", serde_json::json!({"v": 1, "jobs": entries}), JOB.repeat(IDS.len()));
    for _ in 0..2 {
        for id in IDS {
            let message = Message::new(names.hub(), names.jobs_key(), JOB).with_message_id(id);
            drop(publisher.publish(message).await.unwrap().await);
        }
        let message = Message::new(names.hub(), names.jobs_key(), many.clone()).with_header("jobs", "many");
        drop(publisher.publish(message).await.unwrap().await);
    }
    tokio::time::timeout(DEADLINE, async {
        while broker.depths()["hub.jobs.0"] > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("every submission is acknowledged");
}

async fn all_have_ended(hub: &dyn Hub) {
    for id in IDS {
        let record = hub.job(JobId::of_text(id).unwrap(), Some(DEADLINE)).await.unwrap();
        let record: serde_json::Value = serde_json::from_str(record.get()).unwrap();
        assert_eq!(
            (&record["status"], &record["tasks"][0]["issue"]),
            (&"SUCCESS".into(), &serde_json::Value::Null),
            "{record:#}"
        );
    }
    assert_eq!(hub.jobs(JobFilter::default()).await.unwrap().jobs.len(), IDS.len());
}

#[tokio::test]
async fn any_message_id_makes_a_submission_idempotent() {
    let (broker, store) = (MemoryBroker::new(), Arc::new(MemoryStore::new()));
    let runner = FunctionRunner::new().with("one", |_| Outcome::Success { data: hub_core::Json::from_checked("1") });
    let worker = Worker::start(broker.transport(), Arc::new(runner), WorkerSettings::new("hub", 2));
    // The second dispatcher finds the state as if the first had died between its commits and its acknowledgements.
    for _ in 0..2 {
        let settings = DispatcherSettings::new("hub");
        let dispatcher = Dispatcher::start(broker.transport(), store.clone(), settings).await.unwrap();
        dispatcher.ready().await;
        submit_all(&broker).await;
        all_have_ended(&*dispatcher.hub()).await;
        dispatcher.stop(Duration::from_secs(5)).await;
    }
    worker.stop(Duration::from_secs(1)).await;
}
