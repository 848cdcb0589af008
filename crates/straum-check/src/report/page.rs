//! `report.html`: one file that needs nothing else. Never longer than a person wants to read.

use std::fmt::Write;

use super::diagram::sequence;
use super::figures::{count, moment, percent, plural, shorten, span, span_ms, three_digits};
use super::html::escape;
use super::summary::{faults, sentence};
use super::{Run, anomalies, charts};
use crate::history::Violation;
use crate::judge::Validity;
use crate::measure::OperationKind;

/// How many violations and faults are listed.
const LISTED: usize = 20;

/// How many characters of a node's stderr are shown.
const STDERR_CHARS: usize = 8_000;

/// How many of its last lines are shown beside a crash.
const LAST_WORDS: usize = 12;

/// The page.
pub(super) fn html(run: &Run<'_>) -> String {
    let around_worst = sequence::around_worst(run);
    let worst_first = anomalies::section(run, &around_worst);
    let first_messages = if around_worst.messages.is_empty() {
        anomalies::first_messages(run)
    } else {
        String::new()
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{} - straum-check</title><style>{}</style></head>\n<body><main>\n\
         {}{}{worst_first}{}{}{}{}{first_messages}{}</main>\n<div id=\"reader\" hidden></div>\
         <script>{}</script></body></html>\n",
        word(run).1,
        include_str!("page.css"),
        header(run),
        tiles(run),
        charts(run),
        operations(run),
        violations(run),
        fault_list(run),
        stderr(run),
        include_str!("page.js")
    )
}

/// The verdict's CSS class and word.
fn word(run: &Run<'_>) -> (&'static str, &'static str) {
    match run.verdict.validity {
        _ if run.history.crash.is_some() => ("crashed", "Crashed"),
        Validity::Valid => ("valid", "Valid"),
        Validity::Invalid => ("invalid", "Invalid"),
        Validity::Unknown => ("unknown", "Unknown"),
    }
}

