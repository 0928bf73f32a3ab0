//! Retention of finished jobs.

use std::sync::Arc;
use std::time::Duration;

use hub_core::{JobId, JobStatus, Timestamp};
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, JobFilter, Submission};
use hub_engine::store::{MemoryStore, Store};
use hub_engine::testing::store::rows::{add, commit, ended, job_changed};
use hub_transport::memory::MemoryBroker;
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

async fn submit(hub: &dyn Hub, job: &Value) -> JobId {
    hub.submit(Submission { text: job.to_string().into(), id: None }).await.unwrap()
}

/// Number of jobs in the store.
async fn kept(store: &dyn Store) -> usize {
    store.list(&JobFilter { limit: Some(1000), ..JobFilter::default() }, Timestamp::default()).await.unwrap().jobs.len()
}

#[tokio::test]
async fn at_most_a_tenth_more_jobs_are_kept_also_after_restarts() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for round in 0..4 {
        let broker = MemoryBroker::new();
        let settings = DispatcherSettings { retain_jobs: 20, ..DispatcherSettings::new("hub") };
        let dispatcher = Dispatcher::start(broker.transport(), Arc::clone(&store), settings).await.unwrap();
        let hub = dispatcher.hub();
        for at in 0..18 {
            let job =
                submit(&*hub, &json!({"name": format!("{round} {at}"), "tasks": [{"name": "a", "delay": "1h"}]})).await;
            hub.cancel(job).await.unwrap();
        }
        let pruned = async {
            while kept(&*store).await > 22 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, pruned).await.expect("too many jobs stay");
        dispatcher.stop(Duration::from_secs(5)).await;
    }
    // Also at the start, for jobs of an earlier dispatcher.
    for number in 1..=30 {
        add(&*store, number, "j", 1).await;
        commit(&*store, vec![job_changed(number, ended(JobStatus::Success))]).await;
    }
    let settings = DispatcherSettings { retain_jobs: 20, ..DispatcherSettings::new("hub") };
    let dispatcher = Dispatcher::start(MemoryBroker::new().transport(), Arc::clone(&store), settings).await.unwrap();
    let pruned = async {
        while kept(&*store).await > 20 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, pruned).await.expect("nothing is forgotten at the start");
    dispatcher.stop(Duration::from_secs(5)).await;
}
