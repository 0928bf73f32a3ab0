//! The list of cases, with the capabilities that each case needs.

use std::pin::Pin;

use super::fixture::Fixture;
use super::{delivery, refusal, session, supervision};
use crate::{Capabilities, Capability};

/// A case of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// The capabilities that a backend needs for this case.
    pub needs: &'static [Capability],
    run: Run,
}

type Run = for<'a> fn(&'a dyn Fixture) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Case {
    /// The capabilities for this case that a backend lacks. If there are any, show the case as ignored, not as passed.
    #[must_use]
    pub fn missing(&self, capabilities: &Capabilities) -> Vec<Capability> {
        self.needs.iter().copied().filter(|need| !capabilities.has(*need)).collect()
    }

    /// Runs the case.
    ///
    /// # Panics
    /// If the backend violates the contract, or lacks a capability that the case needs.
    pub async fn run(&self, fixture: &dyn Fixture) {
        let missing = self.missing(&fixture.transport().capabilities());
        assert!(missing.is_empty(), "{} does not apply to a backend without {missing:?}", self.name);
        (self.run)(fixture).await;
    }
}

macro_rules! cases {
    ($($subject:ident: $($name:ident $([$($need:ident),+])?),+;)+) => {
        /// Every case.
        #[must_use]
        pub fn cases() -> Vec<Case> {
            vec![$($(Case {
                name: stringify!($name),
                needs: &[$($(Capability::$need),+)?],
                run: |fixture| Box::pin($subject::$name(fixture)),
            }),+),+]
        }
    };
}

cases! {
    delivery:
        published_messages_are_confirmed_and_arrive_unchanged,
        messages_survive_a_restart_of_the_broker [Durable],
        unsettled_deliveries_do_not_exceed_the_prefetch,
        unsettled_messages_are_redelivered_after_a_dropped_session,
        order_is_kept,
        one_acknowledgement_can_cover_several_deliveries [AcknowledgesMany],
        requeued_messages_are_redelivered,
        deliveries_are_counted [CountsDeliveries],
        settling_twice_or_late_is_stale;
    refusal:
        rejected_messages_are_dead_lettered_with_their_death [DeadLetters],
        messages_past_the_delivery_limit_are_dead_lettered [DeadLetters, LimitsDeliveries],
        a_mandatory_message_without_a_queue_is_unroutable [ReturnsUnroutable],
        an_alternate_exchange_receives_unroutable_messages [AlternateExchanges],
        a_message_that_is_too_large_is_refused_and_the_session_stays_usable [KnownMessageLimit],
        a_blocked_broker_confirms_later_and_accepts_acknowledgements,
        a_blocked_broker_is_reported [ReportsBlocked];
    session:
        a_deleted_queue_ends_its_subscription,
        waiting_messages_are_counted [Counts],
        replies_reach_the_inbox_of_their_session,
        the_inbox_is_deleted_with_its_session [ReturnsUnroutable],
        a_closed_session_refuses_operations,
        exclusive_queues_are_released_when_a_session_is_closed_after_a_failure [Exclusive],
        declaring_is_idempotent_and_other_properties_conflict [Declares, LimitsDeliveries],
        a_queue_that_may_be_adopted_is_used_unchanged [Declares, LimitsDeliveries],
        topic_and_fanout_exchanges_route,
        a_queue_of_a_session_is_deleted_with_it,
        an_exclusive_queue_is_refused_to_other_sessions [Exclusive],
        one_consumer_is_active_at_a_time [SingleActiveConsumer],
        a_cancelled_subscription_receives_no_further_messages;
    supervision:
        the_supervisor_reconnects_and_subscribes_again,
        the_supervisor_subscribes_again_to_a_deleted_queue [Declares, ReturnsUnroutable],
        the_supervisor_settles_several_deliveries_with_one_call;
}
