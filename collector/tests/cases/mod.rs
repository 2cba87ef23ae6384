//! The cases, and what they have in common.

pub mod alert_messages;
pub mod alerts;
pub mod alerts_about_some;
pub mod alerts_of_companies;
pub mod alerts_that_count;
pub mod companies;
pub mod company_page;
pub mod decisions;
pub mod deletion;
pub mod entries;
pub mod exclude;
pub mod exports;
pub mod filters;
pub mod history;
pub mod identity;
pub mod intent;
pub mod journeys;
pub mod one_company;
pub mod poisoning;
pub mod retention;
pub mod search;
pub mod time;
pub mod tombstones;
pub mod traits;

use koala_collector::protocol::batch;
use koala_collector::received::Batch;
use koala_collector::store::Store;
use koala_collector::store::alerts::AlertStore;
use koala_collector::store::deletion::{Deletion, Person};
use koala_collector::store::filter::Filter;
use koala_collector::store::visitor::{TimelineEntry, Visitor};
use koala_destination::clock;
use koala_destination::ids::{Id, IdKind};
use serde_json::{Value, json};

/// An engine behind both of its ports.
pub trait Engine: Store + AlertStore + 'static {}
impl<T: Store + AlertStore + 'static> Engine for T {}

pub use crate::deletions::until_completed;

pub const ADA: &str = "6f1b8a52-8a1c-4a7e-9a51-2f3f4f1f0a01";
pub const GRACE: &str = "0b6f0f0e-1a4e-4a1b-8a2f-0d7c9b1e4f02";

/// Every case, by the module that it stands in.
macro_rules! all {
    ($open:path) => {
        crate::cases::tests_of_many! { $open;
            journeys: every_journey_ends_as_it_is_told,
                every_journey_that_may_comes_out_the_same_in_other_orders_and_told_twice,
                every_journey_that_may_comes_out_the_same_from_many_at_once,
                every_random_stream_gives_the_visitors_of_the_reference
        }
        crate::cases::tests! { $open;
            identity: one_visitor_is_known_by_all_its_ids,
                an_identify_that_links_two_histories_makes_them_one_whatever_the_order,
                what_is_said_of_two_at_once_is_of_one_in_the_end;
            entries: a_message_id_is_kept_once_in_a_batch_in_two_and_in_many_at_once,
                a_message_id_of_another_array_is_another_entry,
                entries_without_a_message_id_are_all_kept,
                a_message_id_under_another_id_is_another_entry,
                the_latest_of_a_page_view_that_grows_counts,
                a_repeat_changes_nothing,
                a_timeline_has_the_newest_first_and_the_entry_as_it_came,
                who_is_not_there_has_no_timeline,
                who_looks_is_told_when_something_is_written;
            traits: what_was_said_last_counts_whatever_order_it_comes_in,
                null_takes_a_trait_away_until_it_is_said_anew,
            of_two_at_one_time_the_same_counts_whatever_order_they_come_in,
                traits_of_two_who_become_one_are_merged_by_time;
            companies: a_company_has_the_visitors_of_its_addresses_and_traits,
                what_is_said_of_a_company_adds_up,
                a_company_that_nobody_is_of_is_gone_unless_something_was_said_of_it,
                activity_counts_each_of_the_last_fourteen_days;
            search: visitors_are_listed_with_the_one_seen_last_first,
                of_what_a_search_finds_no_more_is_counted_than_is_asked_for,
                a_trait_is_found_however_many_have_it,
                pages_hold_every_visitor_once,
                an_export_goes_through_all_in_the_order_of_ids,
                a_filter_finds_by_text_trait_event_and_time,
                a_visitor_is_found_by_user_id_and_by_what_is_said_now;
            history: what_people_did_is_kept_with_their_token_and_no_id_of_anybody,
                pages_of_the_history_hold_every_deed_once,
                the_history_is_kept_as_long_as_data_is;
            decisions: a_split_gives_each_what_was_its_own,
                a_blocked_id_gives_back_what_it_took,
                what_cannot_be_decided_is_refused_and_changes_nothing,
                the_id_of_a_visitor_stays_and_that_of_a_merged_one_leads_to_it,
                a_blocked_id_stays_blocked_when_its_visitor_is_deleted,
                who_is_deleted_takes_no_one_along_who_shared_a_device;
            time: an_event_of_the_year_9999_pins_no_trait_no_last_seen_and_no_points,
                what_was_received_long_ago_did_not_happen_after_that,
                points_that_are_next_to_nothing_are_0;
            poisoning: nobody_takes_another_s_event_by_sending_its_message_id_first,
                a_forged_identify_joins_no_two_who_are_known,
                traits_without_end_do_not_shut_out_the_name_and_the_company,
                traits_of_a_visitor_do_not_grow_without_end;
            deletion: a_deleted_person_leaves_nothing,
                what_a_deleted_person_said_of_a_company_is_gone,
                whoever_says_an_address_as_a_trait_is_found_by_it,
                a_visitor_without_an_address_is_deleted_by_id,
                who_is_not_known_has_nothing_to_delete,
                one_who_was_deleted_and_comes_back_is_new,
                a_deletion_goes_on_in_pieces_and_is_completed_when_all_is_gone,
                addresses_that_look_alike_are_of_others,
                a_person_of_two_accounts_with_one_address_is_deleted_whole,
                what_a_person_split_off_and_who_only_named_the_address_stay,
                an_address_that_many_accounts_say_takes_none_of_them_along,
                several_people_are_deleted_at_once_by_addresses_and_user_ids,
                a_link_to_a_deleted_visitor_leads_to_nobody_else;
            tombstones: what_was_received_before_a_deletion_does_not_come_back,
                others_on_the_same_browser_lose_nothing,
                a_browser_of_a_crowd_is_nobody_s_also_where_one_of_them_comes_late,
            who_only_named_the_address_loses_nothing,
                an_unknown_account_of_the_address_does_not_bring_it_back,
                an_account_whose_address_comes_late_goes_as_if_it_had_come_in_time,
                a_browser_whose_address_comes_late_goes_as_if_it_had_come_in_time,
                ids_that_come_late_are_looked_for_in_the_queues_again,
                what_stands_beside_theirs_is_learned_unless_it_was_known;
            exports: an_export_has_every_entry_once,
                who_is_not_there_has_nothing_to_export;
            retention: old_entries_go_and_then_visitors_of_whom_nothing_is_left,
                what_a_person_decided_is_kept,
                retention_says_of_nobody_else_who_they_are,
                deletions_and_tombstones_are_kept_no_longer_than_data;
            intent: companies_rank_by_what_their_visitors_did_and_how_lately,
                a_day_counts_once_a_visitor,
                a_new_rule_counts_what_was_there_before,
                a_rule_that_is_gone_counts_no_longer,
                reasons_say_which_rule_gave_what,
                a_rule_that_counts_takes_the_days_on_which_there_were_enough,
                a_new_rule_that_counts_counts_each_entry_once,
                two_who_become_one_count_once
        }
    };
}
pub(crate) use all;

