//! Lists: lazy, past empty pages, never in circles, and resumable.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test they are the failure")]

mod common;

use std::time::Duration;

use common::nomic;
use nomic_client::agents::Agent;
use nomic_client::{Error, ErrorKind, Listing, Page, Request};
use nomic_emulator::{Emulator, Fault, FaultKind, Limits};
use serde_json::Value;

fn emulator(agents: usize) -> Emulator {
    Emulator::builder()
        .limits(Limits::off())
        .agents(agents)
        .integration_files(30)
        .job_time(Duration::ZERO)
        .start()
        .unwrap()
}

fn ids(listing: Listing<Agent>) -> Vec<String> {
    listing.map(|agent| agent.unwrap().id.to_string()).collect()
}

#[test]
fn a_listing_sends_nothing_before_the_first_item_and_a_page_at_a_time_then() {
    let emulator = emulator(25);
    let nomic = nomic(&emulator);
    let mut listing = nomic.agents().page_size(10);
    assert_eq!(emulator.connections(), 0);
    listing.next().unwrap().unwrap();
    assert_eq!(emulator.received("list_agents"), 1);
    assert_eq!(listing.by_ref().take(9).count(), 9);
    assert_eq!(emulator.received("list_agents"), 1);
    assert_eq!(listing.by_ref().count(), 15);
    assert_eq!(emulator.received("list_agents"), 3);
    assert!(listing.next().is_none() && listing.next().is_none(), "fused");
    assert_eq!(emulator.received("list_agents"), 3);
}

#[test]
fn pages_have_the_count_and_the_cursor() {
    let emulator = emulator(25);
    let pages: Vec<Page<Agent>> = nomic(&emulator).agents().page_size(10).pages().map(Result::unwrap).collect();
    assert_eq!(pages.iter().map(|page| page.data.len()).collect::<Vec<_>>(), [10, 10, 5]);
    assert!(pages.iter().all(|page| page.total_count == Some(25)));
    assert!(pages[1].next_cursor.is_some() && pages[2].next_cursor.is_none());
    let hits = nomic(&emulator).search_files("").page_size(20);
    assert_eq!(hits.map(Result::unwrap).count(), 30);
}

#[test]
fn a_listing_goes_on_past_an_empty_page() {
    let emulator = emulator(25);
    let all = ids(nomic(&emulator).agents().page_size(10));
    emulator.fault(Fault::on("list_agents", FaultKind::EmptyPage).skip(1).times(2));
    assert_eq!(ids(nomic(&emulator).agents().page_size(10)), all);
}

#[test]
fn a_listing_whose_cursor_repeats_ends_with_an_error() {
    let emulator = emulator(50);
    emulator.fault(Fault::on("list_agents", FaultKind::CursorCycle).skip(3).forever());
    let mut listing = nomic(&emulator).agents().page_size(5);
    let items: Vec<_> = listing.by_ref().take(1000).collect();
    let (last, before) = items.split_last().unwrap();
    assert!(matches!(last.as_ref().map_err(Error::kind), Err(ErrorKind::RepeatedCursor { .. })), "{last:?}");
    assert!(before.iter().all(Result::is_ok) && before.len() < 50, "{} items", before.len());
    assert!(listing.next().is_none());
}

#[test]
fn after_an_error_a_listing_ends_and_goes_on_from_its_cursor() {
    let emulator = emulator(25);
    let nomic = nomic(&emulator);
    let all = ids(nomic.agents().page_size(10));
    emulator.fault(Fault::on("list_agents", FaultKind::Api { status: 418, error: "no".into(), code: None }).skip(1));
    let mut listing = nomic.agents().page_size(10);
    let before: Vec<_> = listing.by_ref().take(10).map(|agent| agent.unwrap().id.to_string()).collect();
    assert!(listing.next().unwrap().is_err());
    assert!(listing.next().is_none());
    let cursor = listing.cursor().expect("it points at the page that failed").to_owned();
    let after = ids(nomic.agents().page_size(10).starting_at(cursor));
    assert_eq!([before, after].concat(), all);
}

#[test]
fn a_cursor_points_at_the_page_of_the_next_item() {
    let emulator = emulator(25);
    let nomic = nomic(&emulator);
    let all = ids(nomic.agents().page_size(10));
    let mut listing = nomic.agents().page_size(10);
    assert_eq!(listing.cursor(), None);
    for taken in 1..=25 {
        listing.next().unwrap().unwrap();
        let again = match listing.cursor() {
            Some(cursor) => ids(nomic.agents().page_size(10).starting_at(cursor)),
            None if taken < 10 => all.clone(),
            None => Vec::new(),
        };
        // Nothing is lost; a page that was read in part comes again.
        assert_eq!(again, all[taken / 10 * 10..][..again.len()], "after {taken}");
        assert!(again.len() >= 25 - taken, "after {taken}");
    }
    assert!(listing.next().is_none());
}

#[test]
fn a_listing_moves_into_a_thread() {
    let emulator = emulator(25);
    let listing = nomic(&emulator).agents();
    assert_eq!(std::thread::spawn(move || listing.count()).join().unwrap(), 25);
}

#[test]
fn pages_begin_with_the_rest_of_the_current_page() {
    let emulator = emulator(25);
    let nomic = nomic(&emulator);
    let all = ids(nomic.agents().page_size(10));
    let mut listing = nomic.agents().page_size(10);
    let mut got: Vec<String> = listing.by_ref().take(3).map(|agent| agent.unwrap().id.to_string()).collect();
    let pages = listing.pages();
    assert_eq!(pages.cursor(), None, "the current page is not finished");
    let pages: Vec<_> = pages.map(Result::unwrap).collect();
    assert_eq!(pages.iter().map(|page| page.data.len()).collect::<Vec<_>>(), [7, 10, 5]);
    got.extend(pages.into_iter().flat_map(|page| page.data).map(|agent| agent.id.to_string()));
    assert_eq!(got, all);
}

#[test]
fn a_listing_knows_whether_it_is_finished() {
    let emulator = emulator(5);
    let mut listing = nomic(&emulator).agents();
    assert!(!listing.is_finished() && listing.cursor().is_none());
    assert_eq!(listing.by_ref().count(), 5);
    assert!(listing.is_finished() && listing.cursor().is_none());
}

#[test]
fn a_generic_list_is_read_like_the_known_ones() {
    let emulator = emulator(25);
    let nomic = nomic(&emulator);
    let request = Request::get("/agents");
    let raw: Vec<Value> = nomic.list(&request).page_size(10).collect::<Result<_, _>>().unwrap();
    let known: Vec<Agent> = nomic.agents().collect::<Result<_, _>>().unwrap();
    assert_eq!(raw.iter().map(|agent| agent["id"].as_str().unwrap()).collect::<Vec<_>>(), ids_of(&known));
    emulator.fault(Fault::on("list_agents", FaultKind::CursorCycle));
    let circle = nomic.list::<Value>(&request).page_size(10).find_map(Result::err);
    assert!(matches!(circle.as_ref().map(Error::kind), Some(ErrorKind::RepeatedCursor { .. })), "{circle:?}");
    let mut wrong = nomic.list::<Value>(&Request::get("/../agents"));
    assert!(
        matches!(wrong.next().unwrap().unwrap_err().kind(), ErrorKind::InvalidRequest(_)) && wrong.next().is_none()
    );
}

fn ids_of(agents: &[Agent]) -> Vec<&str> {
    agents.iter().map(|agent| agent.id.as_str()).collect()
}
