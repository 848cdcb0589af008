//! The findings as a page shows them: what each means, and the operations that prove it. Never more
//! than a person reads.

use std::fmt::Write;
use std::ops::Range;

use super::diagram;
use super::diagram::sequence::{self, Around, Shown};
use super::figures::{count, moment, span};
use super::html::escape;
use super::operations::{answered, asked, name, outcome};
use super::{Run, figures};
use crate::judge::{Anomaly, Finding};

/// How many findings are unfolded from the start.
const OPEN: usize = 3;

/// How many operations of a proof are shown.
const EVIDENCE: usize = 8;

/// How many examples of a finding are shown from the start.
const OPEN_EXAMPLES: usize = 2;

/// How much is shown of a text.
const TEXT_CHARS: usize = 1_000;

/// The findings, worst first; the worst anomaly with its messages.
pub(super) fn section(run: &Run<'_>, around_worst: &Around) -> String {
    if run.verdict.findings.is_empty() {
        return String::new();
    }
    let findings = run.verdict.findings.iter().enumerate();
    let diagram = messages_around(run, around_worst);
    let told: String = findings
        .map(|(rank, finding)| told(run, finding, rank, if rank == 0 { &diagram } else { "" }))
        .collect();
    format!("<section><h2>What was found, worst first</h2>{told}</section>\n")
}

/// A finding, with `diagram` under its first example.
fn told(run: &Run<'_>, finding: &Finding, rank: usize, diagram: &str) -> String {
    let open = if rank < OPEN { " open" } else { "" };
    let mut html = format!(
        "<details class=\"finding\"{open}><summary><b>{}</b> <span class=\"times\">{}</span> \
         <span class=\"meaning\">{}</span></summary>",
        escape(finding.name),
        count(finding.count),
        escape(finding.meaning)
    );
    let open = finding.examples.len().min(OPEN_EXAMPLES);
    html.push_str(&examples(run, finding, 0..open, diagram));
    let folded = finding.examples.len() - open;
    if folded > 0 {
        let rest = examples(run, finding, open..finding.examples.len(), "");
        let _ = write!(
            html,
            "<details class=\"more\"><summary>{folded} more in full</summary>{rest}</details>"
        );
    }
    let untold = finding.count.saturating_sub(finding.examples.len() as u64);
    if untold > 0 {
        let _ = write!(html, "<p class=\"note\">… and {} more</p>", count(untold));
    }
    html + "</details>"
}

/// Some examples, numbered by their place among all, with `diagram` under the first of them.
fn examples(run: &Run<'_>, finding: &Finding, shown: Range<usize>, diagram: &str) -> String {
    let mut html = format!("<ol start=\"{}\">", shown.start + 1);
    for (place, anomaly) in finding.examples[shown].iter().enumerate() {
        let diagram = if place == 0 { diagram } else { "" };
        let _ = write!(html, "<li>{}{diagram}</li>", example(run, anomaly));
    }
    html + "</ol>"
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
        moment(operation.invoked_ns),
        span(operation.completed_ns.saturating_sub(operation.invoked_ns)),
        escape(&asked(run.history, operation, anomaly.key)),
        escape(&answered(run.history, operation, anomaly.key))
    )
}

fn messages_around(run: &Run<'_>, around: &Around) -> String {
    let untold = match (around.retold, run.trace.is_empty()) {
        (false, _) => "",
        (true, true) => " Drawn from the history, which has no messages among servers.",
        (true, false) => {
            " Drawn from what the clients saw: messages among servers were not kept that late."
        }
    };
    let note = format!(
        "Time runs downwards, not to scale. Strong arrows belong to the operations above.{untold}"
    );
    messages(run, "The messages around it", &note, &around.messages)
}

/// A section with the first messages of a run, if there is nothing better to show.
pub(super) fn first_messages(run: &Run<'_>) -> String {
    let why = if run.verdict.findings.is_empty() {
        ""
    } else {
        " The worst anomaly names no request to a node that could be drawn."
    };
    let note = format!("Time runs downwards, not to scale.{why}");
    let diagram = messages(run, "The first messages", &note, &sequence::first(run));
    if diagram.is_empty() { diagram } else { format!("<section>{diagram}</section>\n") }
}

fn messages(run: &Run<'_>, title: &str, note: &str, sequence: &[Shown]) -> String {
    if sequence.is_empty() {
        return String::new();
    }
    let svg = diagram::svg(sequence, &run.history.faults);
    format!(
        "<figure class=\"messages\"><figcaption><h3>{title}</h3></figcaption>\
         <div class=\"scroll\">{svg}</div><p class=\"note\">{note} Point at a message to read all of \
         it.</p></figure>"
    )
}
