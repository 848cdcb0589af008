//! Figures: a name, its unit last, and a value. Never drops a value before it takes a percentile.

use std::time::Duration;

use straum_check::measure::{float, percentile};

use crate::load::usage::Used;

pub(crate) type Figure = (&'static str, f64);

/// In thousandths.
const PERCENTILES: [(&str, usize); 5] =
    [("p50_us", 500), ("p95_us", 950), ("p99_us", 990), ("p99_9_us", 999), ("max_us", 1000)];

/// What so many requests took.
pub(crate) fn of_requests(used: &Used, count: u64) -> Vec<Figure> {
    let count = float(count);
    vec![
        ("rate_per_s", count / used.elapsed.as_secs_f64()),
        ("cpu_s_per_million", used.cpu.as_secs_f64() * 1e6 / count),
        peak(used),
    ]
}

/// What so many requests took, and each of them.
pub(crate) fn of_latencies(used: &Used, latencies: Vec<Duration>) -> Vec<Figure> {
    let figures = of_requests(used, latencies.len() as u64);
    figures.into_iter().chain(percentiles(latencies)).collect()
}

pub(crate) fn percentiles(mut latencies: Vec<Duration>) -> Vec<Figure> {
    latencies.sort_unstable();
    let figure = |&(name, per_mille): &(&'static str, usize)| {
        let latency = percentile(&latencies, per_mille)?;
        Some((name, latency.as_secs_f64() * 1e6))
    };
    PERCENTILES.iter().filter_map(figure).collect()
}

/// The peak of the process.
pub(crate) fn peak(used: &Used) -> Figure {
    ("peak_mb", f64::from(used.peak_kib) * 1024.0 / 1e6)
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9.0]), Some(9.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }
}
