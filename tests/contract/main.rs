//! The contracts of the ports, written once and run against every adapter. A new adapter is a
//! function that opens an empty store, and a line at the end of this file.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "these are tests")]

mod edges;
mod installation;
mod ledger;
mod model;
mod reads;
mod runners;
mod stores;

/// Makes a test of every contract for every adapter, and a list of what was made: its diploma.
macro_rules! contracts {
    ($($part:ident: $($contract:ident),+;)+ => $($adapter:ident),+) => {
        macro_rules! adapter {
            ($name:ident) => {
                mod $name {
                    $($(
                        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                        async fn $contract() {
                            let Some(stores) = crate::stores::$name().await else { return };
                            crate::$part::$contract(&stores).await;
                            stores.check().await;
                        }
                    )+)+
                }
            };
        }
        $(adapter!($adapter);)+

        #[test]
        fn diploma() {
            let contracts = [$($(concat!(stringify!($part), "::", stringify!($contract))),+),+];
            for adapter in [$(stringify!($adapter)),+] {
                println!("{adapter} keeps {} contracts:", contracts.len());
                contracts.iter().for_each(|contract| println!("  {contract}"));
            }
        }
    };
}

contracts! {
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
    edges:
        numbers_come_back_to_the_last_bit,
        a_deep_document_comes_back,
        a_read_sees_what_was_just_acknowledged,
        a_log_is_followed_without_a_gap_while_it_is_written,
        a_paused_project_keeps_its_place_in_the_queue,
        the_tasks_of_a_project_that_is_over_are_not_given_out,
        an_agent_stands_in_error_until_it_is_swept_or_helped;
    => memory, sqlite, postgres
}
