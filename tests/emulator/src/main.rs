//! The emulator by hand: prints where it is and a key for it, and serves until it is killed.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use nomic_emulator::{Builder, Emulator, LimitModel, Limits, Snapshot};

const HELP: &str = "\
A Nomic in a box: the Nomic HTTP API v0 on a local port, until it is killed.

Usage: nomic-emulator [flags]

  --port N          port on 127.0.0.1; a free one by default
  --keys N          print so many more keys, of other users
  --limits MODEL    off, burst (default), even or window; `burst,speed=60` scales time
  --users N         seeded users (25)
  --audit-logs N    seeded audit entries (60)
  --files N         seeded files of an integration (0)
  --agents N        seeded agents that have ended (0)
  --snapshot WHEN   today (default), old or future
  --job-time MS     how long a job takes (400)
  --help            this text
";

/// The command line, read.
struct Options {
    builder: Builder,
    /// How many more keys are printed, and how many users there are to own them.
    keys: usize,
    users: usize,
    help: bool,
}

fn main() -> ExitCode {
    let options = match read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => return fail(&error, 2),
    };
    let mut out = io::stdout().lock();
    if options.help {
        // Nobody is left to tell when the output is closed.
        let _ = out.write_all(HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    let emulator = match options.builder.start() {
        Ok(emulator) => emulator,
        Err(error) => return fail(&format!("cannot start: {error}"), 1),
    };
    let _ = introduce(&mut out, &emulator, options.keys, options.users);
    drop(out);
    loop {
        std::thread::park();
    }
}

fn introduce(out: &mut impl Write, emulator: &Emulator, keys: usize, users: usize) -> io::Result<()> {
    writeln!(out, "export NOMIC_BASE_URL={}", emulator.url())?;
    writeln!(out, "export NOMIC_API_KEY={}", emulator.key())?;
    for number in 1..=keys {
        writeln!(out, "# another key: {}", emulator.issue_key_for(number % users, &["developer", "admin"]))?;
    }
    out.flush()
}

fn fail(error: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "nomic-emulator: {error}");
    ExitCode::from(code)
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { builder: Emulator::builder(), keys: 0, users: 25, help: false };
    while let Some(argument) = arguments.next() {
        let (flag, attached) = match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        if flag == "--help" || flag == "-h" {
            options.help = true;
            continue;
        }
        let known = [
            "--port",
            "--keys",
            "--limits",
            "--users",
            "--audit-logs",
            "--files",
            "--agents",
            "--snapshot",
            "--job-time",
        ];
        if !known.contains(&flag) {
            return Err(format!("unknown flag {argument}; see --help"));
        }
        let value = attached.or_else(|| arguments.next()).ok_or_else(|| format!("{flag} needs a value"))?;
        let builder = options.builder;
        options.builder = match flag {
            "--port" => builder.port(number(flag, &value)?),
            "--limits" => builder.limits(limits(&value)?),
            "--users" => {
                options.users = number::<usize>(flag, &value)?.max(1);
                builder.users(options.users)
            }
            "--audit-logs" => builder.audit_logs(number(flag, &value)?),
            "--files" => builder.files(number(flag, &value)?),
            "--agents" => builder.agents(number(flag, &value)?),
            "--snapshot" => builder.snapshot(snapshot(&value)?),
            "--job-time" => builder.job_time(Duration::from_millis(number(flag, &value)?)),
            _ => {
                options.keys = number(flag, &value)?;
                builder
            }
        };
    }
    Ok(options)
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} {value}: not a number that fits"))
}

fn limits(value: &str) -> Result<Limits, String> {
    let mut parts = value.split(',');
    let limits = match parts.next() {
        Some("off") => Limits::off(),
        Some("burst") => Limits::contract(LimitModel::FullBurst),
        Some("even") => Limits::contract(LimitModel::EvenPacing),
        Some("window") => Limits::contract(LimitModel::FixedWindow),
        _ => return Err(format!("--limits {value}: expected off, burst, even or window")),
    };
    parts.try_fold(limits, |limits, part| match part.strip_prefix("speed=").map(str::parse::<f64>) {
        Some(Ok(speed)) if speed.is_finite() && speed > 0.0 => Ok(limits.speed(speed)),
        _ => Err(format!("--limits {value}: expected speed=NUMBER after the model")),
    })
}

fn snapshot(value: &str) -> Result<Snapshot, String> {
    match value {
        "today" => Ok(Snapshot::Today),
        "old" => Ok(Snapshot::Old),
        "future" => Ok(Snapshot::Future),
        _ => Err(format!("--snapshot {value}: expected today, old or future")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: &[&str]) -> Option<String> {
        read(arguments.iter().map(|argument| (*argument).to_owned())).err()
    }

    #[test]
    fn good_command_lines_are_read() {
        for arguments in [
            vec![],
            vec!["--help"],
            vec!["--port", "4010", "--keys=2", "--limits", "burst,speed=60"],
            vec!["--users", "10000", "--audit-logs", "100000", "--snapshot", "future", "--job-time", "0"],
        ] {
            assert_eq!(error(&arguments), None, "{arguments:?}");
        }
    }

    #[test]
    fn bad_command_lines_name_what_is_wrong() {
        for (arguments, word) in [
            (vec!["--prot", "1"], "--prot"),
            (vec!["4010"], "4010"),
            (vec!["--port"], "--port needs a value"),
            (vec!["--port", "70000"], "70000"),
            (vec!["--limits", "burst,speed=0"], "speed"),
            (vec!["--limits", "slow"], "slow"),
            (vec!["--snapshot", "never"], "never"),
        ] {
            let error = error(&arguments).unwrap();
            assert!(error.contains(word), "{error}");
            assert!(!error.contains('\n'));
        }
    }
}
