//! Figures: a name, its unit last, and a value. Never drops a value before it takes a percentile.

use std::time::Duration;

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

#[expect(clippy::cast_precision_loss, reason = "figures need no more than 53 bits")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// The smallest value that so many thousandths of all values do not exceed.
fn percentile<T: Copy>(sorted: &[T], per_mille: usize) -> Option<T> {
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied()
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
