//! `straum-check test`: runs nodes, judges what clients saw, and tells. Never decides what is wrong.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use straum_check::cluster::process::{Processes, StderrSettings};
use straum_check::history;
use straum_check::judge::{self, Demands};
use straum_check::measure::measure;
use straum_check::network::NetworkSettings;
use straum_check::report;
use straum_check::run::{self, Record, Settings};
use straum_check::time::from_seconds;

use crate::args::Test;
use crate::console::Console;
use crate::{Ended, store, tell};

/// How many messages are kept for the report's diagram.
const TRACED_MESSAGES: usize = 200_000;

pub(crate) fn run(options: &Test) -> Result<Ended> {
    let started = store::now();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let folder = store::folder(options.out.as_deref(), &started)
        .context("cannot make a folder for the results")?;
    let settings = settings(options, seed);
    say(&format!(
        "{} on {}, {}, {} operations/s for {} s, seed {seed}, in {}",
        options.bin.display(),
        report::plural(settings.node_count as u64, "node"),
        report::plural(settings.concurrency as u64, "client"),
        settings.rate,
        options.time_limit,
        folder.display(),
    ));
    let stderr = StderrSettings { log_dir: Some(folder.clone()), echo: options.log_stderr };
    let mut nodes = Processes::new(
        options.bin.clone(),
        options.node_args.clone(),
        settings.node_count,
        &stderr,
    )
    .context("cannot prepare the nodes")?;
    let mut console = Console::new(options.log_net_send, options.log_net_recv)?;
    let record = run::run(&settings, &mut nodes, &mut console).context("the run failed")?;
    console.clear();
    let tails: Vec<String> =
        (0..settings.node_count).map(|node| nodes.stderr_tail(node).join("\n")).collect();
    drop(nodes);
    judge_and_tell(options, &settings, &started, &folder, &record, &tails)
}

fn settings(options: &Test, seed: u64) -> Settings {
    Settings {
        node_count: options.node_count,
        concurrency: options.concurrency.of(options.node_count),
        time_limit_ns: from_seconds(options.time_limit),
        rate: options.rate,
        network: NetworkSettings {
            latency: from_seconds(options.latency / 1_000.0),
            distribution: options.latency_dist.into(),
            loss: 0.0,
            duplication: 0.0,
            trace_limit: TRACED_MESSAGES,
        },
        faults: options.nemesis.clone(),
        fault_interval_ns: from_seconds(options.nemesis_interval),
        key_count: options.key_count,
        max_writes_per_key: options.max_writes_per_key,
        seed,
    }
}

fn judge_and_tell(
    options: &Test,
    settings: &Settings,
    started: &str,
    folder: &Path,
    record: &Record,
    tails: &[String],
) -> Result<Ended> {
    write_history(&record.history, folder).context("cannot write the history")?;
    let verdict = judge::judge(&record.history, &Demands { availability: options.availability });
    let run = report::Run {
        options: &shown_options(options, settings),
        command: &tell::command(),
        seed: Some(settings.seed),
        started,
        elapsed_ns: record.elapsed_ns,
        node_count: settings.node_count,
        history: &record.history,
        verdict: &verdict,
        measures: &measure(&record.history),
        counts: &record.counts,
        trace: &record.trace,
        stderr_tails: tails,
        out: folder,
    };
    report::write_all(&run).context("cannot write the report")?;
    tell::show(&run, options.json)?;
    if let Some(crash) = &record.history.crash {
        let tail = tails.get(crash.node as usize).map_or("", String::as_str);
        say(&format!("n{} {}", crash.node, crash.text));
        if !tail.is_empty() {
            say(&format!("the last it wrote to stderr:\n{tail}"));
        }
        return Ok(Ended::Crashed);
    }
    Ok(Ended::Judged(verdict.validity))
}

fn write_history(history: &history::History, folder: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(folder.join("history.jsonl"))?);
    history::file::write(history, &mut file)?;
    file.flush()
}

fn shown_options(options: &Test, settings: &Settings) -> Vec<(String, String)> {
    let faults: Vec<&str> = options.nemesis.iter().map(|kind| kind.name()).collect();
    [
        ("workload", options.workload.clone()),
        ("bin", options.bin.display().to_string()),
        ("nodes", settings.node_count.to_string()),
        ("clients", settings.concurrency.to_string()),
        ("time limit", format!("{} s", options.time_limit)),
        ("rate", format!("{}/s", options.rate)),
        ("latency", format!("{} ms, {:?}", options.latency, options.latency_dist).to_lowercase()),
        ("faults", if faults.is_empty() { "none".into() } else { faults.join(", ") }),
        ("keys at a time", options.key_count.to_string()),
        ("writes per key", options.max_writes_per_key.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn say(text: &str) {
    writeln!(io::stderr(), "straum-check: {text}").ok();
}
