//! The cases, and what a backend must be able to do for each.

use std::pin::Pin;

use super::fixture::Fixture;
use super::{delivery, refusal, session, supervision};
use crate::{Capabilities, Capability};

/// A case of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What a backend must be able to do, so that the case applies to it.
    pub needs: &'static [Capability],
    run: Run,
}

type Run = for<'a> fn(&'a dyn Fixture) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Case {
    /// What a backend lacks for this case. Where that is anything, the case is to be shown as ignored, not as passed.
    #[must_use]
    pub fn missing(&self, capabilities: &Capabilities) -> Vec<Capability> {
        self.needs.iter().copied().filter(|need| !capabilities.has(*need)).collect()
    }

    /// Runs it.
    ///
    /// # Panics
    /// Where the backend does not keep its promise, or lacks what the case needs.
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
        what_is_published_is_confirmed_and_arrives_whole,
        messages_survive_a_restart_of_the_broker [Durable],
        no_more_than_the_prefetch_is_unsettled,
        unsettled_messages_come_again_after_a_dropped_session,
        order_is_kept,
        one_acknowledgement_can_stand_for_many [AcknowledgesMany],
        requeued_messages_come_again,
        deliveries_are_counted [CountsDeliveries],
        settling_twice_or_late_is_stale;
    refusal:
        rejected_messages_are_dead_lettered_with_their_death [DeadLetters],
        messages_past_the_delivery_limit_are_dead_lettered [DeadLetters, LimitsDeliveries],
        a_mandatory_message_without_a_queue_is_unroutable [ReturnsUnroutable],
        an_alternate_exchange_takes_what_finds_no_queue [AlternateExchanges],
        a_message_that_is_too_large_is_refused_and_nothing_else_suffers [KnownMessageLimit],
        a_blocked_broker_confirms_later_and_takes_acknowledgements,
        a_blocked_broker_says_so [ReportsBlocked];
    session:
        a_deleted_queue_ends_its_subscription,
        waiting_messages_are_counted [Counts],
        replies_reach_the_inbox_of_their_session,
        the_inbox_goes_with_its_session [ReturnsUnroutable],
        a_closed_session_is_over,
        what_a_session_held_is_free_when_it_is_closed_whatever_ended_it [Exclusive],
        declaring_again_changes_nothing_and_otherwise_conflicts [Declares, LimitsDeliveries],
        a_queue_that_may_be_adopted_is_used_as_it_is [Declares, LimitsDeliveries],
        topics_and_fanouts_route,
        a_queue_of_a_session_goes_with_it,
        an_exclusive_queue_goes_with_its_session [Exclusive],
        one_consumer_is_active_at_a_time [SingleActiveConsumer],
        a_cancelled_subscription_gets_no_more;
    supervision:
        the_supervisor_comes_back_with_everything,
        the_supervisor_subscribes_again_to_a_deleted_queue [Declares, ReturnsUnroutable],
        the_supervisor_settles_many_with_one_call;
}
