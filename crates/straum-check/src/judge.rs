//! Judging a history: which anomalies it proves. Never runs anything, never reads a clock.

mod commits;
mod findings;
mod groups;
mod log;
mod messages;
mod names;
mod order;
mod service;
mod words;

use serde::Serialize;

use crate::history::{Action, History, KeyId, Outcome};
use crate::time::Nanos;

/// What the judge says of a history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// In one word.
    pub validity: Validity,
    /// What was found, worst first; what makes a history invalid comes before all else.
    pub findings: Vec<Finding>,
}

/// The verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// No anomaly.
    Valid,
    /// At least one anomaly.
    Invalid,
    /// No anomaly, but too little was seen to say that there is none.
    Unknown,
}

/// All anomalies of one name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The name, as in `docs/anomalies.md`: Maelstrom's where it has one.
    pub name: &'static str,
    /// What the name means, in one plain sentence.
    pub meaning: &'static str,
    /// How many there are.
    pub count: u64,
    /// The earliest of them, at most [`EXAMPLES`]: what comes later often follows from them.
    pub examples: Vec<Anomaly>,
}

/// How many anomalies of one name are kept with their evidence.
pub const EXAMPLES: usize = 8;

/// One thing that a correct log never does, with its proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Anomaly {
    /// What happened, in plain words with names and numbers: enough to debug from.
    pub text: String,
    /// The log it happened in.
    pub key: Option<KeyId>,
    /// When it showed.
    pub at_ns: Nanos,
    /// The operations that prove it: indexes into [`History::operations`].
    pub evidence: Vec<usize>,
}

/// What a run was asked to hold it against.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demands {
    /// The share of operations that must succeed, 0 to 1, of those whose client waited for the answer
    /// (`--availability`).
    pub availability: Option<f64>,
}

/// Judges a history, as `docs/anomalies.md` defines it. The time it takes grows with the number of
/// operations and messages, times the logarithm of the latter at most.
///
/// # Panics
/// When a [`KeyId`] of the history is no index into its keys.
pub fn judge(history: &History, demands: &Demands) -> Verdict {
    let logs = log::logs(history);
    let mut findings = findings::Findings::new(history);
    messages::judge(history, &logs, &mut findings);
    order::judge(history, &logs, &mut findings);
    groups::judge(history, &logs, &mut findings);
    commits::judge(history, &mut findings);
    service::judge(history, demands, &mut findings);
    let findings = findings.into_findings();
    Verdict { validity: validity(history, &findings), findings }
}

fn validity(history: &History, findings: &[Finding]) -> Validity {
    let succeeded = |kind: fn(&Action) -> bool| {
        let mut operations = history.operations.iter();
        operations.any(|operation| operation.outcome == Outcome::Ok && kind(&operation.action))
    };
    if !findings.is_empty() {
        Validity::Invalid
    } else if history.finished
        && succeeded(|action| matches!(action, Action::Send { .. }))
        && succeeded(|action| matches!(action, Action::Poll { .. }))
    {
        Validity::Valid
    } else {
        Validity::Unknown
    }
}
