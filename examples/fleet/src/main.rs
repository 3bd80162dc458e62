//! The command `fleet`: adds documents, works on them, and shows how far they are.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nomic_client::{Builder, Nomic};
use nomic_fleet::document::{Document, State};
use nomic_fleet::queue::{Added, Queue, Result};
use nomic_fleet::rate_limiter::RedisRateLimiter;
use nomic_fleet::results;
use nomic_fleet::status::Status;
use nomic_fleet::worker::{self, Ending};

const HELP: &str = "\
Environment:
  NOMIC_API_KEY      an API key, created in Nomic's Developer Console
  NOMIC_DOMAIN       the organization's domain, e.g. acme
  NOMIC_BASE_URL     the URL of the API; overrides NOMIC_DOMAIN
  NOMIC_FLEET_REDIS  the URL of Redis; the place for a password, since other users can see options

Exit codes:
  0    success; for `work`, the queue is empty
  1    failure
  2    invalid command line
  130  interrupted";

/// How long the commands for people wait for Redis.
const PATIENCE: Duration = Duration::from_secs(5);

/// Parse documents on many machines, each document once
#[derive(Parser)]
#[command(name = "fleet", version, after_help = HELP)]
struct Cli {
    /// The URL of Redis or Valkey [default: $NOMIC_FLEET_REDIS, or redis://127.0.0.1]
    #[arg(long, global = true, value_name = "URL")]
    redis: Option<String>,
    /// The name of the queue
    #[arg(long, global = true, default_value = "default")]
    queue: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Add documents to the queue, once each
    Add(Add),
    /// Upload and parse documents until the queue is empty
    Work(Work),
    /// Show how far the documents are: a table on a terminal, a line of JSON otherwise
    Status,
    /// Copy the results that are done to a folder, as NAME.json
    Results {
        /// The folder
        folder: PathBuf,
    },
    /// Put documents back that failed or are in doubt; without options, list them
    Retry(Retry),
}

#[derive(Args)]
struct Add {
    /// A folder with documents, or `-` for a list of paths on standard input
    documents: PathBuf,
    /// The folder for the results, on the share; needed once for each queue
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,
    /// Do not check that Redis saves everything to disk
    #[arg(long)]
    accept_data_loss: bool,
}

#[derive(Args)]
struct Work {
    /// The number of documents at the same time
    #[arg(long, default_value = "8")]
    threads: NonZero<usize>,
    /// A name for the user who owns the API key: workers with keys of one user share its rate limit
    #[arg(long, value_name = "NAME", default_value = "default")]
    owner: String,
    /// Wait for new documents when the queue is empty
    #[arg(long)]
    forever: bool,
    /// The time after which others take over from a worker that gives no sign of life, in seconds; the same for all workers
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    lease: u64,
    /// How long to wait for Redis while it is away or full, in seconds; for the record of a job, five times as long
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(..=3600))]
    patience: u64,
    /// Do not check that Redis saves everything to disk
    #[arg(long)]
    accept_data_loss: bool,
}

