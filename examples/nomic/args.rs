//! The command line, parsed by clap. The doc comments are the help text.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand, ValueEnum};
use nomic_client::{
    AgentId, ApiKeyId, FileId, FileVersionId, Listing, ProjectId, Timestamp, WorkflowId, audit_logs, codes, parse,
};
use serde::de::DeserializeOwned;

use crate::operation_path::operation_path;

const HELP: &str = "\
Environment:
  NOMIC_API_KEY    an API key, created in Nomic's Developer Console
  NOMIC_DOMAIN     the organization's domain, e.g. acme
  NOMIC_BASE_URL   the URL of the API; overrides NOMIC_DOMAIN

Results are written to standard output; notes, progress and errors go to standard error.

Exit codes:
  0    success
  1    failure
  2    invalid command line, file or setting, or unknown domain; nothing was sent
  3    the API key was not accepted, or lacks a scope
  4    not found
  5    rate limit, spend limit or temporary error: the same command may succeed later
  6    outcome unknown: the request may have been executed; check before you repeat it
  7    the job failed or was stopped
  8    the job may still be running; the command to wait for it was printed
  130  interrupted";

/// Parse documents, extract values from them, and run agents on them
#[derive(Parser)]
#[command(name = "nomic", version, after_help = HELP)]
pub(crate) struct Cli {
    /// Print JSON: one line per result, or per item of a list
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Use an emulator, which needs no account and ends with the command
    #[arg(long, global = true)]
    pub(crate) demo: bool,
    /// Send an operation to another path, e.g. get_parse=/tasks/{taskId}; repeatable
    #[arg(long = "path", global = true, value_name = "OPERATION=PATH", value_parser = operation_path)]
    pub(crate) paths: Vec<(String, String)>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Upload a document
    Upload {
        /// The document
        file: PathBuf,
        /// Where to store it: folders and file name, e.g. reports/2026/quarterly.pdf
        #[arg(long, value_name = "PATH")]
        destination: Option<String>,
        /// The folder to store it in
        #[arg(long, value_name = "FOLDER-ID")]
        parent: Option<FileId>,
    },
    /// Search for files by name
    Search {
        /// A part of the file name
        query: String,
        /// Only files of this integration
        #[arg(long, value_name = "ID")]
        integration: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Convert a document to text
    Parse(Parse),
    /// Extract values from documents according to a JSON Schema
    Extract(Extract),
    /// Wait for a job that was submitted earlier
    Wait {
        /// The kind of the job
        kind: JobKind,
        /// The ID that was printed when the job was submitted
        id: String,
        #[command(flatten)]
        timeout: Timeout,
    },
    /// Launch and manage agents, and read their artifacts
    #[command(visible_alias = "agent")]
    Agents(Agents),
    /// List the workflows that agents can run
    Workflows {
        #[command(flatten)]
        limit: Limit,
    },
    /// List the projects that agents can work in
    Projects {
        #[command(flatten)]
        limit: Limit,
    },
    /// Search the building codes of a jurisdiction
    Codes(Codes),
    /// List, disable and enable users
    #[command(visible_alias = "user")]
    Users(Users),
    /// List and revoke API keys
    #[command(visible_alias = "key")]
    Keys(Keys),
    /// Show the audit log, newest first
    Audit {
        /// Only entries since this time: 90m, 24h, 7d, 2026-04-05 or 2026-04-05T12:00:00Z
        #[arg(long, value_parser = since)]
        since: Option<Timestamp>,
        /// Only this action, e.g. user.disabled
        #[arg(long, value_parser = |name: &str| Ok::<_, String>(audit_logs::Action::from(name)))]
        action: Option<audit_logs::Action>,
        #[command(flatten)]
        limit: Limit,
    },
}

#[derive(Args)]
pub(crate) struct Parse {
    /// The document to upload and parse
    #[arg(required_unless_present = "file_version", conflicts_with = "file_version")]
    pub(crate) file: Option<PathBuf>,
    /// A file version that was uploaded earlier, instead of a file
    #[arg(long, value_name = "ID")]
    pub(crate) file_version: Option<FileVersionId>,
    /// The script of text in images: en, latin or zh_ja_en
    #[arg(long, value_name = "SCRIPT")]
    pub(crate) ocr_language: Option<String>,
    /// Summarize figures
    #[arg(long)]
    pub(crate) figure_summary: bool,
    /// Summarize tables
    #[arg(long)]
    pub(crate) table_summary: bool,
    /// Maximum number of words per summary, 10 to 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32)
        .range(i64::from(parse::MIN_SUMMARY_WORDS)..=i64::from(parse::MAX_SUMMARY_WORDS)))]
    pub(crate) summary_words: Option<u32>,
    /// Add text for embedding to each chunk (shown with --json)
    #[arg(long)]
    pub(crate) embed_chunks: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

