//! Our entry for the next position, until that position is applied. Never changes once it is made: what a
//! node puts at a position is always the same.

use std::sync::Arc;

use super::answers::{Asked, StoreTimes};
use super::{Effect, StorePlace};
use crate::Position;

#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) position: Position,
    pub(super) entry: Arc<[u8]>,
    asked: Asked,
    stage: Stage,
}

/// How far a proposal is.
///
/// | stage | what comes | then |
/// |---|---|---|
/// | `Asked` | created | the entry is ours: it is applied |
/// | `Asked` | taken | `Taken` |
/// | `Asked` | failed | `Failed` |
/// | `Asked`, `Failed` | the time is over | `Unknown`: the position is read |
/// | `Unknown` | the entry at the position | it is applied, whoever's it is |
/// | `Unknown` | absent | put again: `Asked` |
/// | `Taken` | the entry at the position | it is applied, whoever's it is |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Failed,
    Unknown,
    Taken,
}

impl Proposal {
    /// Puts an entry.
    pub(super) fn new(
        position: Position,
        entry: Vec<u8>,
        now_ns: u64,
        store: &mut StoreTimes,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let entry: Arc<[u8]> = entry.into();
        let proposal = Self { position, entry, asked: store.ask(now_ns), stage: Stage::Asked };
        proposal.put(effects);
        proposal
    }

    fn put(&self, effects: &mut Vec<Effect>) {
        let place = StorePlace::Entry(self.position);
        effects.push(Effect::Put { place, bytes: Arc::clone(&self.entry) });
    }

    pub(super) fn created(&self, now_ns: u64, store: &mut StoreTimes) {
        store.answered(&self.asked, now_ns);
    }

    pub(super) fn taken(&mut self, now_ns: u64, store: &mut StoreTimes) {
        if self.stage == Stage::Asked {
            store.answered(&self.asked, now_ns);
        }
        self.stage = Stage::Taken;
    }

    /// The store could not answer: the position is read a while later.
    pub(super) fn failed(&mut self, now_ns: u64, store: &mut StoreTimes) {
        if self.stage == Stage::Asked {
            self.stage = Stage::Failed;
            store.failed(&mut self.asked, now_ns);
        }
    }

    /// Whether no answer came in time, so that the position has to be read now.
    pub(super) fn becomes_unknown(&mut self, now_ns: u64) -> bool {
        let due = self.asked.until_ns <= now_ns;
        let becomes = due && matches!(self.stage, Stage::Asked | Stage::Failed);
        if becomes {
            self.stage = Stage::Unknown;
        }
        becomes
    }

    /// Nothing is at the position: if that is what we wanted to know, the same is put again.
    pub(super) fn absent(
        &mut self,
        now_ns: u64,
        store: &mut StoreTimes,
        effects: &mut Vec<Effect>,
    ) {
        if self.stage == Stage::Unknown {
            self.stage = Stage::Asked;
            store.ask_again(&mut self.asked, now_ns);
            self.put(effects);
        }
    }

    pub(super) fn wake_at_ns(&self) -> Option<u64> {
        matches!(self.stage, Stage::Asked | Stage::Failed).then_some(self.asked.until_ns)
    }
}
