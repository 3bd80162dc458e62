//! A list of 100,000 items: this client, and a handwritten loop with `ureq` that decodes into the same types.

use std::process::ExitCode;
use std::time::Instant;

use nomic_client::agents::Agent;
use nomic_client::{Nomic, Page};

use crate::served::Server;
use crate::table::{median, ratio};

const ROUNDS: usize = 7;
const PAGES: &str = "1000";
const ITEMS: u32 = 100_000;

pub fn run() -> ExitCode {
    let server = Server::start(&["pages", PAGES]);
    let url = format!("http://{}/api/v0", server.address);
    let nomic = Nomic::new(&url, "npk_bench").expect("a good URL and key");
    let ours = || nomic.agents().page_size(100).inspect(|agent| assert!(agent.is_ok())).count();
    let agent = ureq::Agent::new_with_defaults();
    let by_hand = || {
        let (mut cursor, mut count) = (String::new(), 0);
        loop {
            let target = format!("{url}/agents?limit=100{cursor}");
            let mut response =
                agent.get(&target).header("authorization", "Bearer npk_bench").call().expect("a response");
            let body = response.body_mut().read_to_vec().expect("a body");
            let page: Page<Agent> = serde_json::from_slice(&body).expect("a page");
            count += page.data.into_iter().map(std::hint::black_box).count();
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return count,
            }
        }
    };
    let candidates: [(&str, &dyn Fn() -> usize); 2] = [("by hand, ureq", &by_hand), ("nomic-client", &ours)];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in candidates.iter().zip(&mut times) {
            let began = Instant::now();
            assert_eq!(run(), ITEMS as usize);
            times.push(began.elapsed() / ITEMS);
        }
    }
    println!("{ITEMS} items in pages of 100, median of {ROUNDS} rounds");
    for ((name, _), measured) in candidates.iter().zip(&times) {
        println!(
            "{name:28} {:>6.2} µs/item {:>6.3}x",
            median(measured).as_secs_f64() * 1e6,
            ratio(measured, &times[0])
        );
    }
    ExitCode::SUCCESS
}
