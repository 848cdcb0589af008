//! Figures over time, in at most [`BUCKETS`] equal spans, for plots. Never interpolates: a span in
//! which nothing happened has no latency.

use std::collections::BTreeMap;

use serde::Serialize;

use super::lag::PollLag;
use super::{OperationKind, end, float, latency, milliseconds, requests_of_workload};
use crate::history::{History, Outcome};
use crate::time::{MILLISECOND, Nanos, seconds};

/// How many spans a series has at most.
const BUCKETS: u64 = 200;

/// Figures over time. Element *i* of every list is for the span that begins `i * bucket_ms` after
/// the start; the last span reaches to the end and may be up to twice as long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// How long a span is.
    pub bucket_ms: u64,
    /// Operations of the workload by when they ended; the final polls are left out.
    pub rates: Rates,
    /// Latencies by when the operation began.
    pub latencies: BTreeMap<OperationKind, LatencySeries>,
    /// The worst lag of the polls that began then; none without polls.
    pub worst_lag_ms: Vec<Option<f64>>,
}

/// How many operations that ask a node ended in a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Those that happened.
    pub ok_per_s: Vec<f64>,
    /// Those that certainly did not.
    pub fail_per_s: Vec<f64>,
    /// Those of which nobody knows.
    pub info_per_s: Vec<f64>,
}

/// How long good answers of one kind took; none where there are none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LatencySeries {
    /// Half of them took no longer.
    pub p50_ms: Vec<Option<f64>>,
    /// 99 of 100 took no longer.
    pub p99_ms: Vec<Option<f64>>,
    /// None took longer.
    pub max_ms: Vec<Option<f64>>,
}

impl Series {
    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.worst_lag_ms.len()
    }

    /// Whether there are none; never so.
    pub fn is_empty(&self) -> bool {
        self.worst_lag_ms.is_empty()
    }
}

pub(super) fn of(history: &History, lags: &[PollLag]) -> Series {
    let grid = Grid::over(end(history));
    Series {
        bucket_ms: grid.bucket / MILLISECOND,
        rates: rates(history, &grid),
        latencies: latencies(history, &grid),
        worst_lag_ms: worst_lags(history, lags, &grid),
    }
}

/// Time, cut into equal spans.
struct Grid {
    bucket: Nanos,
    count: usize,
    end: Nanos,
}

impl Grid {
    /// Spans of 1, 2 or 5 times a power of ten milliseconds, the shortest of which few are enough.
    fn over(end: Nanos) -> Self {
        let mut bucket = MILLISECOND;
        for factor in [2, 5, 10].into_iter().cycle() {
            if end <= bucket * BUCKETS {
                break;
            }
            let decade = 10_u64.pow(bucket.ilog10());
            bucket = decade * factor;
        }
        let count = usize::try_from((end / bucket).clamp(1, BUCKETS)).unwrap_or(1);
        Self { bucket, count, end }
    }

    fn place(&self, at: Nanos) -> usize {
        usize::try_from(at / self.bucket).unwrap_or(usize::MAX).min(self.count - 1)
    }

    fn width_s(&self, place: usize) -> f64 {
        let start = self.bucket * place as u64;
        let span =
            if place + 1 == self.count { self.end.saturating_sub(start) } else { self.bucket };
        seconds(span.max(self.bucket))
    }
}

fn rates(history: &History, grid: &Grid) -> Rates {
    let mut counts = [vec![0; grid.count], vec![0; grid.count], vec![0; grid.count]];
    for operation in requests_of_workload(history) {
        let outcome = match operation.outcome {
            Outcome::Ok => 0,
            Outcome::Fail(_) => 1,
            Outcome::Info(_) => 2,
        };
        counts[outcome][grid.place(operation.completed_ns)] += 1;
    }
    let [ok_per_s, fail_per_s, info_per_s] = counts.map(|counts| {
        counts.iter().enumerate().map(|(i, &count)| float(count) / grid.width_s(i)).collect()
    });
    Rates { ok_per_s, fail_per_s, info_per_s }
}

fn latencies(history: &History, grid: &Grid) -> BTreeMap<OperationKind, LatencySeries> {
    let mut spans: BTreeMap<OperationKind, Vec<Vec<Nanos>>> = BTreeMap::new();
    for operation in &history.operations {
        if let Some(span) = latency::of(operation) {
            let by_place = spans
                .entry(OperationKind::of(operation))
                .or_insert_with(|| vec![Vec::new(); grid.count]);
            by_place[grid.place(operation.invoked_ns)].push(span);
        }
    }
    spans.into_iter().map(|(kind, by_place)| (kind, latency_series(by_place))).collect()
}

fn latency_series(by_place: Vec<Vec<Nanos>>) -> LatencySeries {
    let mut series = LatencySeries::default();
    for mut spans in by_place {
        spans.sort_unstable();
        series.p50_ms.push(latency::percentile_ms(&spans, 50));
        series.p99_ms.push(latency::percentile_ms(&spans, 99));
        series.max_ms.push(latency::percentile_ms(&spans, 100));
    }
    series
}

fn worst_lags(history: &History, lags: &[PollLag], grid: &Grid) -> Vec<Option<f64>> {
    let mut worst: Vec<Option<Nanos>> = vec![None; grid.count];
    for lag in lags {
        let invoked_ns = history.operations[lag.operation].invoked_ns;
        let place = &mut worst[grid.place(invoked_ns)];
        *place = (*place).max(Some(lag.span));
    }
    worst.into_iter().map(|span| span.map(milliseconds)).collect()
}
