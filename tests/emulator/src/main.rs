//! The command-line program: prints the base URL and an API key, and serves until it is killed.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use nomic_emulator::{ApiVersion, Builder, Emulator, LimitModel, Limits, Variation, operations};

const HELP: &str = "\
Serves an emulator of the Nomic HTTP API on a local port until it is killed.

Usage: nomic-emulator [OPTIONS]

  --port N                port on 127.0.0.1 [default: a free port]
  --keys N                print N more API keys with all scopes, of other users
  --scopes LIST           print one more API key with only these scopes, such as
                          developer:files,admin:users:read
  --limits MODEL          rate limits: off, burst, even or window [default: burst];
                          append ,speed=60 to run them 60 times as fast, or
                          ,headers=429 to send rate-limit headers with a 429 only
  --users N               number of users [default: 25]
  --audit-logs N          number of audit log entries [default: 60]
  --integration-files N   number of files from an integration [default: 0]
  --agents N              number of finished agents [default: 0]
  --api-version VERSION   current, old or future [default: current]
  --move OPERATION=PATH   serve an operation at another path, such as
                          get_parse=/tasks/{taskId}; may be repeated
  --variation NAME        change the form of responses: id-only, wrapped-id-only,
                          named-artifacts, nulls, whole-floats,
                          numbers-as-strings or numeric-ids; may be repeated
  --old-errors            send error bodies as {error} only
  --job-time MS           time that a job runs, in milliseconds [default: 400]
  --help                  print this help
";

/// The parsed command line.
struct Options {
    builder: Builder,
    /// The number of additional keys, and of the users that own them.
    keys: usize,
    users: usize,
    /// The scopes of one additional key.
    scopes: Vec<String>,
    old_errors: bool,
    help: bool,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => return fail(&error, 2),
    };
    let mut out = io::stdout().lock();
    if options.help {
        // A closed stdout cannot be reported.
        let _ = out.write_all(HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    let emulator = match options.builder.clone().start() {
        Ok(emulator) => emulator,
        Err(error) => return fail(&format!("cannot start: {error}"), 1),
    };
    emulator.set_old_errors(options.old_errors);
    let _ = print_keys(&mut out, &emulator, &options);
    drop(out);
    loop {
        std::thread::park();
    }
}

fn print_keys(out: &mut impl Write, emulator: &Emulator, options: &Options) -> io::Result<()> {
    writeln!(out, "export NOMIC_BASE_URL={}", emulator.url())?;
    writeln!(out, "export NOMIC_API_KEY={}", emulator.key())?;
    for number in 1..=options.keys {
        let key = emulator.issue_key_for(number % options.users, &["developer", "admin"]);
        writeln!(out, "# another key: {key}")?;
    }
    if !options.scopes.is_empty() {
        let scopes: Vec<&str> = options.scopes.iter().map(String::as_str).collect();
        writeln!(out, "# a key with {} only: {}", scopes.join(", "), emulator.issue_key(&scopes))?;
    }
    out.flush()
}

fn fail(error: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "nomic-emulator: {error}");
    ExitCode::from(code)
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut builder = Emulator::builder();
    let (mut keys, mut users, mut scopes) = (0, 25, Vec::new());
    let (mut old_errors, mut help) = (false, false);
    while let Some(argument) = arguments.next() {
        let (flag, attached) = match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let is_bare = attached.is_none();
        let mut value = || attached.clone().or_else(|| arguments.next()).ok_or_else(|| format!("{flag} needs a value"));
        match flag {
            "--help" | "-h" if is_bare => help = true,
            "--old-errors" if is_bare => old_errors = true,
            "--port" => builder = builder.port(number(flag, &value()?)?),
            "--keys" => keys = number(flag, &value()?)?,
            "--scopes" => scopes = known_scopes(&value()?)?,
            "--limits" => builder = builder.limits(limits(&value()?)?),
            "--users" => {
                users = number::<usize>(flag, &value()?)?.max(1);
                builder = builder.users(users);
            }
            "--audit-logs" => builder = builder.audit_logs(number(flag, &value()?)?),
            "--integration-files" => builder = builder.integration_files(number(flag, &value()?)?),
            "--agents" => builder = builder.agents(number(flag, &value()?)?),
            "--api-version" => builder = builder.api_version(api_version(&value()?)?),
            "--move" => {
                let moved = value()?;
                let (name, path) =
                    moved.split_once('=').ok_or_else(|| format!("--move {moved}: expected OPERATION=PATH"))?;
                builder = builder.move_operation(name, path);
            }
            "--variation" => builder = builder.variation(variation(&value()?)?),
            "--job-time" => builder = builder.job_time(Duration::from_millis(number(flag, &value()?)?)),
            _ => return Err(format!("unknown option {argument}; see --help")),
        }
    }
    Ok(Options { builder, keys, users, scopes, old_errors, help })
}

