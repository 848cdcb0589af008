//! Telling a person: progress while a run goes on; then a verdict at a glance, `results.json` and
//! `report.html`. Never judges and never measures: it tells what others found.

mod anomalies;
mod charts;
mod diagram;
mod figures;
mod html;
mod operations;
mod page;
mod progress;
mod results;
mod summary;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use figures::plural;
pub use progress::Progress;
pub use summary::{summary, wants_colour};

use crate::history::{Crash, History};
use crate::judge::Verdict;
use crate::measure::{Measures, float, share};
use crate::network::{Counts, Traced};
use crate::time::{Nanos, seconds};

/// A run that is over, as it is told.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The name and value of each option of the workload, in the order in which they are shown.
    pub options: &'a [(String, String)],
    /// The command line, as it was given.
    pub command: &'a str,
    /// The seed of the schedule; none if it is not known.
    pub seed: Option<u64>,
    /// When it started, as text.
    pub started: &'a str,
    /// When the workload ended, since the start of the run; the final polls come after that.
    pub elapsed_ns: Nanos,
    /// How many nodes there were.
    pub node_count: usize,
    /// What happened.
    pub history: &'a History,
    /// What the judge says of it.
    pub verdict: &'a Verdict,
    /// What was measured.
    pub measures: &'a Measures,
    /// The messages; all 0 if they were not counted.
    pub counts: &'a Counts,
    /// The messages for the sequence diagram, in the order of their sending; may be empty.
    pub trace: &'a [Traced],
    /// The last lines that each node wrote to stderr, by node; may be empty.
    pub stderr_tails: &'a [String],
    /// The folder for `results.json` and `report.html`. It must exist.
    pub out: &'a Path,
}

impl Run<'_> {
    /// The command that makes the same schedule again. What stands after `--` is for the node, so the
    /// seed goes before it.
    pub fn command_again(&self) -> String {
        let (ours, nodes) = match self.command.split_once(" -- ") {
            Some((ours, nodes)) => (ours, format!(" -- {nodes}")),
            None => (self.command, String::new()),
        };
        match self.seed {
            Some(seed) if !ours.contains(" --seed") => format!("{ours} --seed {seed}{nodes}"),
            _ => self.command.to_owned(),
        }
    }

    /// `count` messages for each operation; none if nothing was counted.
    fn per_operation(&self, count: u64) -> Option<f64> {
        share(count, self.measures.all_operations.sum()).filter(|_| self.counts.all > 0)
    }

    /// Operations of the workload in a second.
    fn rate_per_s(&self) -> f64 {
        float(self.measures.workload_operations) / seconds(self.elapsed_ns.max(1))
    }

    /// The last lines that the node of a crash wrote to stderr, if there are any.
    fn stderr_of(&self, crash: &Crash) -> Option<&str> {
        let tail = self.stderr_tails.get(crash.node as usize)?.trim_end();
        (!tail.is_empty()).then_some(tail)
    }

    /// When the last that is known of the run happened.
    fn end(&self) -> Nanos {
        let ends = self.history.operations.iter().map(|operation| operation.completed_ns);
        ends.max().unwrap_or(0).max(self.elapsed_ns)
    }

    /// How many anomalies were found.
    fn anomaly_count(&self) -> u64 {
        self.verdict.findings.iter().map(|finding| finding.count).sum()
    }
}

/// Writes `results.json` and `report.html`, and returns the path of the latter.
///
/// # Errors
/// When a file cannot be written.
pub fn write_all(run: &Run<'_>) -> io::Result<PathBuf> {
    fs::write(run.out.join("results.json"), results::json(run)?)?;
    let path = report_path(run);
    fs::write(&path, page::html(run))?;
    Ok(path)
}

fn report_path(run: &Run<'_>) -> PathBuf {
    run.out.join("report.html")
}
