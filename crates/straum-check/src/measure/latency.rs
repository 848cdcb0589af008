//! How long answers took. Never estimates: every percentile is a value that was measured.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{OperationKind, asks_a_node, milliseconds};
use crate::history::{History, Operation, Outcome};
use crate::time::Nanos;

/// How long good answers took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// How many there were.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 95 of 100 took no longer.
    pub p95_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// None took longer.
    pub max_ms: f64,
}

impl Latency {
    fn of(mut spans: Vec<Nanos>) -> Option<Self> {
        spans.sort_unstable();
        Some(Self {
            count: spans.len() as u64,
            p50_ms: percentile_ms(&spans, 50)?,
            p95_ms: percentile_ms(&spans, 95)?,
            p99_ms: percentile_ms(&spans, 99)?,
            max_ms: percentile_ms(&spans, 100)?,
        })
    }
}

/// The latencies of each kind that has any.
pub(super) fn by_kind(history: &History) -> BTreeMap<OperationKind, Latency> {
    let mut spans: BTreeMap<OperationKind, Vec<Nanos>> = BTreeMap::new();
    for operation in &history.operations {
        if let Some(span) = of(operation) {
            spans.entry(OperationKind::of(operation)).or_default().push(span);
        }
    }
    spans.into_iter().filter_map(|(kind, spans)| Some((kind, Latency::of(spans)?))).collect()
}

/// How long the operation took, if it asked a node and got a good answer.
pub(super) fn of(operation: &Operation) -> Option<Nanos> {
    (operation.outcome == Outcome::Ok && asks_a_node(operation))
        .then(|| operation.completed_ns.saturating_sub(operation.invoked_ns))
}

/// The smallest span that `percent` of all do not exceed; none of nothing.
pub(super) fn percentile_ms(sorted: &[Nanos], percent: usize) -> Option<f64> {
    percentile(sorted, 10 * percent).map(milliseconds)
}

/// The smallest value that so many thousandths of all values do not exceed; none of nothing.
pub fn percentile<T: Copy>(sorted: &[T], per_mille: usize) -> Option<T> {
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u32> = (1..=200).collect();
        assert_eq!(percentile(&values, 500), Some(100));
        assert_eq!(percentile(&values, 990), Some(198));
        assert_eq!(percentile(&values, 999), Some(200));
        assert_eq!(percentile(&values, 1000), Some(200));
        assert_eq!(percentile(&values[..1], 990), Some(1));
        assert_eq!(percentile::<u32>(&[], 990), None);
    }
}
