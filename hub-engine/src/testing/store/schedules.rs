//! Schedules, and how far they have come.

use hub_core::action::Change;
use hub_core::schedule::{LastRun, ScheduleState, Skip, SkipReason};
use hub_core::{JobId, Timestamp};
use uuid::Uuid;

use super::Fixture;
use super::rows::{commit, pause, schedule_changed, schedule_removed, schedule_set};
use super::steps::ok;
use crate::store::Store;

/// Name, identity, text and state of each schedule.
async fn contents(store: &dyn Store) -> Vec<(String, Uuid, String, ScheduleState)> {
    let all = ok(store.schedules()).await;
    let show = |one: &hub_core::schedule::ScheduleSnapshot| {
        let kept = &one.kept;
        (one.name().to_string(), kept.uid, kept.schedule.source().to_string(), (*one.state).clone())
    };
    all.iter().map(show).collect()
}

pub(super) async fn schedules_are_kept_with_their_states(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert!(ok(store.schedules()).await.is_empty());
    let at = Timestamp::from_millis;
    let whole = ScheduleState {
        next_at: Some(at(90_000)),
        paused: Some(pause(5)),
        failures: 2,
        caught_up: 3,
        buffered: vec![30_000, 60_000],
        skips: [Skip { at: at(1000), reason: SkipReason::Refused, msg: Some("\u{1f600}".into()) }].into(),
        skipped: 7,
        started: u64::from(u32::MAX) + 1,
        last: Some(LastRun { at: at(2000), job: JobId::new(Uuid::from_u128(9)) }),
    };
    let first = schedule_set("b", 1, 30);
    let Change::ScheduleSet { kept } = first.clone() else { unreachable!("it is a schedule") };
    commit(&*store, vec![first, schedule_changed("b", whole.clone()), schedule_set("a", 2, 60)]).await;
    let found = ok(store.schedules()).await;
    assert_eq!(found[1].kept, kept, "with its times, and who made it");
    assert_eq!(*found[1].state, whole);
    assert_eq!(*found[0].state, ScheduleState::default());
    // Another text keeps the state; the state of an unknown schedule has no effect.
    let unknown = schedule_changed("c", ScheduleState::default());
    commit(&*store, vec![schedule_set("b", 1, 90), unknown, schedule_removed("a"), schedule_removed("a")]).await;
    let names = |all: &[(String, Uuid, String, ScheduleState)]| all.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
    let left = contents(&*store).await;
    assert_eq!((names(&left), &left[0].3, left[0].2.contains("90s")), (vec!["b".to_owned()], &whole, true));
    // Removed and created again in one batch, it begins anew.
    let batch = vec![schedule_removed("b"), schedule_set("b", 3, 30), schedule_changed("b", ScheduleState::default())];
    commit(&*store, batch.clone()).await;
    commit(&*store, batch).await;
    let left = contents(&*store).await;
    assert_eq!((left[0].1, &left[0].3), (Uuid::from_u128(3), &ScheduleState::default()));
    if store.is_durable() {
        store.close().await;
        drop(store);
        let again = fixture.open().await;
        assert_eq!(contents(&*again).await, left);
    }
}
