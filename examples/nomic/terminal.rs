//! Standard error and the keyboard: notes, progress, questions, and what Ctrl-C has to say.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::output::plain;

/// What is under way: its progress, and what Ctrl-C has to say of it.
static UNDER_WAY: Mutex<Option<(ProgressBar, String)>> = Mutex::new(None);

fn under_way() -> MutexGuard<'static, Option<(ProgressBar, String)>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says something on standard error, above the progress.
pub(crate) fn note(words: impl Display) {
    match under_way().as_ref() {
        Some((bar, _)) => bar.suspend(|| say(words)),
        None => say(words),
    }
}

/// That nobody reads it is no reason to end.
fn say(words: impl Display) {
    let _ = writeln!(io::stderr(), "nomic: {}", plain(&words.to_string()));
}

/// Something that takes a while. Its progress is shown on a terminal, and gone with the value.
pub(crate) struct Stage(ProgressBar);

impl Stage {
    /// Begins, where the one before ends. `interrupted` is what Ctrl-C says of it.
    pub(crate) fn begin(label: impl Into<String>, interrupted: impl Into<String>) -> Self {
        if let Some((before, _)) = under_way().as_ref() {
            before.finish_and_clear();
        }
        // Draws nothing where standard error is no terminal.
        let bar = ProgressBar::new_spinner().with_message(label.into());
        bar.set_style(style("{spinner} {wide_msg} {elapsed}"));
        bar.enable_steady_tick(Duration::from_millis(120));
        *under_way() = Some((bar.clone(), interrupted.into()));
        Self(bar)
    }

    /// Begins what is not to be done twice. `look` is how to see whether it was done.
    pub(crate) fn acting(doing: &str, look: &str) -> Self {
        Self::begin(doing, format!("{doing}: it may have been executed\n{look}"))
    }

    /// Shows a number of bytes.
    pub(crate) fn bytes(&self, done: u64, of: u64) {
        if self.0.length() != Some(of) {
            self.0.set_length(of);
            self.0.set_style(style("{spinner} {wide_msg} [{bar:24}] {bytes} of {total_bytes}, {bytes_per_sec}"));
        }
        self.0.set_position(done);
    }

    /// Changes what Ctrl-C says.
    pub(crate) fn interrupted(&self, words: impl Into<String>) {
        if let Some((_, interrupted)) = under_way().as_mut() {
            *interrupted = words.into();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        // Not if another stage has begun since.
        under_way().take_if(|(bar, _)| bar.is_finished());
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// From now on Ctrl-C says what becomes of what is under way, and ends with 130.
pub(crate) fn heed_ctrl_c() -> Result<(), Failure> {
    let heeded = ctrlc::set_handler(|| {
        // Held to the end: nothing else begins any more.
        let mut under_way = under_way();
        match under_way.take() {
            None => say("interrupted"),
            Some((bar, words)) => {
                bar.finish_and_clear();
                say(format_args!("interrupted; {words}"));
            }
        }
        std::process::exit(130);
    });
    heeded.map_err(|error| Failure::Local(format!("Ctrl-C cannot be heeded: {error}")))
}

/// Whether questions lead nowhere.
pub(crate) fn nobody_can_be_asked() -> bool {
    !io::stdin().is_terminal() || !io::stderr().is_terminal()
}

/// Asks before what cannot be undone; where nobody can be asked, `--yes` has to be given.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if nobody_can_be_asked() {
        return Err(Failure::Usage(format!("{question} Nobody can be asked here: give --yes if so")));
    }
    let _ = write!(io::stderr(), "{} [y/N] ", plain(question));
    let mut answer = String::new();
    let _ = io::stdin().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Local("nothing was done".to_owned())),
    }
}
