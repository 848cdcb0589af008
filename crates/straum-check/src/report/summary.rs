//! The end of a run on the terminal: a verdict at a glance, and what is behind it. Never more than
//! some forty lines.

use std::io::IsTerminal;

use super::figures::{count, percent, plural, plural_of, shorten, span, span_ms, three_digits};
use super::{Run, report_path};
use crate::history::Crash;
use crate::judge::{Finding, Validity};
use crate::measure::{Latency, OperationKind, Outcomes};

/// How many examples are told of the first, the second, … finding; others are only named.
const EXAMPLES: [usize; 6] = [3, 2, 1, 1, 1, 1];

/// How long a line of a finding may be.
const LINE_CHARS: usize = 160;

/// Whether what goes to `stream` should be coloured: it is a terminal, and `NO_COLOR` is unset or
/// empty (<https://no-color.org>).
pub fn wants_colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The run in about forty lines, the last one ended.
pub fn summary(run: &Run<'_>, colour: bool) -> String {
    let mut lines = vec![String::new(), verdict(run, colour), String::new()];
    lines.extend(findings(run));
    lines.extend(operations(run));
    lines.push(String::new());
    lines.extend(facts(run));
    lines.push(String::new());
    lines.push(format!("report      {}", report_path(run).display()));
    lines.push(format!("once more   {}", run.command_again()));
    lines.join("\n") + "\n"
}

fn verdict(run: &Run<'_>, colour: bool) -> String {
    let (word, escape) = match run.verdict.validity {
        _ if run.history.crash.is_some() => (" CRASHED ", "\x1b[1;97;41m"),
        Validity::Valid => (" VALID ", "\x1b[1;30;42m"),
        Validity::Invalid => (" INVALID ", "\x1b[1;97;41m"),
        Validity::Unknown => (" UNKNOWN ", "\x1b[1;30;43m"),
    };
    let word = if colour { format!("{escape}{word}\x1b[0m") } else { format!("[{word}]") };
    format!("{word}  {}", sentence(run))
}

/// The verdict, after its word.
pub(super) fn sentence(run: &Run<'_>) -> String {
    match &run.history.crash {
        Some(crash) => crashed(run, crash),
        None => judged(run),
    }
}

/// What ended the run; then what was found until then.
fn crashed(run: &Run<'_>, crash: &Crash) -> String {
    let text = one_line(&crash.text);
    let found = match run.anomaly_count() {
        0 => String::new(),
        anomalies => format!("; {} found", plural_of(anomalies, "anomaly", "anomalies")),
    };
    format!("n{} {text} after {}{found}", crash.node, span(run.end()))
}

fn judged(run: &Run<'_>) -> String {
    let what = match (run.verdict.validity, run.anomaly_count()) {
        (Validity::Unknown, _) => "too little was seen to say that there is no anomaly".to_owned(),
        (Validity::Valid, _) => "no anomaly".to_owned(),
        (Validity::Invalid, anomalies) => plural_of(anomalies, "anomaly", "anomalies"),
    };
    format!(
        "{what} in {} on {}, {} of workload",
        plural(run.measures.all_operations.sum(), "operation"),
        plural(run.node_count as u64, "node"),
        span(run.elapsed_ns)
    )
}

fn findings(run: &Run<'_>) -> Vec<String> {
    let findings = &run.verdict.findings;
    let mut lines: Vec<String> =
        findings.iter().zip(EXAMPLES).flat_map(|(finding, most)| told(finding, most)).collect();
    if let Some(rest) = findings.get(EXAMPLES.len()..).filter(|rest| !rest.is_empty()) {
        let names: Vec<String> = rest
            .iter()
            .map(|finding| format!("{} ({})", finding.name, count(finding.count)))
            .collect();
        lines.push(shorten(&format!("also: {}", names.join(", ")), LINE_CHARS));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

fn told(finding: &Finding, most: usize) -> Vec<String> {
    let title = format!("{} ({}): {}", finding.name, count(finding.count), finding.meaning);
    let examples = finding.examples.iter().take(most);
    let lines = examples.map(|anomaly| format!("  - {}", one_line(&anomaly.text)));
    std::iter::once(one_line(&title)).chain(lines).collect()
}

fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    shorten(&text, LINE_CHARS)
}

fn operations(run: &Run<'_>) -> Vec<String> {
    let measures = run.measures;
    let mut lines =
        vec![row("", ["ok", "fail", "info", "p50", "p95", "p99", "max"].map(String::from))];
    for kind in OperationKind::ALL {
        let outcomes = measures.operations.get(&kind).copied().unwrap_or_default();
        if outcomes.sum() > 0 {
            lines.push(operation_row(kind.name(), outcomes, measures.latencies.get(&kind)));
        }
    }
    let all = operation_row("all", measures.all_operations, None);
    let share = measures.ok_fraction.map_or("none".to_owned(), percent);
    lines.push(format!("{}   {share} ok", all.trim_end()));
    lines
}

fn operation_row(name: &str, outcomes: Outcomes, latency: Option<&Latency>) -> String {
    let [ok, fail, info] = [outcomes.ok, outcomes.fail, outcomes.info].map(count);
    let [p50, p95, p99, max] = match latency {
        Some(latency) => {
            [latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms].map(span_ms)
        }
        None => Default::default(),
    };
    row(name, [ok, fail, info, p50, p95, p99, max])
}

fn row(name: &str, cells: [String; 7]) -> String {
    let cells = cells.map(|cell| format!("{cell:>11}")).concat();
    format!("{name:<9}{cells}").trim_end().to_owned()
}

fn facts(run: &Run<'_>) -> Vec<String> {
    let mut lines = vec![rate(run)];
    let per = |count| run.per_operation(count).map(three_digits);
    let counts = run.counts;
    if let (Some(all), Some(clients), Some(servers)) =
        (per(counts.all), per(counts.clients), per(counts.servers))
    {
        lines.push(format!(
            "messages    {}; per operation {all}: {clients} with clients, {servers} among servers",
            count(counts.all)
        ));
    }
    lines.push(match &run.measures.worst_lag {
        None => "worst lag   none: every poll was up to date".to_owned(),
        Some(lag) => format!(
            "worst lag   {} (operation {}, key {})",
            span_ms(lag.lag_ms),
            lag.operation,
            shorten(&lag.key, 24)
        ),
    });
    lines.push(format!("faults      {}", faults(run)));
    lines
}

/// How busy the workload was, and how many operations came after it.
fn rate(run: &Run<'_>) -> String {
    let measures = run.measures;
    let last = measures.all_operations.sum().saturating_sub(measures.workload_operations);
    let after = match last {
        0 => String::new(),
        last => format!(", then {} in the final polls", plural(last, "operation")),
    };
    format!(
        "workload    {} in {}: {} a second{after}",
        plural(measures.workload_operations, "operation"),
        span(run.elapsed_ns),
        three_digits(run.rate_per_s())
    )
}

/// How many faults of which kind: `2 kills, 1 partition`.
pub(super) fn faults(run: &Run<'_>) -> String {
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    for fault in &run.history.faults {
        *counts.entry(&fault.kind).or_default() += 1;
    }
    let texts: Vec<String> = counts.into_iter().map(|(kind, count)| plural(count, kind)).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}
