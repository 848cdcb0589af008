//! Figures as people read them. Never more than three digits that matter, except for counts.

use crate::measure::milliseconds;
use crate::time::{Nanos, seconds};

/// `1,234,567`
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3 polls`, `1 poll`
pub fn plural(number: u64, noun: &str) -> String {
    plural_of(number, noun, &format!("{noun}s"))
}

/// `3 anomalies`, `1 anomaly`
pub(super) fn plural_of(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Three digits: `0.0123`, `1.23`, `12.3`, `123`, `1,235`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not negative")]
pub(super) fn three_digits(value: f64) -> String {
    match value {
        v if v >= 999.5 => count(v.round() as u64),
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v if v >= 0.995 => format!("{v:.2}"),
        v if v >= 0.000_5 => format!("{v:.3}"),
        _ => "0".to_owned(),
    }
}

/// `0.123 ms`, `12.3 ms`, `1.23 s`
pub(super) fn span_ms(value: f64) -> String {
    if value >= 999.5 {
        format!("{} s", three_digits(value / 1_000.0))
    } else {
        format!("{} ms", three_digits(value))
    }
}

/// As [`span_ms`].
pub(super) fn span(span: Nanos) -> String {
    span_ms(milliseconds(span))
}

/// A moment in a run: `12.304 s`.
pub(super) fn moment(at: Nanos) -> String {
    format!("{:.3} s", seconds(at))
}

/// `99.98 %`, and 100 % only if it is all.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p >= 100.0 => "100 %".to_owned(),
        p if p > 99.99 => "> 99.99 %".to_owned(),
        p if p > 99.0 => format!("{p:.2} %"),
        p => format!("{p:.1} %"),
    }
}

/// The beginning of a text, with `…` if that is not all.
pub(super) fn shorten(text: &str, most_chars: usize) -> String {
    if text.chars().count() <= most_chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most_chars.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_has_its_thousands_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_span_has_three_digits_and_the_unit_that_fits() {
        let spans = [0.0, 0.012_34, 1.234, 99.99, 999.9, 12_345.0].map(span_ms);
        assert_eq!(spans, ["0 ms", "0.012 ms", "1.23 ms", "100 ms", "1.00 s", "12.3 s"]);
    }

    #[test]
    fn almost_all_is_not_all() {
        assert_eq!([1.0, 0.999_999, 0.5].map(percent), ["100 %", "> 99.99 %", "50.0 %"]);
    }

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis() {
        assert_eq!([shorten("åäö", 3), shorten("åäöü", 3)], ["åäö", "åä…"]);
    }
}
