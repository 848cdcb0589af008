//! `straum-check analyze`: judges a stored history again. Never runs a node.

use std::fs::{self, File};
use std::io::BufReader;

use anyhow::{Context, Result};
use straum_check::history;
use straum_check::judge::{self, Demands};
use straum_check::measure::measure;
use straum_check::network::Counts;
use straum_check::report;

use crate::args::Analyze;
use crate::{Ended, store, tell};

pub(crate) fn run(options: &Analyze) -> Result<Ended> {
    let path = &options.history;
    let named = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(named)?;
    let history = history::file::read(BufReader::new(file)).with_context(named)?;
    let beside = path.with_file_name("analysis");
    let folder = options.out.as_deref().unwrap_or(&beside);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let verdict = judge::judge(&history, &Demands { availability: options.availability });
    let operations = history.operations.iter();
    let workload = operations.clone().filter(|operation| !operation.last);
    let run = report::Run {
        options: &[("history".into(), path.display().to_string())],
        command: &tell::command(),
        seed: None,
        started: &store::now(),
        elapsed_ns: workload.map(|operation| operation.completed_ns).max().unwrap_or(0),
        node_count: operations.map(|operation| operation.node as usize + 1).max().unwrap_or(0),
        history: &history,
        verdict: &verdict,
        measures: &measure(&history),
        counts: &Counts::default(),
        trace: &[],
        stderr_tails: &[],
        out: folder,
    };
    report::write_all(&run).context("cannot write the report")?;
    tell::show(&run, options.json)?;
    Ok(if history.crash.is_some() { Ended::Crashed } else { Ended::Judged(verdict.validity) })
}