/// Parses a list of scopes, each of which some operation requires.
fn known_scopes(value: &str) -> Result<Vec<String>, String> {
    let scopes: Vec<String> = value.split(',').map(|scope| scope.trim().to_owned()).collect();
    let grants = |scope: &str, needed: &str| needed == scope || needed.starts_with(&format!("{scope}:"));
    match scopes.iter().find(|scope| !operations().iter().any(|operation| grants(scope, operation.scope))) {
        Some(scope) => Err(format!("--scopes {value}: no operation requires '{scope}'")),
        None => Ok(scopes),
    }
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} {value}: not a number in range"))
}

fn limits(value: &str) -> Result<Limits, String> {
    let mut parts = value.split(',');
    let limits = match parts.next() {
        Some("off") => Limits::off(),
        Some("burst") => Limits::documented(LimitModel::FullBurst),
        Some("even") => Limits::documented(LimitModel::EvenPacing),
        Some("window") => Limits::documented(LimitModel::FixedWindow),
        _ => return Err(format!("--limits {value}: expected off, burst, even or window")),
    };
    parts.try_fold(limits, |limits, part| match part.strip_prefix("speed=").map(str::parse::<f64>) {
        Some(Ok(speed)) if speed.is_finite() && speed > 0.0 => Ok(limits.speed(speed)),
        None if part == "headers=429" => Ok(limits.headers_on_429_only()),
        _ => Err(format!("--limits {value}: expected speed=NUMBER or headers=429 after the model")),
    })
}

fn api_version(value: &str) -> Result<ApiVersion, String> {
    match value {
        "current" => Ok(ApiVersion::Current),
        "old" => Ok(ApiVersion::Old),
        "future" => Ok(ApiVersion::Future),
        _ => Err(format!("--api-version {value}: expected current, old or future")),
    }
}

fn variation(value: &str) -> Result<Variation, String> {
    let found = Variation::ALL.iter().find(|variation| variation.name() == value);
    found.copied().ok_or_else(|| format!("--variation {value}: unknown; see --help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: &[&str]) -> Option<String> {
        parse(arguments.iter().map(|argument| (*argument).to_owned())).err()
    }

    #[test]
    fn valid_command_lines_are_parsed() {
        for arguments in [
            vec![],
            vec!["--help"],
            vec!["--port", "4010", "--keys=2", "--limits", "burst,speed=60"],
            vec!["--limits=window,speed=10,headers=429"],
            vec!["--scopes", "developer:files, admin", "--old-errors"],
            vec!["--move", "get_parse=/tasks/{taskId}", "--move=get_agent=/runs/{id}"],
            vec!["--variation", "id-only", "--variation=numeric-ids"],
            vec!["--users", "10000", "--audit-logs", "100000", "--api-version", "future", "--job-time", "0"],
        ] {
            assert_eq!(error(&arguments), None, "{arguments:?}");
        }
    }

    #[test]
    fn an_invalid_command_line_is_refused_in_one_line_that_names_the_argument() {
        for (arguments, word) in [
            (vec!["--prot", "1"], "--prot"),
            (vec!["4010"], "4010"),
            (vec!["--port"], "--port needs a value"),
            (vec!["--port", "70000"], "70000"),
            (vec!["--limits", "burst,speed=0"], "speed"),
            (vec!["--limits", "burst,headers=200"], "headers=429"),
            (vec!["--limits", "slow"], "slow"),
            (vec!["--api-version", "never"], "never"),
            (vec!["--scopes", "developer:flies"], "developer:flies"),
            (vec!["--scopes", ""], "''"),
            (vec!["--move", "get_parse"], "OPERATION=PATH"),
            (vec!["--variation", "none"], "none"),
            (vec!["--old-errors=yes"], "--old-errors=yes"),
        ] {
            let error = error(&arguments).unwrap();
            assert!(error.contains(word), "{error}");
            assert!(!error.contains('\n'));
        }
    }
}
