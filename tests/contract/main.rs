//! The contracts of the ports, written once and run against every adapter. A new adapter is a
//! function that opens an empty store, and a line at the end of this file.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "these are tests")]

mod agent_status;
mod channels;
mod database_copy;
mod edges;
mod event_bus;
mod faults;
mod in_doubt;
mod ledger;
mod llm;
mod model;
mod oversight;
mod reads;
mod runners;
mod status_board;
mod stores;
mod wake_ups;

/// Makes a test of every contract for every adapter, and a list of what was made: its diploma. An
/// adapter is opened by the function of its name in the module that is named first.
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
        a_refusal_changes_nothing_and_disturbs_nobody,
        entries_are_numbered_without_a_gap_under_many_writers,
        a_decision_sees_what_was_committed_before_it,
        of_many_who_leave_a_state_exactly_one_wins,
        what_was_begun_is_finished_when_the_caller_goes_away,
        no_task_is_given_to_two_workers,
        a_claim_takes_what_comes_first,
        a_claim_lets_other_projects_in_between,
        a_claim_heeds_slots_readiness_and_paused_projects,
        a_lease_is_extended_by_its_holder_only;
    reads:
        everything_comes_back_as_it_was_written,
        artifacts_come_in_the_order_they_are_asked_for,
        projects_are_paged_newest_first,
        tasks_and_requests_are_filtered_and_paged,
        due_things_are_found_when_they_are_due,
        entries_pass_every_filter_and_page,
        a_log_is_read_from_any_position_without_a_gap,
        packages_are_there_until_they_are_deleted,
        agents_are_derived_and_remembered,
        what_does_not_exist_is_none;
    oversight:
        one_purse_is_paid_from_by_many_logs_at_once,
        what_is_stopped_is_handed_to_nobody_until_it_is_released,
        purses_and_stops_come_back_as_they_were_written;
    edges:
        numbers_come_back_to_the_last_bit,
        a_deep_document_comes_back,
        a_decision_sees_one_instant,
        a_read_sees_what_was_just_acknowledged,
        a_log_is_followed_without_a_gap_while_it_is_written,
        a_paused_project_keeps_its_place_in_the_queue,
        the_tasks_of_a_project_that_is_over_are_not_given_out,
        an_agent_stands_in_error_until_it_is_swept_or_helped;
    => memory, sqlite, postgres
}

contracts! {
    telling with channels;
    event_bus:
        everybody_hears_what_is_said_in_the_order_it_is_said,
        nobody_hears_what_was_said_before,
        an_entry_arrives_to_the_last_bit,
        a_gap_is_heard_as_a_gap,
        a_slow_subscriber_holds_nobody_up_and_is_told_what_it_missed,
        whoever_goes_away_disturbs_nobody;
    wake_ups:
        a_ring_wakes_who_waits,
        rings_before_the_wait_are_kept,
        nobody_is_woken_when_nobody_rang,
        no_ring_is_lost_between_two_waits;
    => memory, redis, redis_alone, redis_away
}

contracts! {
    watching with status_board;
    agent_status:
        every_agent_type_is_answered_for_in_order,
        whoever_changes_a_status_sees_the_change,
        agents_are_derived_and_remembered,
        an_agent_stands_in_error_until_it_is_swept_or_helped;
    => memory, sqlite, postgres, redis, redis_away
}