/// The cases of an engine that joins the identities of companies and counts what their visitors look at.
macro_rules! all_of_companies {
    ($open:path) => {
        crate::cases::tests_of_many! { $open;
            one_company: one_forged_event_moves_no_established_name_or_domain,
                calls_that_never_happened_take_nothing_from_whom_it_was_known_of_before,
                companies_are_the_same_in_any_order_and_told_twice
        }
        crate::cases::tests! { $open;
            one_company: a_name_said_by_a_gmail_user_is_the_company_of_the_domain_that_two_others_gave_with_it,
                a_group_call_s_name_and_id_are_the_company_of_its_domain_at_once,
                a_group_without_a_domain_is_the_company_of_its_members_addresses,
                a_group_s_id_that_is_a_domain_is_that_domain_s_company,
                two_groups_of_one_name_have_it_both,
                an_old_id_and_an_old_address_lead_to_the_merged_company,
                what_was_joined_by_somebody_s_word_comes_apart_when_they_are_deleted_or_blocked,
                two_domains_never_become_one_company,
                what_group_calls_say_of_a_company_is_its_traits_the_newest_first,
                a_company_has_the_time_that_its_first_visitor_came;
            company_page: a_company_s_page_tells_which_pages_and_events_by_whom_how_often_and_when_last,
                a_company_s_people_have_their_title_and_the_page_that_they_looked_at_last,
                a_company_s_sources_are_other_sites_and_campaigns,
                a_timeline_says_page_referrer_and_campaign,
                a_page_view_that_grows_and_one_that_comes_twice_count_once,
                what_is_older_than_it_may_be_is_told_of_a_company_no_longer;
            exclude: staff_and_testers_stay_out_of_the_ranking_and_it_is_said_how_many,
                who_comes_later_or_says_more_is_kept_out_too;
            intent: strength_and_trend_are_those_of_the_points_now_and_a_week_ago,
                visitors_are_found_by_strength_and_trend;
            filters: a_part_of_an_event_s_name_of_a_page_and_of_a_path_finds_visitors,
                companies_are_found_by_text_by_what_their_people_did_and_by_when_they_came
        }
    };
}
pub(crate) use all_of_companies;

