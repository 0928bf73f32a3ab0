//! The list of all cases.

use super::fixture::Fixture;
use super::{delivery, refusal, session, supervision};

/// A case of the suite.
pub type Case = fn(&dyn Fixture) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>;

macro_rules! cases {
    ($($subject:ident: $($name:ident),+;)+) => {
        /// Every case and its name.
        #[must_use]
        pub fn cases() -> Vec<(&'static str, Case)> {
            vec![$($((stringify!($name), |fixture| Box::pin($subject::$name(fixture)))),+),+]
        }
    };
}

cases! {
    delivery:
        what_is_published_is_confirmed_and_arrives_whole,
        messages_survive_a_restart_of_the_broker,
        no_more_than_the_prefetch_is_unsettled,
        unsettled_messages_come_again_after_a_dropped_session,
        order_is_kept,
        one_acknowledgement_can_stand_for_many,
        requeued_messages_come_again,
        settling_twice_or_late_is_stale;
    refusal:
        rejected_messages_are_dead_lettered_with_their_death,
        messages_past_the_delivery_limit_are_dead_lettered,
        a_mandatory_message_without_a_queue_is_unroutable,
        an_alternate_exchange_takes_what_finds_no_queue,
        a_message_that_is_too_large_is_refused_and_nothing_else_suffers,
        a_blocked_broker_confirms_later_and_takes_acknowledgements;
    session:
        a_deleted_queue_ends_its_subscription,
        waiting_messages_are_counted,
        replies_reach_the_inbox_of_their_session,
        a_closed_session_is_over,
        what_a_session_held_is_free_when_it_is_closed_whatever_ended_it,
        declaring_again_changes_nothing_and_otherwise_conflicts,
        a_queue_that_may_be_adopted_is_used_as_it_is,
        topics_and_fanouts_route,
        an_exclusive_queue_goes_with_its_session,
        one_consumer_is_active_at_a_time,
        a_cancelled_subscription_gets_no_more;
    supervision:
        the_supervisor_comes_back_with_everything,
        the_supervisor_subscribes_again_to_a_deleted_queue;
}
