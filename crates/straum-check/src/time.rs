//! Time in a run. Never reads a clock: whoever drives a run says what time it is.

/// Nanoseconds since the start of a run, or a span of them.
pub type Nanos = u64;

/// One millisecond.
pub const MILLISECOND: Nanos = 1_000_000;

/// One second.
pub const SECOND: Nanos = 1_000 * MILLISECOND;

/// A span in seconds, for figures and plots.
#[expect(clippy::cast_precision_loss, reason = "figures need no more than 53 bits")]
pub fn seconds(span: Nanos) -> f64 {
    span as f64 / SECOND as f64
}

/// A span given in seconds by a person; 0 if it is negative or not a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a float cast saturates"
)]
pub fn from_seconds(seconds: f64) -> Nanos {
    (seconds * SECOND as f64) as Nanos
}
