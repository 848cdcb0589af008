//! A small generator of numbers, from a seed that the driver brings: it spreads retries, so that nodes
//! which failed together do not try again together. Nothing that must be true depends on it.

/// Splitmix64.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0; about evenly.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// Between half of `span` and one and a half of it.
    pub(super) fn around(&mut self, span: u64) -> u64 {
        span / 2 + self.below(span.max(1))
    }
}
