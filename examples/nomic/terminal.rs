//! Standard error and the keyboard: notes, progress, confirmations, and Ctrl-C.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::output::plain;

/// The current stage: its progress bar, and the message to print on Ctrl-C.
static CURRENT: Mutex<Option<(ProgressBar, String)>> = Mutex::new(None);

fn current() -> MutexGuard<'static, Option<(ProgressBar, String)>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a message to standard error, above the progress bar.
pub(crate) fn note(message: impl Display) {
    match current().as_ref() {
        Some((bar, _)) => bar.suspend(|| write_stderr(message)),
        None => write_stderr(message),
    }
}

/// Errors are ignored: there is nowhere to report them.
fn write_stderr(message: impl Display) {
    let _ = writeln!(io::stderr(), "nomic: {}", plain(&message.to_string()));
}

/// A stage of a command. On a terminal, its progress is shown until it is dropped.
pub(crate) struct Stage(ProgressBar);

impl Stage {
    /// Starts a stage and ends the previous one. `on_interrupt` is the message that Ctrl-C prints.
    pub(crate) fn start(label: impl Into<String>, on_interrupt: impl Into<String>) -> Self {
        if let Some((previous, _)) = current().as_ref() {
            previous.finish_and_clear();
        }
        // Hidden if standard error is not a terminal.
        let bar = ProgressBar::new_spinner().with_message(label.into());
        bar.set_style(style("{spinner} {wide_msg} {elapsed}"));
        bar.enable_steady_tick(Duration::from_millis(120));
        *current() = Some((bar.clone(), on_interrupt.into()));
        Self(bar)
    }

    /// Starts a request that must not be repeated. `hint` says how to check whether it was executed.
    pub(crate) fn start_write(label: &str, hint: &str) -> Self {
        Self::start(label, format!("{label}: it may have been executed\n{hint}"))
    }

    /// Updates the progress of a transfer.
    pub(crate) fn set_bytes(&self, done: u64, total: u64) {
        if self.0.length() != Some(total) {
            self.0.set_length(total);
            self.0.set_style(style("{spinner} {wide_msg} [{bar:24}] {bytes} of {total_bytes}, {bytes_per_sec}"));
        }
        self.0.set_position(done);
    }

    /// Changes the message that Ctrl-C prints.
    pub(crate) fn set_on_interrupt(&self, message: impl Into<String>) {
        if let Some((_, on_interrupt)) = current().as_mut() {
            *on_interrupt = message.into();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        // Unless another stage has started since.
        current().take_if(|(bar, _)| bar.is_finished());
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Makes Ctrl-C print the message of the current stage and exit with 130.
pub(crate) fn set_ctrl_c_handler() -> Result<(), Failure> {
    let result = ctrlc::set_handler(|| {
        // Locked until the process exits, so that no other stage starts.
        let mut current = current();
        match current.take() {
            None => write_stderr("interrupted"),
            Some((bar, message)) => {
                bar.finish_and_clear();
                write_stderr(format_args!("interrupted; {message}"));
            }
        }
        std::process::exit(130);
    });
    result.map_err(|error| Failure::Local(format!("cannot set the Ctrl-C handler: {error}")))
}

/// Whether the user can answer questions.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for confirmation. Without a terminal, `--yes` is required.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !is_interactive() {
        return Err(Failure::Usage(format!("{question} Not a terminal: pass --yes to confirm")));
    }
    let _ = write!(io::stderr(), "{} [y/N] ", plain(question));
    let mut answer = String::new();
    let _ = io::stdin().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Local("cancelled; nothing was changed".to_owned())),
    }
}
