//! Shared by the examples: command-line handling, a client to use, and error messages of one line.

use std::error::Error as StdError;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use nomic_client::{Error, Nomic};
use nomic_emulator::Emulator;

/// Any error, ready to be displayed.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// What the functions of the examples return.
pub(crate) type Result<T = (), E = BoxError> = std::result::Result<T, E>;

/// `println!` that returns an error instead of panicking, e.g. on a full disk or a closed pipe.
macro_rules! outln {
    ($($text:tt)*) => { $crate::instance::write_line(format_args!($($text)*)) };
}
pub(crate) use outln;

/// Writes a line to standard output.
pub(crate) fn write_line(line: fmt::Arguments<'_>) -> Result<(), StdoutError> {
    // Formatted first: a single write keeps the lines of several threads apart.
    io::stdout().write_all(format!("{line}\n").as_bytes()).map_err(StdoutError)
}

/// Writes a line to standard error. Errors are ignored: there is nowhere to report them.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Standard output cannot be written to.
#[derive(Debug)]
pub(crate) struct StdoutError(pub(crate) io::Error);

impl StdError for StdoutError {}

impl Display for StdoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

/// The command line is not valid.
#[derive(Debug)]
pub(crate) struct UsageError(String);

impl StdError for UsageError {}

impl Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn usage_error(message: impl Into<String>) -> BoxError {
    UsageError(message.into()).into()
}

/// Connects to the real service if `NOMIC_API_KEY` is set (with `NOMIC_DOMAIN` or `NOMIC_BASE_URL`), and to a new
/// emulator otherwise. The emulator runs until it is dropped. A note on standard error says that it is used.
pub(crate) fn connect() -> Result<(Nomic, Option<Emulator>)> {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set(&"NOMIC_API_KEY") {
        return Ok((Nomic::from_env()?, None));
    }
    let without_key = ["NOMIC_DOMAIN", "NOMIC_BASE_URL"].into_iter().find(is_set);
    let reason = without_key.map(|name| format!("{name} is set, but NOMIC_API_KEY is not: ")).unwrap_or_default();
    let emulator = Emulator::start()?;
    let url = emulator.url();
    note(format_args!("{reason}using an emulator at {url}; set NOMIC_API_KEY and NOMIC_DOMAIN to use your instance"));
    Ok((Nomic::new(url, emulator.key())?, Some(emulator)))
}

/// Runs an example and returns its exit code: 0 for success, 1 for a failure, 2 for an invalid command line.
pub(crate) fn run_example(name: &str, usage: &str, run: impl FnOnce(Vec<OsString>) -> Result) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let is_known = |option: &OsString| usage.split([' ', '[', ']', '\n']).any(|word| option == word);
    let unknown = arguments.iter().find(|argument| argument.to_string_lossy().starts_with('-') && !is_known(argument));
    let result = if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        outln!("{usage}").map_err(Into::into)
    } else if let Some(option) = unknown {
        Err(usage_error(format!("unknown option {}", option.to_string_lossy())))
    } else {
        run(arguments)
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    if error.downcast_ref::<StdoutError>().is_some_and(|error| error.0.kind() == ErrorKind::BrokenPipe) {
        // The reader closed the pipe, as in `search_codes | head -1`.
        return ExitCode::SUCCESS;
    }
    if error.is::<UsageError>() {
        note(format_args!("{name}: {error}\n{usage}"));
        return ExitCode::from(2);
    }
    note(format_args!("{name}: {error}{}", error.downcast_ref::<Error>().map_or("", advice)));
    ExitCode::FAILURE
}

/// What to do next, where the error does not say it itself.
fn advice(error: &Error) -> &'static str {
    let operation = error.operation().unwrap_or_default();
    let reads_documents = ["submit_parse", "get_parse", "submit_extract", "get_extract"].contains(&operation);
    match error.kind() {
        nomic_client::ErrorKind::Config(_) => "; unset NOMIC_API_KEY to use an emulator",
        nomic_client::ErrorKind::Document { .. } => "; pass a readable document",
        nomic_client::ErrorKind::InvalidRequest(_) if operation == "upload_file" => "; pass a readable document",
        _ if reads_documents && (error.status() == Some(422) || error.is_job_failed()) => "; try another document",
        _ if error.is_unreachable() => "; check NOMIC_DOMAIN or NOMIC_BASE_URL, and the network",
        _ => "",
    }
}
