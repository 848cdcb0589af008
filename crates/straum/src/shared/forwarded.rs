//! Batches that others have forwarded to us, to be put into our next entry. Never more than one of each
//! instance, which has one under way.

use std::sync::Arc;

use super::applied::Applied;
use super::format::Batch;
use super::planted::Planted;
use crate::Position;

/// An entry is closed before it outgrows this, in bytes, unless its first batch alone is larger.
const ENTRY_BYTES: usize = 256 * 1024;

/// How many batches are kept at most: more than there are nodes that live. One that is dropped costs its
/// sender some patience.
const MOST_BATCHES: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Pool {
    /// In the order in which they came.
    batches: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    instance: u64,
    seq: u64,
    bytes: Arc<[u8]>,
}

impl Pool {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes a batch in, unless it is known.
    pub(super) fn add(&mut self, batch: &Batch<'_>, applied: &Applied, planted: &Planted) {
        let Batch { instance, seq, .. } = *batch;
        let known = |one: &Held| one.instance == instance && one.seq >= seq;
        if !applied.lacks(batch, planted) || self.batches.iter().any(known) {
            return;
        }
        self.batches.retain(|one| one.instance != instance);
        if self.batches.len() == MOST_BATCHES {
            self.batches.remove(0);
        }
        self.batches.push(Held { instance, seq, bytes: batch.to_bytes().into() });
    }

    /// Drops what has taken effect.
    pub(super) fn drop_applied(&mut self, applied: &Applied) {
        self.batches.retain(|one| !applied.has(one.instance, one.seq));
    }

    /// The batches of the entry at `position`: these, the oldest first, and our `own`, as many as there is
    /// room for. What does not fit has its turn later: what did is then gone from here, and of our own and
    /// the others' now these come first, now those.
    pub(super) fn batches_of_entry(
        &self,
        position: Position,
        own: Option<Arc<[u8]>>,
    ) -> Vec<Arc<[u8]>> {
        let (first, last) = if position.is_multiple_of(2) { (own, None) } else { (None, own) };
        let others = self.batches.iter().map(|one| Arc::clone(&one.bytes));
        let mut size_bytes = 0;
        let all = first.into_iter().chain(others).chain(last);
        all.filter(|batch| {
            let fits = size_bytes == 0 || size_bytes + batch.len() <= ENTRY_BYTES;
            size_bytes += if fits { batch.len() } else { 0 };
            fits
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many small ones come, a large batch that fits into no entry with others has its turn.
    #[test]
    fn a_large_batch_is_not_kept_waiting_by_small_ones() {
        let mut pool = Pool::default();
        let mut small = Vec::new();
        let command = crate::Command::Send { key: "k", message: b"m" };
        crate::journal::format::write_command(command, &mut small);
        let batch = Batch { instance: 1, seq: 1, payload: &small };
        pool.add(&batch, &Applied::default(), &Planted::default());
        let large: Arc<[u8]> = vec![0; ENTRY_BYTES + 1].into();
        let sizes = |position| -> Vec<usize> {
            let batches = pool.batches_of_entry(position, Some(Arc::clone(&large)));
            batches.iter().map(|batch| batch.len()).collect()
        };
        assert_eq!(sizes(0), [ENTRY_BYTES + 1]);
        assert_eq!(sizes(1), [batch.to_bytes().len()]);
    }
}
