//! Operations of the workload a second over time: ok, fail and info on top of each other. Never hides the few: what
//! is there at all is at least two pixels high.

use std::fmt::Write;

use super::scale::{Scale, Unit};
use super::{BOTTOM, Plot, end};
use crate::report::Run;
use crate::report::html::{figure, legend};

/// The height below which something would not be seen.
const LEAST_HEIGHT: f64 = 2.0;

/// The chart.
pub(in crate::report) fn figure_of(run: &Run<'_>) -> String {
    let series = &run.measures.series;
    let rates = &series.rates;
    let columns = [&rates.ok_per_s, &rates.fail_per_s, &rates.info_per_s];
    let highest = (0..series.len())
        .map(|place| columns.iter().map(|values| values[place]).sum::<f64>())
        .fold(1.0, f64::max);
    let plot = Plot {
        end: end(run.elapsed_ns, series.bucket_ms, series.len()),
        scale: Scale::linear(highest),
        unit: Unit::PerSecond,
        faults: &run.history.faults,
        bucket_ms: series.bucket_ms,
    };
    let read: Vec<Vec<Option<f64>>> =
        columns.iter().map(|values| values.iter().copied().map(Some).collect()).collect();
    let svg = plot.svg(
        "Operations a second over time, by outcome",
        &bars(&plot, columns),
        &[("ok", &read[0]), ("fail", &read[1]), ("info", &read[2])],
    );
    let meanings = [("ok", "ok"), ("fail", "fail"), ("info", "info")];
    figure("Operations a second, without the final polls", &legend(&meanings), &svg)
}

/// One path for each outcome, of a rectangle for each span.
fn bars(plot: &Plot<'_>, columns: [&Vec<f64>; 3]) -> String {
    let count = columns[0].len();
    let mut paths = [String::new(), String::new(), String::new()];
    for place in 0..count {
        let (from, to) = plot.span_x(place, count);
        let width = (to - from - 0.4).max(0.4);
        let mut base = BOTTOM;
        for (path, values) in paths.iter_mut().zip(columns) {
            if values[place] > 0.0 {
                let height = (BOTTOM - plot.y(values[place])).max(LEAST_HEIGHT);
                let _ = write!(path, "M{from:.1} {base:.1}v-{height:.1}h{width:.1}v{height:.1}z");
                base -= height;
            }
        }
    }
    let [ok, fail, info] = paths;
    format!(
        "<path class=\"bar ok\" d=\"{ok}\"/><path class=\"bar fail\" d=\"{fail}\"/>\
         <path class=\"bar info\" d=\"{info}\"/>"
    )
}