fn header(run: &Run<'_>) -> String {
    let (class, word) = word(run);
    let seed = run.seed.map_or("unknown".to_owned(), |seed| seed.to_string());
    let mut options = String::new();
    for (name, value) in run.options {
        let _ = write!(options, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    format!(
        "<header class=\"{class}\"><h1>{word}</h1><p class=\"sentence\">{}</p>{}\
         <p class=\"note\">Started {} · seed {seed}</p><pre><code>{}</code></pre>\
         <details><summary>Options</summary><dl>{options}</dl></details></header>\n",
        escape(&sentence(run)),
        last_words(run),
        escape(run.started),
        escape(&run.command_again())
    )
}

/// What the node of a crash said last.
fn last_words(run: &Run<'_>) -> String {
    let told = run.history.crash.as_ref().and_then(|crash| Some((crash, run.stderr_of(crash)?)));
    let Some((crash, tail)) = told else { return String::new() };
    let skipped = tail.lines().count().saturating_sub(LAST_WORDS);
    let lines: Vec<&str> = tail.lines().skip(skipped).collect();
    format!(
        "<p class=\"note\">The last that n{} wrote to stderr:</p><pre><code>{}</code></pre>",
        crash.node,
        escape(last_chars(&lines.join("\n"), STDERR_CHARS))
    )
}

fn tiles(run: &Run<'_>) -> String {
    let measures = run.measures;
    let all = measures.all_operations;
    let latency = |kind: OperationKind| match measures.latencies.get(&kind) {
        Some(latency) => (span_ms(latency.p99_ms), format!("p50 {}", span_ms(latency.p50_ms))),
        None => ("none".to_owned(), "no good answer".to_owned()),
    };
    let (send_p99, send_p50) = latency(OperationKind::Send);
    let (poll_p99, poll_p50) = latency(OperationKind::Poll);
    let mut html = String::from("<div class=\"tiles\">");
    let rate = format!("{} a second in the workload", three_digits(run.rate_per_s()));
    tile(&mut html, "operations", &count(all.sum()), &rate);
    tile(
        &mut html,
        "ok",
        &measures.ok_fraction.map_or("none".to_owned(), percent),
        &format!("{} fail, {} info", count(all.fail), count(all.info)),
    );
    tile(&mut html, "send p99", &send_p99, &send_p50);
    tile(&mut html, "poll p99", &poll_p99, &poll_p50);
    lag_tile(&mut html, run);
    message_tile(&mut html, run);
    let nodes = plural(run.node_count as u64, "node");
    tile(&mut html, "faults", &count(run.history.faults.len() as u64), &fault_words(run, &nodes));
    html + "</div>\n"
}

fn fault_words(run: &Run<'_>, nodes: &str) -> String {
    if run.history.faults.is_empty() { nodes.to_owned() } else { faults(run) }
}

fn tile(html: &mut String, name: &str, figure: &str, note: &str) {
    let _ = write!(
        html,
        "<div class=\"tile\"><span>{}</span><b>{}</b><small>{}</small></div>",
        escape(name),
        escape(figure),
        escape(note)
    );
}

fn lag_tile(html: &mut String, run: &Run<'_>) {
    match &run.measures.worst_lag {
        Some(lag) => {
            let note = format!("operation {}, key {}", lag.operation, shorten(&lag.key, 16));
            tile(html, "worst lag", &span_ms(lag.lag_ms), &note);
        }
        None => tile(html, "worst lag", "0", "every poll was up to date"),
    }
}

fn message_tile(html: &mut String, run: &Run<'_>) {
    let counts = run.counts;
    let per = |count| run.per_operation(count).map(three_digits);
    if let (Some(all), Some(servers)) = (per(counts.all), per(counts.servers)) {
        let note = format!("{servers} among servers");
        tile(html, "messages per op", &all, &note);
    }
}

fn charts(run: &Run<'_>) -> String {
    format!(
        "<section><h2>Over time</h2>{}<div class=\"grid\">{}{}{}</div></section>\n",
        fault_legend(run),
        charts::rate::figure_of(run),
        charts::lag::figure_of(run),
        charts::latency::figures(run)
    )
}

/// What the shades mean; empty without faults.
fn fault_legend(run: &Run<'_>) -> String {
    let mut kinds: Vec<&str> = run.history.faults.iter().map(|fault| fault.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() {
        return String::new();
    }
    let entries: Vec<(String, &str)> = kinds
        .into_iter()
        .map(|kind| (format!("shade {}", charts::fault_class(kind)), kind))
        .collect();
    let entries: Vec<(&str, &str)> =
        entries.iter().map(|(class, kind)| (class.as_str(), *kind)).collect();
    format!("<div class=\"note\">Shaded while active: {}</div>", super::html::legend(&entries))
}

fn operations(run: &Run<'_>) -> String {
    let measures = run.measures;
    let mut rows = String::new();
    for kind in OperationKind::ALL {
        let outcomes = measures.operations.get(&kind).copied().unwrap_or_default();
        let latency = measures.latencies.get(&kind);
        let _ = write!(rows, "<tr><th scope=\"row\">{}</th>", kind.name());
        for number in [outcomes.ok, outcomes.fail, outcomes.info] {
            let _ = write!(rows, "<td>{}</td>", count(number));
        }
        let spans = latency.map(|l| [l.p50_ms, l.p95_ms, l.p99_ms, l.max_ms].map(span_ms));
        for span in spans.unwrap_or_default() {
            let _ = write!(rows, "<td>{span}</td>");
        }
        rows.push_str("</tr>");
    }
    let table = format!(
        "<table class=\"figures\"><thead><tr><th></th><th>ok</th><th>fail</th><th>info</th>\
         <th>p50</th><th>p95</th><th>p99</th><th>max</th></tr></thead><tbody>{rows}</tbody></table>"
    );
    format!(
        "<section><h2>In sum</h2><div class=\"grid\">{}{}</div></section>\n",
        super::html::figure("Operations and their latencies", "", &table),
        charts::bars::messages_by_kind(run)
    )
}

fn violations(run: &Run<'_>) -> String {
    let violations = &run.history.violations;
    let rows: String = violations.iter().take(LISTED).map(violation).collect();
    let head = "<th>at</th><th>node</th><th>line</th><th>rule</th><th>what is wrong</th>\
                <th>the line</th>";
    listed("Lines that broke the protocol", violations.len(), head, &rows, "open")
}

fn violation(violation: &Violation) -> String {
    format!(
        "<tr><td>{}</td><td>n{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
        moment(violation.at_ns),
        violation.node,
        count(violation.line_number),
        violation.rule.name(),
        escape(&shorten(&violation.text, 300)),
        escape(&shorten(&violation.line, 200))
    )
}

fn fault_list(run: &Run<'_>) -> String {
    let faults = &run.history.faults;
    let mut rows = String::new();
    for fault in faults.iter().take(LISTED) {
        let length = fault
            .until_ns
            .map_or("to the end".to_owned(), |until| span(until.saturating_sub(fault.from_ns)));
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{length}</td><td>{}</td><td>{}</td></tr>",
            moment(fault.from_ns),
            escape(&fault.kind),
            escape(&shorten(&fault.detail, 200))
        );
    }
    listed("Faults", faults.len(), "<th>at</th><th>for</th><th>kind</th><th>whom</th>", &rows, "")
}

/// A table that can be folded away; empty without rows.
fn listed(title: &str, number: usize, head: &str, rows: &str, open: &str) -> String {
    if number == 0 {
        return String::new();
    }
    let untold = match number.saturating_sub(LISTED) {
        0 => String::new(),
        untold => format!("<p class=\"note\">… and {} more</p>", count(untold as u64)),
    };
    format!(
        "<section><details {open}><summary><b>{title}</b> <span class=\"times\">{}</span></summary>\
         <div class=\"scroll\"><table class=\"evidence\"><thead><tr>{head}</tr></thead><tbody>{rows}\
         </tbody></table></div>{untold}</details></section>\n",
        count(number as u64)
    )
}

fn stderr(run: &Run<'_>) -> String {
    let mut html = String::new();
    for (node, tail) in run.stderr_tails.iter().enumerate().take(LISTED) {
        if !tail.trim().is_empty() {
            let _ = write!(
                html,
                "<section><details><summary><b>The last lines that n{node} wrote to stderr</b></summary>\
                 <pre><code>{}</code></pre></details></section>",
                escape(last_chars(tail.trim_end(), STDERR_CHARS))
            );
        }
    }
    html
}

fn last_chars(text: &str, most: usize) -> &str {
    let start = text.char_indices().rev().nth(most.saturating_sub(1)).map_or(0, |(start, _)| start);
    &text[start..]
}
