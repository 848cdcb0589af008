//! Measuring a history: counts, latencies, rates and lags, reported without being judged. Never
//! looks at anything but the history, and never reads a clock.

mod lag;
mod latency;
mod series;

use std::collections::BTreeMap;

use serde::Serialize;

pub use lag::Lag;
pub use latency::{Latency, percentile};
pub use series::{LatencySeries, Rates, Series};

use crate::history::{Action, History, Operation, Outcome};
use crate::time::{MILLISECOND, Nanos};

/// What was measured. Serialized as part of `results.json`: see `docs/results.md`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measures {
    /// How operations ended, by kind. Every kind is there, even without operations.
    pub operations: BTreeMap<OperationKind, Outcomes>,
    /// How operations that ask a node ended: all but crashes and assigns from the beginning.
    pub all_operations: Outcomes,
    /// How many of [`all_operations`](Self::all_operations) belong to the workload: all but the final
    /// polls. Rates count these.
    pub workload_operations: u64,
    /// The share of [`all_operations`](Self::all_operations) that succeeded, 0 to 1; none without
    /// operations.
    pub ok_fraction: Option<f64>,
    /// From request to answer, by kind, for kinds with an operation that got a good answer.
    pub latencies: BTreeMap<OperationKind, Latency>,
    /// The poll that was the furthest behind; none if no poll was.
    pub worst_lag: Option<Lag>,
    /// The same figures over time.
    pub series: Series,
}

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A `send`.
    Send,
    /// A `poll`.
    Poll,
    /// A `commit_offsets`.
    Commit,
    /// A new set of keys, mostly with a `list_committed_offsets`.
    Assign,
    /// The end of a client.
    Crash,
}

impl OperationKind {
    /// In the order in which they are told.
    pub const ALL: [Self; 5] = [Self::Send, Self::Poll, Self::Commit, Self::Assign, Self::Crash];

    /// The kind of an operation.
    pub fn of(operation: &Operation) -> Self {
        match operation.action {
            Action::Send { .. } => Self::Send,
            Action::Poll { .. } => Self::Poll,
            Action::Commit { .. } => Self::Commit,
            Action::Assign { .. } => Self::Assign,
            Action::Crash => Self::Crash,
        }
    }

    /// As in `results.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Poll => "poll",
            Self::Commit => "commit",
            Self::Assign => "assign",
            Self::Crash => "crash",
        }
    }
}

/// How many operations ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// They happened.
    pub ok: u64,
    /// They certainly did not.
    pub fail: u64,
    /// Nobody knows.
    pub info: u64,
}

impl Outcomes {
    /// All of them.
    pub fn sum(self) -> u64 {
        self.ok + self.fail + self.info
    }

    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Fail(_) => self.fail += 1,
            Outcome::Info(_) => self.info += 1,
        }
    }
}

/// Measures a history.
pub fn measure(history: &History) -> Measures {
    let lags = lag::of_polls(history);
    let all_operations = count_requests(history);
    Measures {
        ok_fraction: share(all_operations.ok, all_operations.sum()),
        latencies: latency::by_kind(history),
        worst_lag: lag::worst(history, &lags),
        series: series::of(history, &lags),
        operations: count(history),
        workload_operations: requests_of_workload(history).count() as u64,
        all_operations,
    }
}

/// The operations that ask a node, without those of the final polls.
fn requests_of_workload(history: &History) -> impl Iterator<Item = &Operation> {
    history.operations.iter().filter(|operation| asks_a_node(operation) && !operation.last)
}

fn count(history: &History) -> BTreeMap<OperationKind, Outcomes> {
    let mut counts: BTreeMap<OperationKind, Outcomes> =
        OperationKind::ALL.into_iter().map(|kind| (kind, Outcomes::default())).collect();
    for operation in &history.operations {
        counts.entry(OperationKind::of(operation)).or_default().add(&operation.outcome);
    }
    counts
}

fn count_requests(history: &History) -> Outcomes {
    let mut all = Outcomes::default();
    for operation in history.operations.iter().filter(|operation| asks_a_node(operation)) {
        all.add(&operation.outcome);
    }
    all
}

/// Whether the operation is a request to a node; others always succeed and take no time.
pub(crate) fn asks_a_node(operation: &Operation) -> bool {
    !matches!(operation.action, Action::Crash | Action::Assign { from_beginning: true, .. })
}

/// `part` of `whole`; none of nothing.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| float(part) / float(whole))
}

/// A span in milliseconds, for figures and plots.
pub fn milliseconds(span: Nanos) -> f64 {
    float(span) / float(MILLISECOND)
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "figures need no more than 53 bits")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// When the last operation ended.
fn end(history: &History) -> Nanos {
    history.operations.iter().map(|operation| operation.completed_ns).max().unwrap_or(0)
}
