//! What time it is, as the engine is told. Never asks.

/// A moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// By the calendar: milliseconds since 1970. It may be set, forth and back.
    pub time_ms: u64,
    /// By a clock that nobody sets: milliseconds since any beginning, the same as long as the process lives.
    pub elapsed_ms: u64,
}
