use std::time::Duration;

use nomic_client::{Effect, Error, Nomic, agents::Launch, operations};

#[derive(Debug, PartialEq)]
enum NextStep {
    Retry(Duration),
    CheckWhatHappened,
    GiveUp,
}

fn next_step(error: &Error) -> NextStep {
    match (error.retry_after(), error.effect()) {
        (Some(delay), _) if error.is_rate_limited() => NextStep::Retry(delay),
        (_, Effect::None) => NextStep::GiveUp,
        _ => NextStep::CheckWhatHappened,
    }
}

fn run() -> Result<(), Error> {
    let nomic = Nomic::from_env()?;
    let file = nomic.upload_file("permit.pdf")?;
    let parsed = nomic.wait(&nomic.parse(&file.file_version_id)?)?;
    println!("{} tables on {} pages", parsed.tables().count(), parsed.pages().len());
    let launch = Launch::prompt("Summarize the permit.").files([&file.id]);
    println!("{:?}", nomic.wait(&nomic.launch_agent(&launch)?)?.summary);
    for agent in nomic.agents().take(10) {
        println!("{}", agent?.status);
    }
    Ok(())
}

fn main() {
    run().unwrap_or_else(|error| eprintln!("{error}: {:?}", next_step(&error)));
}

#[test]
fn a_launch_whose_response_was_lost_is_not_repeated() {
    assert_eq!(next_step(&Error::connection_lost(&operations::LAUNCH_AGENT)), NextStep::CheckWhatHappened);
}
