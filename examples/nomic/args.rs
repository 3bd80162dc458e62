//! The command line as clap reads it; the comments are its help.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand, ValueEnum};
use nomic_client::{
    AgentId, ApiKeyId, FileId, FileVersionId, Listing, ProjectId, Timestamp, WorkflowId, audit_logs, codes, parse,
};
use serde::de::DeserializeOwned;

const HELP: &str = "\
Environment:
  NOMIC_API_KEY    a key, made in Nomic's Developer Console
  NOMIC_DOMAIN     the organization's domain, such as acme
  NOMIC_BASE_URL   the URL of the API; it counts if both are set

Standard output is for results alone; notes, progress and errors go to standard error.

Exit codes:
  0    done
  1    failed
  2    the command line, a file that it names or a setting is wrong, or there is no such domain; nothing was sent
  3    the key was not accepted, or lacks a scope
  4    not found
  5    rate limit, spend limit or passing trouble: the same command may succeed later
  6    unknown outcome: it may have been executed; look before you repeat it
  7    the job failed, or was stopped
  8    the job goes on, but was not waited for to its end; the way to do so was shown
  130  interrupted";

/// Documents in; text, values and the work of agents out.
#[derive(Parser)]
#[command(name = "nomic", version, after_help = HELP)]
pub(crate) struct Cli {
    /// Print JSON: one line for a result, one for each item of a list
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Run on a Nomic in a box, which needs no account and is gone with the command
    #[arg(long, global = true)]
    pub(crate) demo: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Upload a document
    Upload {
        /// The document
        file: PathBuf,
        /// Where to put it: folders and file name, such as reports/2026/quarterly.pdf
        #[arg(long)]
        path: Option<String>,
        /// The folder to put it into
        #[arg(long, value_name = "FOLDER-ID")]
        parent: Option<FileId>,
    },
    /// Find files by a part of their name
    Search {
        /// The part of the name
        query: String,
        /// Only files of this integration
        #[arg(long, value_name = "ID")]
        integration: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Turn a document into text
    Parse(Parse),
    /// Extract values from documents, in the shape of a JSON Schema
    Extract(Extract),
    /// Wait for a job that was begun earlier
    Wait {
        /// What it is
        kind: JobKind,
        /// Its ID, as it was shown when the job was submitted
        id: String,
        #[command(flatten)]
        timeout: Timeout,
    },
    /// Launch agents, ask them for more, and see what they made
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
    /// Ask the building codes of a jurisdiction
    Codes(Codes),
    /// List users, shut them out, let them in again
    #[command(visible_alias = "user")]
    Users(Users),
    /// List and revoke API keys
    #[command(visible_alias = "key")]
    Keys(Keys),
    /// Show the audit log, newest first
    Audit {
        /// Only what was done since: 90m, 24h, 7d, 2026-04-05 or 2026-04-05T12:00:00Z
        #[arg(long, value_parser = since)]
        since: Option<Timestamp>,
        /// Only this action, such as user.disabled
        #[arg(long, value_parser = |word: &str| Ok::<_, String>(audit_logs::Action::from(word)))]
        action: Option<audit_logs::Action>,
        #[command(flatten)]
        limit: Limit,
    },
}

#[derive(Args)]
pub(crate) struct Parse {
    /// The document, which is uploaded first
    #[arg(required_unless_present = "file_version", conflicts_with = "file_version")]
    pub(crate) file: Option<PathBuf>,
    /// A version that was uploaded earlier, instead
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
    /// Words in a summary at the most, 10 to 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32)
        .range(i64::from(parse::MIN_SUMMARY_WORDS)..=i64::from(parse::MAX_SUMMARY_WORDS)))]
    pub(crate) summary_words: Option<u32>,
    /// Have chunks with a text that is made to be embedded (seen with --json)
    #[arg(long)]
    pub(crate) embed_chunks: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

const SCHEMA: &str = r#"A schema for the number and the date of a permit:
  {"type": "object", "properties": {
    "permitNumber": {"type": "string"},
    "expiryDate": {"type": "string", "description": "the date until which it is valid"}}}"#;

#[derive(Args)]
#[command(after_help = SCHEMA)]
pub(crate) struct Extract {
    /// The documents, which are uploaded first
    #[arg(required_unless_present = "file_version")]
    pub(crate) files: Vec<PathBuf>,
    /// A version that was uploaded earlier; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) file_version: Vec<FileVersionId>,
    /// The file with the JSON Schema
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: PathBuf,
    /// Say where each value stands
    #[arg(long)]
    pub(crate) citations: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Args)]
