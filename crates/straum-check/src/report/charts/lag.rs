//! Realtime lag over time: the poll that was the furthest behind in each span. Never counts the
//! final polls, which start from the beginning on purpose.

use std::fmt::Write;

use super::scale::{Scale, Unit, label};
use super::{BOTTOM, Plot, end};
use crate::report::Run;
use crate::report::html::{figure, legend};

/// The chart.
pub(in crate::report) fn figure_of(run: &Run<'_>) -> String {
    let series = &run.measures.series;
    let lags = &series.worst_lag_ms;
    let plot = Plot {
        end: end(run.elapsed_ns, series.bucket_ms, series.len()),
        scale: Scale::linear(lags.iter().flatten().copied().fold(1.0, f64::max)),
        unit: Unit::Milliseconds,
        faults: &run.history.faults,
        bucket_ms: series.bucket_ms,
    };
    let svg = plot.svg(
        "Worst realtime lag of polls over time",
        &format!("{}{}", bars(&plot, lags), worst(&plot, lags)),
        &[("worst lag", lags)],
    );
    figure("Realtime lag of polls", &legend(&[("lag", "worst in each span")]), &svg)
}

fn bars(plot: &Plot<'_>, lags: &[Option<f64>]) -> String {
    let mut path = String::new();
    for (place, lag) in lags.iter().enumerate() {
        if let Some(lag) = lag.filter(|lag| *lag > 0.0) {
            let (from, to) = plot.span_x(place, lags.len());
            let (width, height) = ((to - from - 0.4).max(0.4), (BOTTOM - plot.y(lag)).max(1.0));
            let _ = write!(path, "M{from:.1} {BOTTOM}v-{height:.1}h{width:.1}v{height:.1}z");
        }
    }
    format!("<path class=\"bar lag\" d=\"{path}\"/>")
}

/// A label at the worst of all.
fn worst(plot: &Plot<'_>, lags: &[Option<f64>]) -> String {
    let all = lags.iter().enumerate().filter_map(|(place, lag)| Some((place, (*lag)?)));
    let worst = all.max_by(|(_, a), (_, b)| a.total_cmp(b)).filter(|(_, lag)| *lag > 0.0);
    let Some((place, lag)) = worst else { return String::new() };
    let (from, to) = plot.span_x(place, lags.len());
    let (x, y) = (f64::midpoint(from, to), plot.y(lag));
    let (anchor, shift) = if x > 300.0 { ("end", -8.0) } else { ("start", 8.0) };
    format!(
        "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
         <text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
        x + shift,
        (y + 4.0).max(34.0),
        label(Unit::Milliseconds, lag)
    )
}
