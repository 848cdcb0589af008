//! What the charts over time share: scales, axes, the windows of faults, and what a pointer reads.
//! Never knows what it shows.

pub(super) mod bars;
pub(super) mod lag;
pub(super) mod latency;
pub(super) mod rate;
mod scale;

use std::fmt::Write;

use serde_json::json;

use self::scale::{Scale, Unit, multiples, round_step, trim};
use super::figures::moment;
use super::html::escape;
use crate::history::Fault;
use crate::measure::float;
use crate::time::{Nanos, SECOND, from_seconds, seconds};

const WIDTH: f64 = 580.0;
const HEIGHT: f64 = 236.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 572.0;
const TOP: f64 = 24.0;
/// Where the horizontal axis is.
const BOTTOM: f64 = 208.0;

/// How many faults are shaded at most.
const FAULTS: usize = 300;

/// The area of a chart over the time of a run.
struct Plot<'a> {
    /// The end of the horizontal axis.
    end: Nanos,
    /// The vertical axis.
    scale: Scale,
    /// What its values are.
    unit: Unit,
    /// What is shaded.
    faults: &'a [Fault],
    /// The span of an element of a series.
    bucket_ms: u64,
}

impl Plot<'_> {
    /// Where a moment is.
    fn x(&self, at: Nanos) -> f64 {
        LEFT + (RIGHT - LEFT) * (seconds(at) / seconds(self.end.max(1))).min(1.0)
    }

    /// Where the span of an element of a series begins, and where it ends.
    fn span_x(&self, place: usize, count: usize) -> (f64, f64) {
        let bucket = self.bucket_ms * crate::time::MILLISECOND;
        let from = bucket * place as u64;
        let to = if place + 1 == count { self.end.max(from + bucket) } else { from + bucket };
        (self.x(from), self.x(to))
    }

    /// Where a value is.
    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * self.scale.height(value)
    }

    /// The chart: what is drawn, on its axes, with the series that a pointer reads.
    fn svg(&self, label: &str, drawn: &str, read: &[(&str, &[Option<f64>])]) -> String {
        format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" \
             data-read=\"{}\">{}{}{drawn}</svg>",
            escape(label),
            escape(&self.readable(read)),
            self.shades(),
            self.axes()
        )
    }

    fn axes(&self) -> String {
        let mut svg = String::new();
        for tick in self.scale.ticks() {
            let y = self.y(tick);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 7.0,
                y + 4.0,
                self.unit.tick(tick)
            );
        }
        let end_s = seconds(self.end);
        for tick in multiples(round_step(end_s / 6.0), end_s) {
            let x = self.x(from_seconds(tick));
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} s</text>",
                BOTTOM + 18.0,
                trim(tick)
            );
        }
        svg + &format!("<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>")
    }

    /// The windows of faults, labelled where there is room.
    fn shades(&self) -> String {
        let mut svg = String::new();
        let mut free_from = LEFT;
        for fault in self.faults.iter().take(FAULTS) {
            let until = fault.until_ns.unwrap_or(self.end);
            let from = self.x(fault.from_ns);
            let width = (self.x(until) - from).max(2.0);
            let _ = write!(
                svg,
                "<g class=\"fault {}\"><title>{}</title>\
                 <rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
                fault_class(&fault.kind),
                escape(&fault_text(fault)),
                BOTTOM - TOP
            );
            let label_width = 6.5 * float(fault.kind.len() as u64);
            if from >= free_from && from + label_width <= RIGHT {
                let _ = write!(
                    svg,
                    "<text x=\"{from:.1}\" y=\"{:.1}\">{}</text>",
                    TOP - 6.0,
                    escape(&fault.kind)
                );
                free_from = from + label_width + 6.0;
            }
            svg.push_str("</g>");
        }
        svg
    }

    /// The series as JSON, for the script.
    fn readable(&self, read: &[(&str, &[Option<f64>])]) -> String {
        let series: Vec<_> = read
            .iter()
            .map(|(name, values)| {
                let values: Vec<_> = values.iter().map(|value| value.map(rounded)).collect();
                json!([name, values])
            })
            .collect();
        json!({
            "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM, "width": WIDTH,
            "end_s": seconds(self.end), "bucket_ms": self.bucket_ms, "unit": self.unit.name(),
            "series": series,
        })
        .to_string()
    }
}

/// Enough digits for a pointer to read.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The CSS class of a kind of fault.
pub(super) fn fault_class(kind: &str) -> &'static str {
    match kind {
        "partition" => "partition",
        "kill" => "kill",
        "pause" => "pause",
        "service" => "service",
        _ => "other",
    }
}

fn fault_text(fault: &Fault) -> String {
    let until = fault.until_ns.map_or("the end".to_owned(), moment);
    format!("{} {}: {} to {until}", fault.kind, fault.detail, moment(fault.from_ns))
}

/// A line through the values; where there are none it has gaps.
fn line(plot: &Plot<'_>, values: &[Option<f64>]) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value else {
            pen_down = false;
            continue;
        };
        let (from, to) = plot.span_x(place, values.len());
        let (x, y) = (f64::midpoint(from, to), plot.y(*value));
        let command = if pen_down { "L" } else { "M" };
        // A point of its own is drawn by its round ends.
        let _ = write!(path, "{command}{x:.1} {y:.1}{}", if pen_down { "" } else { "h0" });
        pen_down = true;
    }
    path
}

/// When the horizontal axis of all charts ends.
fn end(elapsed_ns: Nanos, bucket_ms: u64, count: usize) -> Nanos {
    elapsed_ns.max(bucket_ms * crate::time::MILLISECOND * count as u64).max(SECOND / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_that_can_be_asked_for_has_a_colour_of_its_own() {
        for kind in ["partition", "kill", "pause", "service"] {
            assert!(kind.parse::<crate::fault::Kind>().is_ok());
            assert_eq!(fault_class(kind), kind);
            assert!(include_str!("page.css").contains(&format!(".fault.{kind} ")), "{kind}");
        }
    }

    #[test]
    fn a_line_has_a_gap_where_nothing_was_measured() {
        let plot = Plot {
            end: SECOND,
            scale: Scale::linear(10.0),
            unit: Unit::PerSecond,
            faults: &[],
            bucket_ms: 250,
        };
        let path = line(&plot, &[Some(1.0), Some(2.0), None, Some(3.0)]);
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
    }
}