pub(crate) struct Codes {
    /// The question, or words to look for
    pub(crate) query: String,
    /// Whose codes, such as texas
    #[arg(long)]
    pub(crate) jurisdiction: String,
    /// Which codes
    #[arg(long = "type", default_value = "building")]
    pub(crate) code_type: String,
    /// The codes of this year
    #[arg(long)]
    pub(crate) year: Option<i32>,
    /// A word that the sections shall hold; may be given several times
    #[arg(long, value_name = "WORD")]
    pub(crate) keyword: Vec<String>,
    /// Sections at the most
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
    /// Only agents of this status, such as running
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
    /// List agents (also without a word)
    List(AgentList),
    /// Show an agent
    Show {
        /// Its ID
        id: AgentId,
    },
    /// Launch an agent with a prompt or a workflow, and wait for it
    Run(Run),
    /// Ask an agent that has ended for more, and wait for it
    FollowUp {
        /// Its ID
        id: AgentId,
        /// What to do next
        #[arg(value_parser = prompt)]
        prompt: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Stop an agent; what it has made stays
    Stop {
        /// Its ID
        id: AgentId,
    },
    /// Delete an agent with all that it has made
    Delete {
        /// Its ID
        id: AgentId,
        #[command(flatten)]
        sure: Sure,
    },
    /// List what an agent has made
    Artifacts {
        /// Its ID
        id: AgentId,
        /// Print the contents: text as Markdown, tables as CSV
        #[arg(long, conflicts_with = "save")]
        content: bool,
        /// Write the contents into files in this folder
        #[arg(long, value_name = "FOLDER")]
        save: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct Run {
    /// What to do
    #[arg(required_unless_present = "workflow", conflicts_with = "input", value_parser = prompt)]
    pub(crate) prompt: Option<String>,
    /// The workflow to run
    #[arg(long, value_name = "ID")]
    pub(crate) workflow: Option<WorkflowId>,
    /// Files for a slot of the workflow, as SLOT=FILE-ID; may be given several times
    #[arg(long, value_name = "SLOT=FILE-ID", value_parser = slot, requires = "workflow")]
    pub(crate) input: Vec<(String, FileId)>,
    /// A document to work on, which is uploaded first; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "workflow")]
    pub(crate) file: Vec<PathBuf>,
    /// A file or folder on Nomic to work on; may be given several times
    #[arg(long, value_name = "ID", conflicts_with = "workflow")]
    pub(crate) file_id: Vec<FileId>,
    /// The project to work in
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<ProjectId>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
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
    /// List users (also without a word)
    List(UserList),
    /// Show a user, with counts
    Show {
        /// An ID or an e-mail address
        user: String,
    },
    /// Shut a user out, and revoke the user's API keys for good
    Disable {
        /// An ID or an e-mail address
        user: String,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        sure: Sure,
    },
    /// Let a user in again, without the API keys that were revoked
    Enable {
        /// An ID or an e-mail address
        user: String,
    },
}

#[derive(Args)]
pub(crate) struct UserList {
    /// Only users with this in their address
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
    /// List API keys (also without a word)
    List(KeyList),
    /// Revoke an API key for good
    Revoke {
        /// Its ID, as `nomic keys` lists it
        id: ApiKeyId,
        #[command(flatten)]
        sure: Sure,
    },
}

#[derive(Args)]
pub(crate) struct KeyList {
    /// Only keys of this user, given by ID or e-mail address
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// List revoked keys too
    #[arg(long)]
    pub(crate) revoked: bool,
    #[command(flatten)]
    pub(crate) limit: Limit,
}

#[derive(Args)]
pub(crate) struct Waiting {
    /// Submit the job, print its ID, and do not wait
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) timeout: Timeout,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct Timeout {
    /// Wait so long at the most
    #[arg(long, value_name = "SECONDS", default_value_t = nomic_client::job::DEFAULT_WAIT_TIMEOUT.as_secs())]
    pub(crate) timeout: u64,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct Sure {
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct Limit {
    /// Items at the most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl Limit {
    /// The first items, in pages that are large and no larger than needed.
    pub(crate) fn of<T: DeserializeOwned>(
        self,
        listing: Listing<T>,
        largest_page: u32,
    ) -> impl Iterator<Item = nomic_client::Result<T>> {
        let limit = self.limit.unwrap_or(u32::MAX);
        listing.page_size(limit.min(largest_page)).take(limit as usize)
    }
}

/// A prompt that says something.
fn prompt(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("say what the agent shall do".to_owned()) } else { Ok(text.to_owned()) }
}

fn slot(text: &str) -> Result<(String, FileId), String> {
    let (slot, id) = text.split_once('=').ok_or("give SLOT=FILE-ID")?;
    Ok((slot.to_owned(), id.into()))
}

/// A point in time, or how long ago it was.
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
    let whole = if text.len() == "2026-04-05".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    match ago(text) {
        Some(time) => Ok(time.into()),
        None => Timestamp::from(whole.clone())
            .system_time()
            .map(|_| whole.into())
            .map_err(|_| "give 90m, 24h, 7d, 2026-04-05 or 2026-04-05T12:00:00Z".to_owned()),
    }
}
