//! Judges whether nodes serve, and speak as they should: `never-succeeds`, `availability`, and the
//! rules of the protocol. Never looks at what an answer says.

use super::findings::Findings;
use super::names::AnomalyName;
use super::words::{Words, outcome};
use super::{Anomaly, Demands, EXAMPLES};
use crate::history::{Action, History, Operation, Outcome};

pub(super) fn judge<'h>(history: &'h History, demands: &Demands, findings: &mut Findings<'h>) {
    violations(history, findings);
    if history.finished {
        never_succeeds(history, findings);
    }
    if let Some(demanded) = demands.availability.filter(|_| history.finished) {
        availability(history, demanded, findings);
    }
}

fn violations(history: &History, findings: &mut Findings<'_>) {
    for violation in &history.violations {
        let at_ns = violation.at_ns;
        findings.add_at(violation.rule.into(), at_ns, || {
            let (node, number) = (violation.node, violation.line_number);
            let text = format!("n{node}, line {number}: {}: {}", violation.text, violation.line);
            Anomaly { text, key: None, at_ns, evidence: Vec::new() }
        });
    }
}

/// The kind of an operation that asks a node something, and waits for the answer.
fn asks(operation: &Operation) -> Option<&'static str> {
    match &operation.action {
        _ if operation.is_abandoned() => None,
        Action::Send { .. } => Some("send"),
        Action::Poll { .. } => Some("poll"),
        Action::Commit { .. } => Some("commit"),
        Action::Assign { from_beginning: false, .. } => Some("assign"),
        Action::Assign { .. } | Action::Crash => None,
    }
}

fn never_succeeds(history: &History, findings: &mut Findings<'_>) {
    let words = Words(history);
    for kind in ["send", "poll", "commit", "assign"] {
        let tries = history.operations.iter().enumerate();
        let tries = tries.filter(|(_, operation)| asks(operation) == Some(kind));
        let mut bounds: Option<(usize, usize)> = None;
        let mut count = 0;
        let mut succeeded = false;
        for (index, operation) in tries {
            bounds = Some((bounds.map_or(index, |(first, _)| first), index));
            count += 1;
            succeeded |= operation.outcome == Outcome::Ok;
        }
        let Some((first, last)) = bounds.filter(|_| !succeeded) else { continue };
        findings.add(AnomalyName::NeverSucceeds, None, &[first, last], || {
            let why = outcome(&history.operations[last].outcome);
            let by = words.by(last);
            format!(
                "{kind} was tried {count} times and never succeeded, first in op {first}, last in {by}: \
                 {why}"
            )
        });
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
fn availability(history: &History, demanded: f64, findings: &mut Findings<'_>) {
    let asked = || {
        let all = history.operations.iter().enumerate();
        all.filter(|(_, operation)| asks(operation).is_some())
    };
    let bad = || asked().filter(|(_, operation)| operation.outcome != Outcome::Ok);
    let (all, bad_count) = (asked().count(), bad().count());
    if all == 0 || (all - bad_count) as f64 / all as f64 >= demanded {
        return;
    }
    let evidence: Vec<_> = bad().map(|(index, _)| index).take(EXAMPLES).collect();
    findings.add(AnomalyName::Availability, None, &evidence, || {
        format!(
            "{} of {all} operations succeeded; the share demanded was {demanded}",
            all - bad_count
        )
    });
}
