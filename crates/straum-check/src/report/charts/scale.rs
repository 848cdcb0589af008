//! From values to heights, and the round numbers beside an axis. Never draws.

use crate::report::figures::{span_ms, three_digits};

/// From values to heights.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scale {
    /// From 0.
    Linear {
        /// The top.
        max: f64,
    },
    /// In powers of ten, from one to another.
    Log {
        /// The exponent at the bottom.
        from: i32,
        /// The exponent at the top.
        to: i32,
    },
}

impl Scale {
    /// From 0 to a little more than `max`, at a round number.
    pub(super) fn linear(max: f64) -> Self {
        let step = round_step(max / 4.0);
        Self::Linear { max: step * (max / step).ceil().max(1.0) }
    }

    /// The powers of ten around `min` and `max`, both positive.
    pub(super) fn log(min: f64, max: f64) -> Self {
        let from = exponent(min.log10().floor());
        Self::Log { from, to: exponent(max.log10().ceil()).max(from + 1) }
    }

    /// 0 at the bottom, 1 at the top.
    pub(super) fn height(self, value: f64) -> f64 {
        let height = match self {
            Self::Linear { max } => value / max,
            Self::Log { from, to } => {
                (value.max(f64::MIN_POSITIVE).log10() - f64::from(from)) / f64::from(to - from)
            }
        };
        height.clamp(0.0, 1.0)
    }

    pub(super) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear { max } => {
                let step = round_step(max / 4.0);
                multiples(step, max)
            }
            Self::Log { from, to } => (from..=to).map(|power| 10_f64.powi(power)).collect(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
fn exponent(power: f64) -> i32 {
    (power as i32).clamp(-6, 12)
}

/// 1, 2 or 5 times a power of ten, at least `least`.
pub(super) fn round_step(least: f64) -> f64 {
    let least = least.max(1e-3);
    let decade = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * decade >= least * 0.999);
    factor.unwrap_or(10.0) * decade
}

pub(super) fn multiples(step: f64, max: f64) -> Vec<f64> {
    let all = std::iter::successors(Some(0.0), |tick| Some(tick + step));
    all.take_while(|tick| *tick <= max * 1.001).take(20).collect()
}

/// What the values are, for ticks and for the pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Something a second.
    PerSecond,
}

impl Unit {
    pub(super) fn tick(self, value: f64) -> String {
        match self {
            _ if value == 0.0 => "0".to_owned(),
            Self::Milliseconds if value >= 1_000.0 => format!("{} s", trim(value / 1_000.0)),
            Self::Milliseconds if value < 0.999 => format!("{} µs", trim(value * 1_000.0)),
            Self::Milliseconds => format!("{} ms", trim(value)),
            Self::PerSecond if value >= 1_000.0 => format!("{}k", trim(value / 1_000.0)),
            Self::PerSecond => trim(value),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::PerSecond => "/s",
        }
    }
}

/// At most three decimals, and none that is 0.
pub(super) fn trim(value: f64) -> String {
    format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A value with its unit, for a label in a chart.
pub(super) fn label(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Milliseconds => span_ms(value),
        Unit::PerSecond => format!("{}/s", three_digits(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_scale_ends_at_a_round_number() {
        let Scale::Linear { max } = Scale::linear(1_037.0) else { panic!("linear") };
        assert!((max - 1_500.0).abs() < 1e-9, "{max}");
        assert_eq!(Scale::linear(0.0).ticks().first(), Some(&0.0));
    }

    #[test]
    fn a_log_scale_has_a_tick_for_each_power_of_ten() {
        let ticks = Scale::log(0.2, 5_000.0).ticks();
        let labels: Vec<String> = ticks.iter().map(|tick| Unit::Milliseconds.tick(*tick)).collect();
        assert_eq!(labels, ["100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
    }
}
