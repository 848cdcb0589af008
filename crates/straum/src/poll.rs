//! Polling many logs at once within one bound. Never changes anything.

use crate::log::Messages;

/// What a message costs of a poll's bound beside its own bytes: room for its offset (up to 20 digits)
/// and for the punctuation around it. It keeps the bound honest for tiny messages.
pub const MESSAGE_OVERHEAD_BYTES: u64 = 24;

/// What a poll found in one log: at least one message.
#[derive(Clone, Debug)]
pub struct Polled<'a> {
    /// The log's name.
    pub key: &'a str,
    /// Its messages from the wanted offset on, contiguous and in order.
    pub messages: Messages<'a>,
}

/// Shares `max_bytes` fairly (max-min): no share exceeds its cost, and a log gets less than it could
/// use only if no other log gets more than it. The shares stand in the order of the costs.
pub(crate) fn fair_shares(costs: &[u64], max_bytes: u64) -> Vec<u64> {
    let mut shares = costs.to_vec();
    let mut cheapest_first: Vec<&mut u64> = shares.iter_mut().collect();
    cheapest_first.sort_unstable();
    let mut left_bytes = max_bytes;
    let logs = cheapest_first.len() as u64;
    for (logs_left, share) in (1..=logs).rev().zip(cheapest_first) {
        *share = (*share).min(left_bytes / logs_left);
        left_bytes -= *share;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::fair_shares;

    #[test]
    fn what_fits_is_given_whole() {
        assert_eq!(fair_shares(&[10, 20, 30], 60), [10, 20, 30]);
    }

    #[test]
    fn what_small_logs_leave_goes_to_the_large_ones() {
        assert_eq!(fair_shares(&[1_000, 10, 500], 410), [200, 10, 200]);
    }

    #[test]
    fn nothing_to_share_among_none() {
        assert!(fair_shares(&[], 100).is_empty());
        assert_eq!(fair_shares(&[5, 5], 0), [0, 0]);
    }
}
