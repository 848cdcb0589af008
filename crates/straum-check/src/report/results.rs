//! `results.json`: the run for programs, under the names of `docs/results.md`. Never without its
//! units, and never a name that changes.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::Run;
use crate::history::{Crash, Fault, Violation};
use crate::judge::{Finding, Validity};
use crate::measure::{Lag, Latency, OperationKind, Outcomes, Series};
use crate::time::{Nanos, seconds};

/// The number of this form; another one when a name changes its meaning or goes away.
const FORMAT: u32 = 1;

/// How many violations are told with their line.
const VIOLATIONS: usize = 20;

#[derive(Serialize)]
struct Results<'a> {
    format: u32,
    verdict: Validity,
    findings: Vec<ToldFinding<'a>>,
    command: &'a str,
    command_again: String,
    seed: Option<u64>,
    started: &'a str,
    elapsed_s: f64,
    operations_per_s: f64,
    node_count: usize,
    options: BTreeMap<&'a str, &'a str>,
    finished: bool,
    crash: Option<&'a Crash>,
    operations: &'a BTreeMap<OperationKind, Outcomes>,
    all_operations: Outcomes,
    workload_operations: u64,
    ok_fraction: Option<f64>,
    latencies: &'a BTreeMap<OperationKind, Latency>,
    worst_lag: Option<&'a Lag>,
    messages: Messages<'a>,
    faults: &'a [Fault],
    violation_count: usize,
    violations: &'a [Violation],
    series: &'a Series,
}

#[derive(Serialize)]
struct ToldFinding<'a> {
    name: &'a str,
    meaning: &'a str,
    count: u64,
    examples: Vec<Example<'a>>,
}

#[derive(Serialize)]
struct Example<'a> {
    text: &'a str,
    key: Option<&'a str>,
    at_ns: Nanos,
    evidence: &'a [usize],
}

#[derive(Serialize)]
struct Messages<'a> {
    all: u64,
    clients: u64,
    servers: u64,
    all_per_operation: Option<f64>,
    clients_per_operation: Option<f64>,
    servers_per_operation: Option<f64>,
    by_kind: &'a BTreeMap<String, u64>,
}

/// The text of `results.json`.
pub(super) fn json(run: &Run<'_>) -> io::Result<String> {
    let mut text = serde_json::to_string(&results(run))?;
    text.push('\n');
    Ok(text)
}

fn results<'a>(run: &Run<'a>) -> Results<'a> {
    let (history, measures) = (run.history, run.measures);
    Results {
        format: FORMAT,
        verdict: run.verdict.validity,
        findings: run.verdict.findings.iter().map(|finding| told(run, finding)).collect(),
        command: run.command,
        command_again: run.command_again(),
        seed: run.seed,
        started: run.started,
        elapsed_s: seconds(run.elapsed_ns),
        operations_per_s: run.rate_per_s(),
        node_count: run.node_count,
        options: run.options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        finished: history.finished,
        crash: history.crash.as_ref(),
        operations: &measures.operations,
        all_operations: measures.all_operations,
        workload_operations: measures.workload_operations,
        ok_fraction: measures.ok_fraction,
        latencies: &measures.latencies,
        worst_lag: measures.worst_lag.as_ref(),
        messages: messages(run),
        faults: &history.faults,
        violation_count: history.violations.len(),
        violations: &history.violations[..history.violations.len().min(VIOLATIONS)],
        series: &measures.series,
    }
}

fn told<'a>(run: &Run<'a>, finding: &'a Finding) -> ToldFinding<'a> {
    let key_name = |key: u32| run.history.keys.get(key as usize).map(String::as_str);
    let examples = finding.examples.iter().map(|anomaly| Example {
        text: &anomaly.text,
        key: anomaly.key.and_then(key_name),
        at_ns: anomaly.at_ns,
        evidence: &anomaly.evidence,
    });
    ToldFinding {
        name: finding.name,
        meaning: finding.meaning,
        count: finding.count,
        examples: examples.collect(),
    }
}

fn messages<'a>(run: &Run<'a>) -> Messages<'a> {
    let counts = run.counts;
    Messages {
        all: counts.all,
        clients: counts.clients,
        servers: counts.servers,
        all_per_operation: run.per_operation(counts.all),
        clients_per_operation: run.per_operation(counts.clients),
        servers_per_operation: run.per_operation(counts.servers),
        by_kind: &counts.by_kind,
    }
}
