//! What a person sees while runs go on, on stderr. Never on stdout, which is the report's.

use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use crate::load::figures::Figure;
use crate::load::report::short;

const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// A line for each run when it is done; on a terminal also how far it is.
pub(crate) struct Progress {
    redraws: bool,
    run: String,
    shown: Instant,
}

impl Progress {
    pub(crate) fn on_stderr() -> Self {
        Self { redraws: io::stderr().is_terminal(), run: String::new(), shown: Instant::now() }
    }

    /// A run has begun.
    pub(crate) fn begin(&mut self, run: String) {
        self.run = run;
        self.redraw("");
    }

    /// The run is so far with what takes a while.
    pub(crate) fn show(&mut self, doing: &str, done: u64, all: u64) {
        if self.redraws && self.shown.elapsed() >= REDRAW_EVERY {
            self.redraw(&format!("{doing} {done} of {all}"));
        }
    }

    /// The run is done.
    pub(crate) fn done(&mut self, figures: &[Figure]) {
        let told: Vec<_> =
            figures.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect();
        self.clear();
        writeln!(io::stderr(), "{}  {}", self.run, told.join("  ")).ok();
    }

    fn redraw(&mut self, what: &str) {
        self.clear();
        if self.redraws {
            write!(io::stderr(), "{}  {what}", self.run).ok();
        }
        self.shown = Instant::now();
    }

    fn clear(&self) {
        if self.redraws {
            write!(io::stderr(), "\r\x1b[K").ok();
        }
    }
}

/// A failure is told on a line of its own.
impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
