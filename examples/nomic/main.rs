//! A command line for Nomic, for people and scripts: `cargo run --example nomic -- --help`.

mod agents;
mod args;
mod documents;
mod failure;
mod jobs;
#[path = "../instance/operation_path.rs"]
mod operation_path;
mod organization;
mod output;
mod session;
mod terminal;

use std::process::ExitCode;

use args::{Cli, Command, JobKind};
use clap::Parser;
use failure::Failure;
use nomic_client::AgentId;
use session::Session;

fn main() -> ExitCode {
    let result = terminal::set_ctrl_c_handler().and_then(|()| run(Cli::parse()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                terminal::note(message);
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let session = Session::new(cli.json, cli.demo, cli.paths)?;
    dispatch(&session, cli.command).map_err(|failure| failure.classify_host(session.output.responded.get()))
}

fn dispatch(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Upload { file, destination, parent } => documents::upload(session, &file, destination, parent),
        Command::Search { query, integration, limit } => documents::search(session, &query, integration, limit),
        Command::Parse(parse) => documents::parse(session, &parse),
        Command::Extract(extract) => documents::extract(session, &extract),
        Command::Codes(codes) => documents::codes(session, codes),
        Command::Wait { kind: JobKind::Parse, id, timeout } => session.wait(&session.nomic.parse_job(id), timeout),
        Command::Wait { kind: JobKind::Extract, id, timeout } => session.wait(&session.nomic.extract_job(id), timeout),
        Command::Wait { kind: JobKind::Agent, id, timeout } => session.wait(&AgentId::from(id), timeout),
        Command::Agents(agents) => agents::run(session, agents),
        Command::Workflows { limit } => agents::workflows(session, limit),
        Command::Projects { limit } => agents::projects(session, limit),
        Command::Users(users) => organization::users(session, users),
        Command::Keys(keys) => organization::keys(session, keys),
        Command::Audit { since, action, limit } => organization::audit(session, since, action, limit),
    }
}
