//! The findings as a page shows them: what each means, and the operations that prove it. Never more
//! than a person reads.

use std::fmt::Write;

use super::diagram;
use super::figures::{count, moment, span};
use super::html::escape;
use super::operations::{answered, asked, name, outcome};
use super::sequence::{self, Sequence};
use super::{Run, figures};
use crate::judge::{Anomaly, Finding};

/// How many findings are unfolded from the start.
const OPEN: usize = 3;

/// How many operations of a proof are shown.
const EVIDENCE: usize = 8;

/// How much is shown of a text.
const TEXT_CHARS: usize = 1_000;

/// The findings, worst first; the worst anomaly with its messages.
pub(super) fn section(run: &Run<'_>) -> String {
    if run.verdict.findings.is_empty() {
        return String::new();
    }
    let findings = run.verdict.findings.iter().enumerate();
    let told: String = findings.map(|(rank, finding)| told(run, finding, rank)).collect();
    format!("<section><h2>What was found, worst first</h2>{told}</section>\n")
}

fn told(run: &Run<'_>, finding: &Finding, rank: usize) -> String {
    let open = if rank < OPEN { " open" } else { "" };
    let mut html = format!(
        "<details class=\"finding\"{open}><summary><b>{}</b> <span class=\"times\">{}</span> \
         <span class=\"meaning\">{}</span></summary><ol>",
        escape(finding.name),
        count(finding.count),
        escape(finding.meaning)
    );
    for (i, anomaly) in finding.examples.iter().enumerate() {
        let diagram =
            if rank == 0 && i == 0 { messages_around(run, anomaly) } else { String::new() };
        let _ = write!(html, "<li>{}{diagram}</li>", example(run, anomaly));
    }
    html.push_str("</ol>");
    let untold = finding.count.saturating_sub(finding.examples.len() as u64);
    if untold > 0 {
        let _ = write!(html, "<p class=\"note\">… and {} more</p>", count(untold));
    }
    html + "</details>"
}

fn example(run: &Run<'_>, anomaly: &Anomaly) -> String {
    let key = anomaly.key.map(|key| format!(", {}", name(run.history, key))).unwrap_or_default();
    let mut html = format!(
        "<p>{} <span class=\"note\">at {}{}</span></p>",
        escape(&figures::shorten(&anomaly.text, TEXT_CHARS)),
        moment(anomaly.at_ns),
        escape(&key)
    );
    let rows: String =
        anomaly.evidence.iter().take(EVIDENCE).map(|&index| row(run, anomaly, index)).collect();
    if !rows.is_empty() {
        let _ = write!(
            html,
            "<div class=\"scroll\"><table class=\"evidence\"><thead><tr><th>operation</th>\
             <th>client, node</th><th>asked at</th><th>took</th><th></th><th>asked</th>\
             <th>answered (value@offset)</th></tr></thead><tbody>{rows}</tbody></table></div>"
        );
    }
    let untold = anomaly.evidence.len().saturating_sub(EVIDENCE);
    if untold > 0 {
        let _ = write!(html, "<p class=\"note\">… and {untold} more operations</p>");
    }
    html
}

fn row(run: &Run<'_>, anomaly: &Anomaly, index: usize) -> String {
    let Some(operation) = run.history.operations.get(index) else { return String::new() };
    let outcome = outcome(operation);
    format!(
        "<tr><td>{index}</td><td>c{} → n{}</td><td>{}</td><td>{}</td>\
         <td><b class=\"outcome {outcome}\">{outcome}</b></td><td>{}</td><td>{}</td></tr>",
        operation.process,
        operation.node,
        moment(operation.invoked),
        span(operation.completed.saturating_sub(operation.invoked)),
        escape(&asked(run.history, operation, anomaly.key)),
        escape(&answered(run.history, operation, anomaly.key))
    )
}

fn messages_around(run: &Run<'_>, anomaly: &Anomaly) -> String {
    let sequence = sequence::around(run, anomaly);
    let note = "Time runs downwards, not to scale. Strong arrows belong to the operations above.";
    messages(run, "The messages around it", note, &sequence)
}

/// A section with the first messages of a run, if there is nothing better to show.
pub(super) fn first_messages(run: &Run<'_>) -> String {
    let diagram = messages(
        run,
        "The first messages",
        "Time runs downwards, not to scale.",
        &sequence::first(run),
    );
    if diagram.is_empty() { diagram } else { format!("<section>{diagram}</section>\n") }
}

fn messages(run: &Run<'_>, title: &str, note: &str, sequence: &Sequence<'_>) -> String {
    if sequence.is_empty() {
        return String::new();
    }
    let svg = diagram::svg(sequence, &run.history.faults);
    format!(
        "<figure class=\"messages\"><figcaption><h3>{title}</h3><span class=\"note\">{note} Point at \
         one to read all of it.</span></figcaption><div class=\"scroll\">{svg}</div></figure>"
    )
}
