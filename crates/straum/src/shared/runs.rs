//! Runs: 64 entries end to end under a key of their own, so that a node that comes late needs no round
//! trip for each entry ever created. A run is nothing but a copy: its bytes follow from its entries, so
//! that whoever writes it writes the same, and without it the entries are read one by one. Never read
//! here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answers::{Asked, StoreTimes};
use super::{Effect, PutAnswer, StorePlace, format};
use crate::Position;
use crate::identity::Identity;

/// How many entries a run has.
pub(super) const RUN_ENTRIES: u64 = 64;

/// A run of more than this is not written, in bytes: reading its entries, which are large, one by one is
/// no slower.
const MOST_RUN_BYTES: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The entries of the run that is not complete, from its first one on; none if it is too large.
    open: Option<Vec<Arc<[u8]>>>,
    size_bytes: usize,
    /// Runs that are being written.
    putting: BTreeMap<u64, (Arc<[u8]>, Asked)>,
}

impl Runs {
    /// An entry was applied.
    pub(super) fn applied(&mut self, position: Position, entry: Arc<[u8]>) {
        if position.is_multiple_of(RUN_ENTRIES) {
            self.open = Some(Vec::new());
            self.size_bytes = 0;
        }
        self.size_bytes += entry.len();
        if self.size_bytes > MOST_RUN_BYTES {
            self.open = None;
        }
        if let Some(entries) = &mut self.open {
            entries.push(entry);
        }
    }

    /// The run that the last entry has completed, as bytes; none if it is too large.
    pub(super) fn complete(&self, run: u64, identity: &Identity) -> Option<Vec<u8>> {
        let entries = self.open.as_ref().filter(|entries| entries.len() as u64 == RUN_ENTRIES)?;
        Some(format::write_run(identity, run, entries.iter().map(|entry| &**entry)))
    }

    /// Writes a run into the store.
    pub(super) fn put(
        &mut self,
        run: u64,
        bytes: Vec<u8>,
        now_ns: u64,
        store: &mut StoreTimes,
        effects: &mut Vec<Effect>,
    ) {
        let bytes: Arc<[u8]> = bytes.into();
        effects.push(Effect::Put { place: StorePlace::Run(run), bytes: Arc::clone(&bytes) });
        self.putting.insert(run, (bytes, store.ask(now_ns)));
    }

    pub(super) fn answered(
        &mut self,
        run: u64,
        answer: PutAnswer,
        now_ns: u64,
        store: &mut StoreTimes,
    ) {
        match answer {
            PutAnswer::Created | PutAnswer::Taken => _ = self.putting.remove(&run),
            PutAnswer::Unknown => {
                if let Some((_, asked)) = self.putting.get_mut(&run) {
                    store.failed(asked, now_ns);
                }
            }
        }
    }

    pub(super) fn go_on(&mut self, now_ns: u64, store: &mut StoreTimes, effects: &mut Vec<Effect>) {
        for (run, (bytes, asked)) in &mut self.putting {
            if asked.until_ns <= now_ns {
                store.ask_again(asked, now_ns);
                effects
                    .push(Effect::Put { place: StorePlace::Run(*run), bytes: Arc::clone(bytes) });
            }
        }
    }

    pub(super) fn wake_at_ns(&self) -> Option<u64> {
        self.putting.values().map(|(_, asked)| asked.until_ns).min()
    }
}