/// Every case of alerts, over an engine behind both of its ports.
macro_rules! all_of_alerts {
    ($open:path) => {
        crate::cases::tests_of_alerts! { $open;
            alerts: a_rule_goes_off_once_for_a_visitor_and_a_day_whatever_ids_they_are_known_by,
            a_message_says_who_did_what_and_goes_to_each_target,
            what_happened_more_than_a_day_ago_sets_nothing_off,
            points_and_a_trend_go_off_on_crossing_and_again_after_falling,
            who_is_named_beside_a_deleted_person_is_told_all_the_same_and_once,
            the_week_is_told_once,
            of_two_who_evaluate_at_once_one_writes,
            of_two_who_look_at_one_company_at_once_one_writes,
            who_is_kept_out_of_the_ranking_sets_nothing_off,
            who_says_who_they_are_a_moment_after_what_they_did_is_told_with_the_company,
            a_deleted_person_is_in_no_message,
                what_names_somebody_who_was_deleted_since_they_were_looked_at_is_not_written;
            alerts_about_some: an_alert_is_only_about_whom_it_names,
                who_an_alert_is_about_later_that_day_sets_it_off_once,
                an_alert_is_not_used_up_while_it_is_about_others;
            alerts_that_count: a_rule_that_counts_goes_off_with_the_entry_that_is_enough,
                a_rule_that_counts_goes_off_when_what_makes_it_enough_comes_late,
                a_rule_that_counts_goes_off_when_two_visitors_who_did_enough_together_are_one;
            alert_messages: a_message_is_in_one_s_hands_at_a_time_and_of_each_occasion_there_is_one,
                what_a_webhook_refuses_again_and_again_holds_back_nothing_behind_it,
                a_rest_that_a_wrong_clock_wrote_holds_nobody_back,
                one_alone_sends_to_a_target_and_a_rest_and_a_delay_hold_for_all,
            what_a_process_that_ended_was_sending_is_due_again_unless_it_may_arrive_only_once,
            what_came_of_a_message_is_written_with_the_reason_and_a_dead_one_can_be_sent_again;
            alerts_of_companies: what_is_imported_sets_nothing_off_also_of_a_company_that_was_looked_at,
            two_companies_that_become_one_tell_once_what_one_of_them_has_told,
            what_a_network_alone_says_of_a_company_that_is_known_is_told_as_a_guess,
            who_signs_up_after_having_looked_sets_points_off,
            a_company_that_becomes_known_with_what_was_done_before_sets_points_off,
            the_people_of_a_message_are_those_who_did_it_and_are_not_kept_out,
                who_was_only_identified_is_none_of_the_people_of_a_busy_company
        }
    };
}
pub(crate) use all_of_alerts;

macro_rules! tests_of_alerts {
    ($open:path; $($module:ident: $($case:ident),+);+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _until_the_end) = $open().await;
                crate::cases::$module::$case(store).await;
            }
        )+)+
    };
}
pub(crate) use tests_of_alerts;

/// Cases that need a store for each of many things.
macro_rules! tests_of_many {
    ($open:path; $($module:ident: $($case:ident),+);+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::cases::$module::$case($open).await;
            }
        )+)+
    };
}
pub(crate) use tests_of_many;

macro_rules! tests {
    ($open:path; $($module:ident: $($case:ident),+);+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _until_the_end) = $open().await;
                crate::cases::$module::$case(&*store).await;
            }
        )+)+
    };
}
pub(crate) use tests;

/// A batch as a client of Koala's protocol sends it.
pub fn batch(body: &Value) -> Batch {
    batch::read(body.to_string().as_bytes()).expect("a batch")
}

pub async fn ingest(store: &dyn Store, body: &Value) {
    store.ingest(batch(body)).await.expect("it is kept");
}

pub fn event(message_id: &str, sent_at: &str) -> Value {
    json!({"type": "track", "event": "Viewed Pricing", "message_id": message_id, "sent_at": sent_at, "properties": {}})
}

pub fn identify(message_id: &str, sent_at: &str, traits: &Value) -> Value {
    json!({"type": "identify", "message_id": message_id, "sent_at": sent_at, "traits": traits})
}

/// A time before now, as events write it.
pub fn days_ago(days: i64) -> String {
    clock::from_milliseconds(clock::now_milliseconds() - days * clock::MILLISECONDS_OF_A_DAY)
}

pub fn person(kind: IdKind, value: &str) -> Person {
    Person::Id(Id::parse(kind, value).expect("an id"))
}

pub fn by_email(email: &str) -> Person {
    person(IdKind::Email, email)
}

/// Deletes people, as whoever keeps a store up does where no queues are: until it is completed.
pub async fn delete(store: &dyn Store, people: &[Person]) -> Deletion {
    let id = store.request_deletion(people).await.unwrap().expect("somebody is meant");
    until_completed(store, &id).await
}

/// All visitors, the one seen last first.
pub async fn visitors(store: &dyn Store) -> Vec<Visitor> {
    let (visitors, total) = store.list_visitors(Filter::default(), 0, 1000).await.expect("visitors");
    assert_eq!(visitors.len() as u64, total);
    visitors
}

pub async fn only_visitor(store: &dyn Store) -> Visitor {
    let mut visitors = visitors(store).await;
    assert_eq!(visitors.len(), 1, "{visitors:?}");
    visitors.remove(0)
}

pub async fn timeline(store: &dyn Store) -> Vec<TimelineEntry> {
    let id = only_visitor(store).await.id;
    store.show_visitor(&id, 1000).await.expect("a visitor").expect("it is there").1
}
