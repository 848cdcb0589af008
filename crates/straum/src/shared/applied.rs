//! The state: what comes out of applying entries in order. Never proposes anything.

use std::collections::HashMap;

use super::format::Batch;
use super::planted::{Bug, Planted};
use crate::{Command, Engine, MemoryJournal, Offset, Position, Refused};

/// A prefix of the journal, applied.
#[derive(Debug, Default)]
pub(super) struct Applied {
    engine: Engine<MemoryJournal>,
    /// Invariant: the entries before this position are applied, each once, in order, and none else.
    next: Position,
    /// The last batch of each instance that has taken effect. Invariant: all before it have, too.
    last_seqs: HashMap<u64, u64>,
}

impl Applied {
    pub(super) fn engine(&self) -> &Engine<MemoryJournal> {
        &self.engine
    }

    /// The position that comes next.
    pub(super) fn next(&self) -> Position {
        self.next
    }

    pub(super) fn has(&self, instance: u64, seq: u64) -> bool {
        self.last_seqs.get(&instance).is_some_and(|last| *last >= seq)
    }

    /// Whether a batch has yet to take effect.
    pub(super) fn lacks(&self, batch: &Batch<'_>, planted: &Planted) -> bool {
        !self.has(batch.instance, batch.seq) || planted.is(Bug::ApplyBatchTwice)
    }

    /// Applies the batches of the entry at [`next`](Self::next), and tells of each batch that takes
    /// effect what its commands came to: the offset of a send, none for a commit.
    ///
    /// # Errors
    /// What the engine refuses: then this entry was made by a program with other limits than ours, and
    /// nothing may be applied after it.
    pub(super) fn apply(
        &mut self,
        batches: &[Batch<'_>],
        planted: &Planted,
        mut told: impl FnMut(&Batch<'_>, Vec<Option<Offset>>),
    ) -> Result<(), Refused> {
        for batch in batches {
            if !self.lacks(batch, planted) {
                continue;
            }
            self.last_seqs.insert(batch.instance, batch.seq);
            let results: Result<_, _> =
                batch.commands().map(|command| self.carry_out(command)).collect();
            told(batch, results?);
        }
        self.next += 1;
        Ok(())
    }

    fn carry_out(&mut self, command: Command<'_>) -> Result<Option<Offset>, Refused> {
        match command {
            Command::Send { key, message } => self.engine.send(key, message).map(Some),
            Command::Commit { key, offset } => self.engine.commit(&[(key, offset)]).map(|()| None),
        }
    }
}
