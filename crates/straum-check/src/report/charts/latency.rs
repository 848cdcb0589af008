//! Latency over time: a small chart for each kind of operation, all on the same logarithmic scale,
//! so that they can be compared. Never smooths.

use super::scale::{Scale, Unit};
use super::{Plot, end, line};
use crate::measure::{LatencySeries, OperationKind};
use crate::report::Run;
use crate::report::html::{figure, legend};

/// The charts, in the order of [`OperationKind::ALL`].
pub(in crate::report) fn figures(run: &Run<'_>) -> String {
    let series = &run.measures.series;
    let plot = Plot {
        end: end(run.elapsed_ns, series.bucket_ms, series.len()),
        scale: scale(series.latencies.values()),
        unit: Unit::Milliseconds,
        faults: &run.history.faults,
        bucket_ms: series.bucket_ms,
    };
    series.latencies.iter().map(|(kind, latencies)| chart(&plot, *kind, latencies)).collect()
}

fn scale<'a>(series: impl Iterator<Item = &'a LatencySeries>) -> Scale {
    let (mut min, mut max) = (f64::INFINITY, 0.0_f64);
    for latencies in series {
        let lows = latencies.p50_ms.iter().flatten();
        min = lows.copied().filter(|low| *low > 0.0).fold(min, f64::min);
        max = latencies.max_ms.iter().flatten().copied().fold(max, f64::max);
    }
    // Values of 0 lie on the bottom; less than a microsecond is no latency to tell apart.
    let min = if min.is_finite() { min.max(1e-3) } else { 1.0 };
    Scale::log(min, max.max(min))
}

fn chart(plot: &Plot<'_>, kind: OperationKind, latencies: &LatencySeries) -> String {
    let drawn = format!(
        "<path class=\"line max\" d=\"{}\"/><path class=\"line p99 {name}\" d=\"{}\"/>\
         <path class=\"line p50 {name}\" d=\"{}\"/>",
        line(plot, &latencies.max_ms),
        line(plot, &latencies.p99_ms),
        line(plot, &latencies.p50_ms),
        name = kind.name()
    );
    let title = format!("Latency of {}", kind.name());
    let (p50, p99) = (format!("p50 {}", kind.name()), format!("p99 {}", kind.name()));
    let meanings = [(p50.as_str(), "p50"), (p99.as_str(), "p99"), ("max", "max")];
    let svg = plot.svg(
        &format!("{title} over time, p50, p99 and maximum, logarithmic"),
        &drawn,
        &[("p50", &latencies.p50_ms), ("p99", &latencies.p99_ms), ("max", &latencies.max_ms)],
    );
    figure(&title, &legend(&meanings), &svg)
}
