//! The contracts of the ports, written once and run against every adapter. A new adapter is a
//! function that opens an empty store, and a line at the end of this file.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "these are tests")]

mod access;
mod agent_status;
mod channels;
mod database_copy;
mod deliveries;
mod edges;
mod event_bus;
mod faults;
mod gates;
mod idempotency;
mod in_doubt;
mod ledger;
mod llm;
mod llm_bodies;
mod llm_documents;
mod log_search;
mod many_gates;
mod model;
mod openid;
mod oversight;
mod reach;
mod reads;
mod runners;
mod sandbox;
mod status_board;
mod stores;
mod tickets;
mod wake_ups;

/// Generates a test for every contract and every adapter, and a list of the tests to check the
/// coverage. An adapter is opened by the function of its name in the module that is named first.
macro_rules! contracts {
    ($tests:ident with $opened:ident;
     $($part:ident: $($contract:ident),+;)+ => $($adapter:ident),+) => {
        mod $tests {
            macro_rules! adapter {
                ($name:ident) => {
                    mod $name {
                        $($(
                            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                            async fn $contract() {
                                let Some(opened) = crate::$opened::$name().await else { return };
                                crate::$part::$contract(&opened).await;
                                opened.check().await;
                            }
                        )+)+
                    }
                };
            }
            $(adapter!($adapter);)+

            #[test]
            fn coverage() {
                let contracts =
                    [$($(concat!(stringify!($part), "::", stringify!($contract))),+),+];
                for adapter in [$(stringify!($adapter)),+] {
                    println!("{adapter} keeps {} contracts:", contracts.len());
                    contracts.iter().for_each(|contract| println!("  {contract}"));
                }
            }
        }
    };
}

contracts! {
    storing with stores;
    ledger:
        a_decision_and_its_entries_are_there_together,
        a_refusal_changes_nothing_and_affects_no_other_decision,
        entries_are_numbered_without_a_gap_under_many_writers,
        a_decision_sees_what_was_committed_before_it,
        of_many_decisions_that_leave_a_state_exactly_one_wins,
        a_commit_is_finished_when_the_caller_is_dropped,
        no_task_is_leased_to_two_workers,
        a_claim_takes_what_comes_first,
        a_claim_lets_other_projects_in_between,
        a_claim_respects_slots_readiness_and_paused_projects,
        a_lease_is_extended_by_its_holder_only;
    reads:
        everything_comes_back_as_it_was_written,
        artifacts_come_in_the_order_they_are_asked_for,
        artifacts_are_listed_without_their_contents,
        projects_are_paged_newest_first,
        tasks_and_requests_are_filtered_and_paged,
        unfinished_work_is_counted_with_the_age_of_the_oldest,
        due_things_are_found_when_they_are_due,
        entries_pass_every_filter_and_page,
        a_log_is_read_from_any_position_without_a_gap,
        spans_name_every_log_with_entries_since_a_time,
        a_page_ends_with_the_row_that_reaches_its_bytes,
        packages_are_there_until_they_are_deleted,
        agents_are_derived_and_remembered,
        what_does_not_exist_is_none;
    oversight:
        one_budget_account_is_charged_by_many_logs_at_once,
        stopped_work_is_not_claimed_until_it_is_released,
        budget_accounts_and_stops_are_read_back_as_written;
    idempotency:
        a_reply_is_kept_with_its_decision_or_not_at_all,
        of_calls_with_one_key_about_different_logs_one_is_decided,
        each_part_of_a_call_is_decided_once,
        a_reply_is_forgotten_when_it_has_expired_and_not_before,
        a_sample_has_pending_requests_and_the_newest_of_the_others;
    gates:
        pending_requests_are_those_that_a_filter_selects,
        the_people_whom_a_request_asks_follow_what_happens_to_it,
        what_is_due_is_found_in_its_order_and_expiries_when_they_may,
        nothing_is_due_while_a_project_is_paused,
        pending_requests_are_counted_by_policy;
    edges:
        numbers_come_back_to_the_last_bit,
        a_deep_document_comes_back,
        a_decision_sees_one_instant,
        a_read_sees_what_was_just_acknowledged,
        a_log_is_followed_without_a_gap_while_it_is_written,
        a_paused_project_keeps_its_place_in_the_queue,
        the_tasks_of_an_ended_project_are_not_claimed,
        an_agent_stays_in_error_until_it_is_cleared_or_answered;
    reach:
        the_creator_of_a_project_is_stored,
        lists_are_those_of_the_projects_within_the_reach,
        a_sample_is_that_of_the_projects_within_the_reach,
        searches_find_entries_within_the_reach,
        an_object_is_found_if_it_exists_in_a_project_within_the_reach,
        an_entry_of_the_system_is_within_no_reach,
        many_objects_are_looked_for_at_once,
        a_claim_takes_the_first_tasks_within_its_reach,
        a_claim_finds_its_task_behind_many_others,
        workers_at_once_take_each_task_once_and_only_their_own,
        the_latest_use_of_a_key_is_kept;
    access:
        principals_and_keys_come_back_as_written,
        changes_of_access_at_once_are_all_counted,
        sessions_and_links_come_back_as_written,
        a_link_starts_one_session_however_many_try,
        sign_ins_at_once_leave_no_more_sessions_than_allowed,
        records_are_read_together_as_of_one_commit;
    deliveries:
        a_subscription_comes_back_as_written,
        a_lease_has_one_holder_until_it_expires,
        of_many_that_want_a_lease_one_gets_it,
        what_is_saved_without_the_lease_moves_nothing,
        attempts_are_listed_newest_first_and_the_oldest_leave,
        a_search_finds_the_logs_with_entries_beyond_the_cursor,
        the_ends_of_all_logs_are_read_in_parts,
        what_belongs_to_deleted_subscriptions_is_removed;
    => memory, sqlite, postgres
}

contracts! {
    telling with channels;
    event_bus:
        every_subscriber_receives_messages_in_order,
        a_subscriber_receives_no_earlier_messages,
        an_entry_arrives_to_the_last_bit,
        lost_messages_arrive_as_a_gap,
        a_slow_subscriber_delays_no_other_and_receives_a_gap,
        a_dropped_subscriber_affects_no_other;
    wake_ups:
        a_notification_wakes_a_waiting_worker,
        notifications_before_the_wait_are_kept,
        without_a_notification_no_worker_is_woken,
        no_notification_is_lost_between_two_waits;
    => memory, redis, redis_alone, redis_away
}

contracts! {
    watching with status_board;
    agent_status:
        every_agent_type_has_a_status_in_order,
        a_status_change_is_visible_to_its_author,
        agents_are_derived_and_remembered,
        an_agent_stays_in_error_until_it_is_cleared_or_answered;
    => memory, sqlite, postgres, redis, redis_away
}

contracts! {
    ticketing with tickets;
    tickets:
        a_ticket_comes_back_once_on_either_server,
        of_many_that_use_a_ticket_one_gets_it,
        a_holder_pushes_out_only_its_own_oldest_ticket,
        tickets_that_have_expired_leave_when_another_comes;
    => memory, postgres
}
