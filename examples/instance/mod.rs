//! What every example shares: its usage, an instance to talk to, and one line when it cannot go on.

use std::error::Error as StdError;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use nomic_client::{Error, Nomic};
use nomic_emulator::Emulator;

/// How an example ends.
pub(crate) type Outcome<T = ()> = std::result::Result<T, Box<dyn StdError + Send + Sync>>;

/// `println!` that can fail: standard output may be a full disk, or a `head` that has seen enough.
macro_rules! say {
    ($($text:tt)*) => { $crate::instance::write_line(format_args!($($text)*)) };
}
pub(crate) use say;

/// A line on standard output.
pub(crate) fn write_line(line: fmt::Arguments<'_>) -> std::result::Result<(), Unsaid> {
    // Formatted first: a line goes out whole, whatever other threads say.
    io::stdout().write_all(format!("{line}\n").as_bytes()).map_err(Unsaid)
}

/// A line on standard error. That nobody reads it is no reason to end.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What could not be written to standard output.
#[derive(Debug)]
pub(crate) struct Unsaid(pub(crate) io::Error);

impl StdError for Unsaid {}

impl Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

/// A command line that asks for what does not go.
#[derive(Debug)]
pub(crate) struct Misuse(String);

impl StdError for Misuse {}

impl Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The real service if `NOMIC_API_KEY` is set (with `NOMIC_DOMAIN` or `NOMIC_BASE_URL`), else a Nomic in a box, which
/// lives as long as the second value. Nobody is to take the one for the other, so the box says that it is one.
pub(crate) fn connect() -> std::result::Result<(Nomic, Option<Emulator>), Box<dyn StdError + Send + Sync>> {
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set(&"NOMIC_API_KEY") {
        return Ok((Nomic::from_env()?, None));
    }
    let half = ["NOMIC_DOMAIN", "NOMIC_BASE_URL"].into_iter().find(set);
    let half = half.map(|name| format!("{name} is set, but NOMIC_API_KEY is not: ")).unwrap_or_default();
    let emulator = Emulator::start()?;
    let url = emulator.url();
    note(format_args!("{half}on a Nomic in a box at {url}; set NOMIC_API_KEY and NOMIC_DOMAIN for yours"));
    Ok((Nomic::new(url, emulator.key())?, Some(emulator)))
}

/// An example from its command line to its exit code: 0, 1 for a failure, 2 for a command line that does not go.
pub(crate) fn program(name: &str, usage: &str, run: impl FnOnce(Vec<OsString>) -> Outcome) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let is_named = |option: &OsString| usage.split([' ', '[', ']', '\n']).any(|word| option == word);
    let slip = arguments.iter().find(|argument| argument.to_string_lossy().starts_with('-') && !is_named(argument));
    let result = if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        say!("{usage}").map_err(Into::into)
    } else if let Some(slip) = slip {
        Err(misuse(format!("{} is no option", slip.to_string_lossy())))
    } else {
        run(arguments)
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    if error.downcast_ref::<Unsaid>().is_some_and(|unsaid| unsaid.0.kind() == ErrorKind::BrokenPipe) {
        // Who reads has had enough: `search_codes | head -1`.
        return ExitCode::SUCCESS;
    }
    if error.is::<Misuse>() {
        note(format_args!("{name}: {error}\n{usage}"));
        return ExitCode::from(2);
    }
    note(format_args!("{name}: {error}{}", error.downcast_ref::<Error>().map_or("", advice)));
    ExitCode::FAILURE
}

/// The error of a command line that asks for what does not go.
pub(crate) fn misuse(words: impl Into<String>) -> Box<dyn StdError + Send + Sync> {
    Misuse(words.into()).into()
}

/// What to do next, where the error alone does not say it.
fn advice(error: &Error) -> &'static str {
    let operation = error.operation().unwrap_or_default();
    let reads_documents = ["submit_parse", "get_parse", "submit_extract", "get_extract"].contains(&operation);
    match error.kind() {
        nomic_client::ErrorKind::Config(_) => "; without NOMIC_API_KEY this runs on a Nomic in a box",
        nomic_client::ErrorKind::Document { .. } => "; give a document that can be read",
        nomic_client::ErrorKind::InvalidRequest(_) if operation == "upload_file" => {
            "; give a document that can be read"
        }
        _ if reads_documents && (error.status() == Some(422) || error.is_job_failed()) => "; try another document",
        _ if error.is_unreachable() => "; look at NOMIC_DOMAIN or NOMIC_BASE_URL, and at the network",
        _ => "",
    }
}