const SCHEMA: &str = r#"A schema for the number and the expiry date of a permit:
  {"type": "object", "properties": {
    "permitNumber": {"type": "string"},
    "expiryDate": {"type": "string", "description": "the last day on which the permit is valid"}}}"#;

#[derive(Args)]
#[command(after_help = SCHEMA)]
pub(crate) struct Extract {
    /// The documents to upload
    #[arg(required_unless_present = "file_version")]
    pub(crate) files: Vec<PathBuf>,
    /// A file version that was uploaded earlier; repeatable
    #[arg(long, value_name = "ID")]
    pub(crate) file_version: Vec<FileVersionId>,
    /// The file with the JSON Schema
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: PathBuf,
    /// Show where each value was found
    #[arg(long)]
    pub(crate) citations: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

#[derive(Args)]
pub(crate) struct Codes {
    /// A question or search terms
    pub(crate) query: String,
    /// The jurisdiction, e.g. texas
    #[arg(long)]
    pub(crate) jurisdiction: String,
    /// The type of code
    #[arg(long = "type", default_value = "building")]
    pub(crate) code_type: String,
    /// The edition's year
    #[arg(long)]
    pub(crate) year: Option<i32>,
    /// A keyword that the sections contain; repeatable
    #[arg(long, value_name = "WORD")]
    pub(crate) keyword: Vec<String>,
    /// Maximum number of sections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(codes::MAX_RESULTS)))]
    pub(crate) limit: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum JobKind {
    Parse,
    Extract,
    Agent,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Agents {
    #[command(subcommand)]
    pub(crate) command: Option<AgentCommand>,
    #[command(flatten)]
    pub(crate) list: AgentList,
}

#[derive(Args)]
pub(crate) struct AgentList {
    /// Only agents with this status, e.g. running
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Only agents of this workflow
    #[arg(long, value_name = "ID")]
    pub(crate) workflow: Option<WorkflowId>,
    #[command(flatten)]
    pub(crate) limit: Limit,
}

#[derive(Subcommand)]
pub(crate) enum AgentCommand {
    /// List agents (the default)
    List(AgentList),
    /// Show an agent
    Show {
        /// The agent's ID
        id: AgentId,
    },
    /// Launch an agent with a prompt or a workflow, and wait for it
    Run(Run),
    /// Send a follow-up prompt to an agent that has ended, and wait for it
    FollowUp {
        /// The agent's ID
        id: AgentId,
        /// The prompt
        #[arg(value_parser = prompt)]
        prompt: String,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Stop an agent; its artifacts are kept
    Stop {
        /// The agent's ID
        id: AgentId,
    },
    /// Delete an agent with its conversation and artifacts
    Delete {
        /// The agent's ID
        id: AgentId,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// List the artifacts of an agent
    Artifacts {
        /// The agent's ID
        id: AgentId,
        /// Print the contents: text as Markdown, tables as CSV
        #[arg(long, conflicts_with = "save")]
        content: bool,
        /// Write the contents to files in this folder
        #[arg(long, value_name = "FOLDER")]
        save: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct Run {
    /// The prompt
    #[arg(required_unless_present = "workflow", conflicts_with = "input", value_parser = prompt)]
    pub(crate) prompt: Option<String>,
    /// The workflow to run
    #[arg(long, value_name = "ID")]
    pub(crate) workflow: Option<WorkflowId>,
    /// A file for an input slot of the workflow; repeatable
    #[arg(long, value_name = "SLOT=FILE-ID", value_parser = slot, requires = "workflow")]
    pub(crate) input: Vec<(String, FileId)>,
    /// A document to upload for the agent; repeatable
    #[arg(long, value_name = "FILE", conflicts_with = "workflow")]
    pub(crate) file: Vec<PathBuf>,
    /// The ID of a stored file or folder for the agent; repeatable
    #[arg(long, value_name = "ID", conflicts_with = "workflow")]
    pub(crate) file_id: Vec<FileId>,
    /// The project to work in
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<ProjectId>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Users {
    #[command(subcommand)]
    pub(crate) command: Option<UserCommand>,
    #[command(flatten)]
    pub(crate) list: UserList,
}

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// List users (the default)
    List(UserList),
    /// Show a user, with counts of API keys and sessions
    Show {
        /// The user's ID or e-mail address
        user: String,
    },
    /// Disable a user, and permanently revoke the user's API keys
    Disable {
        /// The user's ID or e-mail address
        user: String,
        /// The reason, for the audit log
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Enable a user again; revoked API keys stay revoked
    Enable {
        /// The user's ID or e-mail address
        user: String,
    },
}

#[derive(Args)]
pub(crate) struct UserList {
    /// Only users whose e-mail address contains this
    #[arg(long, value_name = "PART")]
    pub(crate) email: Option<String>,
    #[command(flatten)]
    pub(crate) limit: Limit,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: Option<KeyCommand>,
    #[command(flatten)]
    pub(crate) list: KeyList,
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// List API keys (the default)
    List(KeyList),
    /// Permanently revoke an API key
    Revoke {
        /// The key's ID, as listed by `nomic keys`
        id: ApiKeyId,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

#[derive(Args)]
pub(crate) struct KeyList {
    /// Only keys of this user (ID or e-mail address)
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Include revoked keys
    #[arg(long)]
    pub(crate) revoked: bool,
    #[command(flatten)]
    pub(crate) limit: Limit,
}

#[derive(Args)]
pub(crate) struct WaitArgs {
    /// Print the job's ID and exit without waiting
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) timeout: Timeout,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct Timeout {
    /// How long to wait
    #[arg(long, value_name = "SECONDS", default_value_t = nomic_client::job::DEFAULT_WAIT_TIMEOUT.as_secs())]
    pub(crate) timeout: u64,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct Confirmation {
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct Limit {
    /// Maximum number of items
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl Limit {
    /// Limits a listing to the first items, and its page size to what is needed.
    pub(crate) fn apply<T: DeserializeOwned>(
        self,
        listing: Listing<T>,
        max_page_size: u32,
    ) -> impl Iterator<Item = nomic_client::Result<T>> {
        let limit = self.limit.unwrap_or(u32::MAX);
        listing.page_size(limit.min(max_page_size)).take(limit as usize)
    }
}

fn prompt(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("the prompt is empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn slot(text: &str) -> Result<(String, FileId), String> {
    let (slot, id) = text.split_once('=').ok_or("expected SLOT=FILE-ID")?;
    Ok((slot.to_owned(), id.into()))
}

/// Parses a date, a timestamp, or a duration before now.
fn since(text: &str) -> Result<Timestamp, String> {
    let ago = |text: &str| {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit = match unit {
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
        SystemTime::now().checked_sub(Duration::from_secs(seconds))
    };
    let timestamp = if text.len() == "2026-04-05".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    match ago(text) {
        Some(time) => Ok(time.into()),
        None => Timestamp::from(timestamp.clone())
            .system_time()
            .map(|_| timestamp.into())
            .map_err(|_| "expected 90m, 24h, 7d, 2026-04-05 or 2026-04-05T12:00:00Z".to_owned()),
    }
}
