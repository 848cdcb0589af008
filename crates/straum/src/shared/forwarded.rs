//! Batches that others have forwarded to us, to be put into our next entry. Never more than one of each
//! instance, which has one under way.

use std::sync::Arc;

use super::applied::Applied;
use super::format::Batch;
use crate::Position;

/// An entry is closed before it outgrows this, in bytes, unless its first batch alone is larger.
const ENTRY_BYTES: usize = 256 * 1024;

/// So many bytes of batches are kept at most, or one batch (16 MiB): the oldest goes. One that is dropped costs its
/// sender some patience.
const KEPT_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct Pool {
    /// In the order in which they came.
    batches: Vec<Held>,
    /// Invariant: the bytes of all of them.
    size_bytes: usize,
}

#[derive(Debug)]
struct Held {
    instance: u64,
    number: u64,
    bytes: Arc<[u8]>,
}

impl Pool {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes a batch in, unless it is known.
    pub(super) fn add(&mut self, batch: &Batch<'_>, applied: &Applied) {
        let Batch { instance, number, .. } = *batch;
        let known = |one: &Held| one.instance == instance && one.number >= number;
        if applied.has(instance, number) || self.batches.iter().any(known) {
            return;
        }
        self.retain(|one| one.instance != instance);
        let bytes: Arc<[u8]> = batch.to_bytes().into();
        while self.size_bytes + bytes.len() > KEPT_BYTES && !self.batches.is_empty() {
            self.size_bytes -= self.batches.remove(0).bytes.len();
        }
        self.size_bytes += bytes.len();
        self.batches.push(Held { instance, number, bytes });
    }

    /// Drops what has taken effect.
    pub(super) fn drop_applied(&mut self, applied: &Applied) {
        self.retain(|one| !applied.has(one.instance, one.number));
    }

    fn retain(&mut self, keeps: impl FnMut(&Held) -> bool) {
        self.batches.retain(keeps);
        self.size_bytes = self.batches.iter().map(|one| one.bytes.len()).sum();
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
    use crate::command::{Append, Command};
    use crate::command_bytes::put_command;

    fn payload(bytes: usize) -> Vec<u8> {
        let mut payload = Vec::new();
        put_command(&Command::Append(Append::record("k", &vec![0; bytes])), &mut payload);
        payload
    }

    /// However many small ones come, a large batch that fits into no entry with others has its turn.
    #[test]
    fn a_large_batch_is_not_kept_waiting_by_small_ones() {
        let mut pool = Pool::default();
        let small = payload(1);
        let batch = Batch { instance: 1, number: 1, payload: &small };
        pool.add(&batch, &Applied::default());
        let large: Arc<[u8]> = vec![0; ENTRY_BYTES + 1].into();
        let sizes = |position| -> Vec<usize> {
            let batches = pool.batches_of_entry(position, Some(Arc::clone(&large)));
            batches.iter().map(|batch| batch.len()).collect()
        };
        assert_eq!(sizes(0), [ENTRY_BYTES + 1]);
        assert_eq!(sizes(1), [batch.to_bytes().len()]);
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let mut pool = Pool::default();
        let payload = payload(KEPT_BYTES / 3);
        for instance in 0..10 {
            pool.add(&Batch { instance, number: 1, payload: &payload }, &Applied::default());
            assert!(pool.size_bytes <= KEPT_BYTES);
        }
        let kept: Vec<_> = pool.batches.iter().map(|one| one.instance).collect();
        assert_eq!(kept, [8, 9]);
    }
}
