//! Batches that others have forwarded to us, to be put into our next entry. Never more than one of each
//! instance, which has one under way.

use std::sync::Arc;

use super::applied::Applied;
use super::format::Batch;
use super::rules::Rules;

/// An entry is closed before it outgrows this, in bytes, unless its first batch alone is larger.
const ENTRY_BYTES: usize = 256 * 1024;

/// How many batches are kept at most: more than there are nodes that live. One that is dropped costs its
/// sender some patience.
const MOST_BATCHES: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Pool {
    /// In the order in which they came.
    batches: Vec<Forwarded>,
}

#[derive(Debug)]
struct Forwarded {
    instance: u64,
    seq: u64,
    bytes: Arc<[u8]>,
}

impl Pool {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes a batch in, unless it is known.
    pub(super) fn add(&mut self, batch: &Batch<'_>, applied: &Applied, rules: &Rules) {
        let Batch { instance, seq, .. } = *batch;
        let known = |one: &Forwarded| one.instance == instance && one.seq >= seq;
        if !applied.lacks(batch, rules) || self.batches.iter().any(known) {
            return;
        }
        self.batches.retain(|one| one.instance != instance);
        if self.batches.len() == MOST_BATCHES {
            self.batches.remove(0);
        }
        self.batches.push(Forwarded { instance, seq, bytes: batch.to_bytes().into() });
    }

    /// Drops what has taken effect.
    pub(super) fn drop_applied(&mut self, applied: &Applied) {
        self.batches.retain(|one| !applied.has(one.instance, one.seq));
    }

    /// The batches of an entry: the oldest of these and our `own`, as many as there is room for. What
    /// does not fit goes into the next one, since what did is then gone from here.
    pub(super) fn batches_of_entry(&self, own: Option<Arc<[u8]>>) -> Vec<Arc<[u8]>> {
        let mut size_bytes = 0;
        let all = self.batches.iter().map(|one| Arc::clone(&one.bytes)).chain(own);
        all.filter(|batch| {
            let fits = size_bytes == 0 || size_bytes + batch.len() <= ENTRY_BYTES;
            size_bytes += if fits { batch.len() } else { 0 };
            fits
        })
        .collect()
    }
}