#[derive(Args)]
struct Retry {
    /// The documents; all if none is given
    ids: Vec<String>,
    /// Put back documents that failed; the default for documents that are given
    #[arg(long)]
    failed: bool,
    /// Put back documents in doubt that were not submitted, as you have checked
    #[arg(long)]
    in_doubt: bool,
    /// The job of the document in doubt, from the audit log: it was submitted, and is waited for
    #[arg(long, value_name = "ID", requires = "in_doubt", requires = "ids")]
    task: Option<String>,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            note(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let variable = || std::env::var("NOMIC_FLEET_REDIS").ok().filter(|url| !url.is_empty());
    let url = cli.redis.or_else(variable).unwrap_or_else(|| "redis://127.0.0.1".to_owned());
    let mut queue = Queue::new(&url, &cli.queue, PATIENCE)?;
    match cli.command {
        Command::Add(args) => add(&mut queue, &args),
        Command::Work(args) => {
            let nomic = connect_client(&url, &args.owner)?;
            queue.patience = Duration::from_secs(args.patience);
            if !args.accept_data_loss {
                queue.check_durability()?;
            }
            let (threads, forever) = (args.threads.get(), args.forever);
            let options = worker::Options { threads, forever, lease_time: Duration::from_secs(args.lease) };
            Ok(match worker::work(&nomic, &mut queue, options)? {
                Ending::Empty => ExitCode::SUCCESS,
                Ending::Interrupted => ExitCode::from(130),
            })
        }
        Command::Status => status(&mut queue),
        Command::Results { folder } => {
            let count = results::copy_all(&mut queue, &folder)?;
            print(format!("{count} results in {}", folder.display()))
        }
        Command::Retry(args) => retry(&mut queue, &args),
    }
}

/// The client of a worker, which shares the rate limit with those of all others.
fn connect_client(redis: &str, owner: &str) -> Result<Nomic> {
    let limiter = RedisRateLimiter::new(redis, owner)?;
    Ok(Builder::from_env()?.rate_limiter(limiter).build()?)
}

fn add(queue: &mut Queue, args: &Add) -> Result<ExitCode> {
    if !args.accept_data_loss {
        queue.check_durability()?;
    }
    queue.create()?;
    set_results(queue, args)?;
    let (mut added, mut known, mut failed) = (0, 0, 0);
    let mut add = |path: &Path, is_listed: bool| -> Result {
        let result = match Document::read(path) {
            Ok(document) => match queue.add(&document)? {
                Added::New => {
                    added += 1;
                    return Ok(());
                }
                Added::Known => {
                    known += 1;
                    return Ok(());
                }
                Added::Collision => "another document has the same id; rename it".to_owned(),
            },
            Err(reason) => reason,
        };
        // A folder may hold other things; a list should not.
        failed += usize::from(is_listed);
        note(&format!("{} is skipped: {result}", path.display()));
        Ok(())
    };
    if args.documents.as_os_str() == "-" {
        for line in io::stdin().lock().lines() {
            let line = line.map_err(|error| format!("cannot read standard input: {error}"))?;
            add(Path::new(&line), true)?;
        }
    } else {
        let with_path = |error| format!("{}: {error}", args.documents.display());
        let entries = fs::read_dir(&args.documents).map_err(with_path)?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
        let mut paths = paths.map_err(with_path)?;
        paths.sort();
        for path in paths {
            add(&path, false)?;
        }
    }
    print(format!("{added} added, {known} known already"))?;
    if failed > 0 {
        return Err(format!("{failed} paths of the list were not added").into());
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets the folder for the results, once for each queue.
fn set_results(queue: &mut Queue, args: &Add) -> Result {
    let Some(results) = &args.results else {
        return match queue.property("results", None)? {
            Some(_) => Ok(()),
            None => Err("say where the results go, with --results FOLDER; all workers must see it".into()),
        };
    };
    let with_path = |error| format!("{}: {error}", results.display());
    fs::create_dir_all(results).map_err(with_path)?;
    let results = results.canonicalize().map_err(with_path)?;
    if args.documents.canonicalize().is_ok_and(|documents| documents == results) {
        return Err("the results must not go to the folder of the documents: the next `add` would add them".into());
    }
    let results = results.to_str().ok_or("the path of the results is not Unicode")?;
    match queue.property("results", Some(results))? {
        Some(set) if set != results => Err(format!("the results of this queue go to {set}; use another queue").into()),
        _ => Ok(()),
    }
}

fn status(queue: &mut Queue) -> Result<ExitCode> {
    if !io::stdout().is_terminal() {
        return print(serde_json::to_string(&Status::read(queue)?)?);
    }
    let table = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
    table.set_style(ProgressStyle::with_template("{msg}")?);
    loop {
        table.set_message(Status::read(queue)?.to_string());
        table.tick();
        thread::sleep(Duration::from_secs(1));
    }
}

fn retry(queue: &mut Queue, args: &Retry) -> Result<ExitCode> {
    let Retry { ids, failed, in_doubt, task, yes } = args;
    if ids.is_empty() && !failed && !in_doubt {
        return list(queue);
    }
    if task.is_some() && ids.len() != 1 {
        return Err("--task needs the id of one document".into());
    }
    let mut states = Vec::new();
    if *failed || !in_doubt {
        states.push(State::Failed);
    }
    if *in_doubt {
        states.push(State::InDoubt);
    }
    let mut left: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let mut count = 0;
    for state in &states {
        let chosen = if ids.is_empty() { queue.ids(*state)? } else { ids.clone() };
        if *state == State::InDoubt && task.is_none() && !chosen.is_empty() && !yes {
            confirm(
                "Have you checked in the audit log that they were not submitted? They may be billed twice otherwise.",
            )?;
        }
        for id in &chosen {
            if queue.retry(id, *state, task.as_deref())? {
                left.remove(id.as_str());
                count += 1;
            }
        }
    }
    print(format!("{count} put back"))?;
    if left.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let states: Vec<_> = states.iter().map(|state| state.as_str().replace('_', " ")).collect();
    Err(format!("not {}: {}", states.join(" or "), Vec::from_iter(left).join(", ")).into())
}

/// Lists the documents that need a person.
fn list(queue: &mut Queue) -> Result<ExitCode> {
    for state in [State::Failed, State::InDoubt] {
        let ids = queue.ids(state)?;
        for id in &ids {
            let fields = queue.fields(id)?;
            let field = |name: &str| fields.get(name).map_or("", String::as_str);
            let state = state.as_str().replace('_', " ");
            print(format!("{id}\t{state}\t{}\t{}\t{}", field("path"), field("version"), field("reason")))?;
        }
        if ids.is_empty() {
            continue;
        }
        let name = &queue.name;
        note(&match state {
            State::Failed => format!("to try them again: fleet --queue {name} retry --failed [ID…]"),
            _ => format!(
                "in doubt: make sure that the worker is gone, and that 10 minutes have passed; then look for parse.submitted \
                 of the file version (the fourth column) in the audit log. If there is an entry, run: fleet --queue {name} retry \
                 --in-doubt --task ID, with its metadata.taskId, and the id of the document. If not, run: fleet --queue {name} \
                 retry --in-doubt, and the id"
            ),
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn confirm(question: &str) -> Result {
    if !io::stdin().is_terminal() {
        return Err(format!("{question} Not a terminal: pass --yes to confirm").into());
    }
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err("cancelled; nothing was changed".into()),
    }
}

/// Prints a line to standard output.
fn print(line: String) -> Result<ExitCode> {
    match writeln!(io::stdout(), "{line}") {
        // The reader closed the pipe, as in `fleet retry | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(format!("cannot write to standard output: {error}").into()),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// Prints a line to standard error, if there is one.
fn note(line: &str) {
    let _ = writeln!(io::stderr(), "fleet: {line}");
}
