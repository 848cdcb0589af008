//! All logs, by key. Never does I/O.
//!
//! A log has a **slot**, a number that it keeps for as long as it exists and that another may have after it;
//! and an id that no other log ever has.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::log::{Log, LogId, LogSummary};
use crate::Offset;

/// All logs.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    slots: Vec<Option<Slot>>,
    /// The slots that are free.
    free: Vec<u32>,
    by_key: HashTable<Entry>,
    hasher: RandomState,
    /// Invariant: no log has an id as high.
    pub(crate) next_id: LogId,
    /// What is frozen in a log of an older epoch is all of it.
    epoch: u32,
    /// The slots of the logs that have records that are not stable.
    unstable: Vec<u32>,
    /// The slots of the logs that grew by the last sync.
    grown: Vec<u32>,
    /// What all keys take, in bytes.
    key_bytes: u64,
}

/// Where the log of a key is. The hash is kept, so that the table grows without a look at any key.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    slot: u32,
}

impl Entry {
    /// The hash of all bits, from the half that is kept.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

#[derive(Debug)]
struct Slot {
    key: Box<str>,
    log: Log,
}

impl Logs {
    pub(crate) fn append(
        &mut self,
        key: &str,
        record: &[u8],
        count: u32,
        time_ms: u64,
    ) -> Option<Offset> {
        let slot = self.slot(key).unwrap_or_else(|| self.create(key));
        let epoch = self.epoch;
        let log = &mut self.slots.get_mut(slot as usize)?.as_mut()?.log;
        let was_stable = log.stable_end == log.next_offset();
        let offset = log.append(record, count, time_ms, epoch)?;
        if was_stable {
            self.unstable.push(slot);
        }
        Some(offset)
    }

    fn slot(&self, key: &str) -> Option<u32> {
        let hash = self.hash(key);
        let is_it = |entry: &Entry| entry.hash == hash && self.has_key(entry.slot, key);
        self.by_key.find(Entry::spread(hash), is_it).map(|entry| entry.slot)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "half of the bits tell keys apart well enough"
    )]
    fn hash(&self, key: &str) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    fn has_key(&self, slot: u32, key: &str) -> bool {
        self.at(slot).is_some_and(|(its_key, _)| its_key == key)
    }

    #[cold]
    fn create(&mut self, key: &str) -> u32 {
        let summary = LogSummary {
            id: self.next_id,
            start_offset: 0,
            start_bytes: 0,
            next_offset: 0,
            end_bytes: 0,
            max_time_ms: 0,
        };
        self.next_id += 1;
        #[expect(clippy::cast_possible_truncation, reason = "4 G logs do not fit into memory")]
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.put(slot, key, Log::new(summary, self.epoch));
        slot
    }

    fn put(&mut self, slot: u32, key: &str, log: Log) {
        let hash = self.hash(key);
        self.slots[slot as usize] = Some(Slot { key: key.into(), log });
        let spread = |entry: &Entry| Entry::spread(entry.hash);
        self.by_key.insert_unique(Entry::spread(hash), Entry { hash, slot }, spread);
        self.key_bytes += key.len() as u64;
    }

    /// Adds a log as it was when it was last in memory. False if there is one of that key or in that slot
    /// already.
    pub(crate) fn restore(&mut self, slot: u32, key: &str, summary: LogSummary) -> bool {
        let index = slot as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        let is_new = self.slots[index].is_none() && self.slot(key).is_none();
        if is_new {
            self.put(slot, key, Log::new(summary, self.epoch));
        }
        is_new
    }

    /// All logs have been restored that there were.
    pub(crate) fn restored(&mut self, next_id: LogId) {
        self.next_id = next_id;
        let slots = (0_u32..).zip(&self.slots);
        self.free = slots.filter(|(_, slot)| slot.is_none()).map(|(slot, _)| slot).collect();
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Log> {
        Some(self.find(key)?.1)
    }

    /// The log of a key, with its slot.
    pub(crate) fn find(&self, key: &str) -> Option<(u32, &Log)> {
        let slot = self.slot(key)?;
        Some((slot, self.at(slot)?.1))
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Log> {
        let slot = self.slot(key)?;
        Some(&mut self.slots.get_mut(slot as usize)?.as_mut()?.log)
    }

    /// The log in a slot, with its key.
    pub(crate) fn at(&self, slot: u32) -> Option<(&str, &Log)> {
        let slot = self.slots.get(slot as usize)?.as_ref()?;
        Some((&slot.key, &slot.log))
    }

    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut Log> {
        Some(&mut self.slots.get_mut(slot as usize)?.as_mut()?.log)
    }

    /// All logs with their keys, in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Log)> {
        self.slots.iter().flatten().map(|slot| (&*slot.key, &slot.log))
    }

    pub(crate) fn count(&self) -> usize {
        self.by_key.len()
    }

    /// How many slots there are, free ones included.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(crate) fn key_bytes(&self) -> u64 {
        self.key_bytes
    }

    /// Removes a log, whose id this was.
    pub(crate) fn drop_log(&mut self, key: &str) -> Option<LogId> {
        let slot = self.slot(key)?;
        let spread = Entry::spread(self.hash(key));
        if let Ok(entry) = self.by_key.find_entry(spread, |entry| entry.slot == slot) {
            entry.remove();
        }
        let dropped = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.key_bytes -= key.len() as u64;
        Some(dropped.log.id)
    }

    pub(crate) fn freeze(&mut self) {
        self.epoch += 1;
    }

    /// Everything so far is as durable as the journal promises. The logs that grew are the
    /// [`grown`](Self::grown) ones until the next time.
    pub(crate) fn make_stable(&mut self) {
        self.grown.clear();
        std::mem::swap(&mut self.grown, &mut self.unstable);
        for slot in &self.grown {
            if let Some(Some(slot)) = self.slots.get_mut(*slot as usize) {
                slot.log.stable_end = slot.log.next_offset();
            }
        }
    }

    /// The slots of the logs that grew when they were last made stable.
    pub(crate) fn grown(&self) -> &[u32] {
        &self.grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a log without records costs beside its key; `docs/operating.md` tells what one with records does.
    #[test]
    fn a_log_is_small() {
        assert!(size_of::<Option<Slot>>() <= 200);
    }
}
