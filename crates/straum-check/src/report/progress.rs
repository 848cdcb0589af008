//! What a person sees while a run goes on. Never reads a clock: it is told how far the run is.

use std::io::{self, IsTerminal, Stderr, Write};

use super::figures::{count, shorten};
use crate::measure::float;
use crate::run::Snapshot;
use crate::time::{MILLISECOND, Nanos, SECOND, seconds};

fn completed(snapshot: &Snapshot) -> u64 {
    snapshot.ok + snapshot.fail + snapshot.info
}

/// `  12.0 s of 20 s   1,003/s   ok 12,034   fail 0   info 3   now: kill n1`. Before and after the
/// workload there is neither a limit nor a rate to hold: `  15.1 s   final polls   ok 12,034 …`.
fn progress_line(now: &Snapshot, rate_per_s: f64) -> String {
    let faults = if now.faults.is_empty() {
        String::new()
    } else {
        format!("   now: {}", now.faults.join(", "))
    };
    let how_far = if now.phase == "workload" {
        let rate = super::figures::three_digits(rate_per_s);
        format!("of {:.0} s   {rate:>7}/s", seconds(now.limit))
    } else {
        format!("  {}", now.phase)
    };
    format!(
        "{:6.1} s {how_far}   ok {}   fail {}   info {}{faults}",
        seconds(now.elapsed_ns),
        count(now.ok),
        count(now.fail),
        count(now.info),
    )
}

/// Shows progress: one line that is redrawn on a terminal, a line every few seconds elsewhere.
#[derive(Debug)]
pub struct Progress<W> {
    writer: W,
    redraws: bool,
    /// What was shown last.
    shown: Snapshot,
}

/// A line that wraps could not be redrawn.
const WIDTH_CHARS: usize = 79;

impl Progress<Stderr> {
    /// Progress on stderr.
    pub fn on_stderr() -> Self {
        let stderr = io::stderr();
        let redraws = stderr.is_terminal();
        Self::new(stderr, redraws)
    }
}

impl<W: Write> Progress<W> {
    /// Progress on `writer`, which takes `\r` for what it is if `redraws`.
    pub fn new(writer: W, redraws: bool) -> Self {
        Self { writer, redraws, shown: Snapshot::default() }
    }

    /// When the next line is due; [`show`](Self::show) shows nothing before.
    fn due(&self) -> Nanos {
        self.shown.elapsed_ns + if self.redraws { 200 * MILLISECOND } else { 5 * SECOND }
    }

    /// Shows how far the run is, if it is time to. That nobody may read it is no reason to stop.
    pub fn show(&mut self, now: &Snapshot) {
        if now.elapsed_ns < self.shown.elapsed_ns {
            // The workload has begun, and time counts from there.
            self.shown = Snapshot::default();
        }
        if now.elapsed_ns < self.due() {
            return;
        }
        let done = completed(now).saturating_sub(completed(&self.shown));
        let rate_per_s = float(done) / seconds(now.elapsed_ns - self.shown.elapsed_ns);
        let line = progress_line(now, rate_per_s);
        let _ = if self.redraws {
            write!(self.writer, "\r\x1b[K{}", shorten(&line, WIDTH_CHARS))
        } else {
            writeln!(self.writer, "{line}")
        };
        let _ = self.writer.flush();
        self.shown = now.clone();
    }

    /// Makes room for what is said next.
    pub fn clear(&mut self) {
        if self.redraws {
            let _ = write!(self.writer, "\r\x1b[K");
            let _ = self.writer.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(at_s: Nanos, ok: u64) -> Snapshot {
        Snapshot {
            elapsed_ns: at_s * SECOND,
            limit: 20 * SECOND,
            phase: "workload",
            ok,
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_line_tells_the_rate_and_the_faults() {
        let mut now = snapshot(12, 12_034);
        now.faults = vec!["partition n0 | n1 n2".to_owned(), "pause n1".to_owned()];
        assert_eq!(
            progress_line(&now, 1_003.4),
            "  12.0 s of 20 s     1,003/s   ok 12,034   fail 0   info 0   \
             now: partition n0 | n1 n2, pause n1"
        );
    }

    #[test]
    fn outside_the_workload_the_phase_is_told_and_no_limit() {
        let mut now = snapshot(25, 7);
        now.phase = "final polls";
        assert_eq!(progress_line(&now, 0.599), "  25.0 s   final polls   ok 7   fail 0   info 0");
    }

    #[test]
    fn a_long_start_does_not_hide_the_workload() {
        let mut progress = Progress::new(Vec::new(), false);
        progress.show(&Snapshot { phase: "starting", ..snapshot(9, 0) });
        for second in 1..=6 {
            progress.show(&snapshot(second, second * 100));
        }
        let text = String::from_utf8(progress.writer).unwrap();
        assert!(text.contains("starting") && text.contains("5.0 s of 20 s       100/s"), "{text}");
    }

    #[test]
    fn without_a_terminal_there_is_a_line_every_five_seconds() {
        let mut progress = Progress::new(Vec::new(), false);
        for second in 1..=11 {
            progress.show(&snapshot(second, second * 100));
        }
        let text = String::from_utf8(progress.writer).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("10.0 s of 20 s       100/s   ok 1,000"), "{text}");
    }

    #[test]
    fn on_a_terminal_a_line_is_redrawn_and_never_wraps() {
        let mut progress = Progress::new(Vec::new(), true);
        let mut now = snapshot(1, 7);
        now.faults = vec!["kill n1".to_owned(); 20];
        progress.show(&now);
        let text = String::from_utf8(progress.writer).unwrap();
        let line = text.strip_prefix("\r\x1b[K").unwrap();
        assert!(!line.contains('\n') && line.chars().count() == 79, "{line}");
    }
}
