//! The state: what comes out of applying entries in order. Never proposes anything.

use std::collections::{BTreeMap, HashMap};

use super::format::Batch;
use crate::command::Outcome;
use crate::engine::Engine;
use crate::{Now, Position, Refused};

/// Of so many lives of members it is known which of their batches have taken effect: of those whose last one did so
/// last. A batch of a life before those would take effect again if it came again after so many others.
const MOST_LIVES: usize = 4096;

/// A prefix of the journal, applied.
#[derive(Debug, Default)]
pub(super) struct Applied {
    engine: Engine,
    /// Invariant: the entries before this position are applied, each once, in order, and none else.
    next: Position,
    /// The last batch of each instance that has taken effect, and which effect that was. Invariant: all batches of
    /// the instance before it have taken effect, too.
    last: HashMap<u64, (u64, u64)>,
    /// The instances by their last effects. Invariant: exactly those of `last`.
    by_effect: BTreeMap<u64, u64>,
    /// How many batches have taken effect.
    effects: u64,
}

impl Applied {
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The position that comes next.
    pub(super) fn next(&self) -> Position {
        self.next
    }

    /// Whether a batch has taken effect.
    pub(super) fn has(&self, instance: u64, number: u64) -> bool {
        self.last.get(&instance).is_some_and(|(last, _)| *last >= number)
    }

    /// Applies the batches of the entry at [`next`](Self::next), and tells of each batch that takes
    /// effect what its commands came to.
    ///
    /// # Errors
    /// What the engine refuses: then this entry was made by a program with other limits than ours, and
    /// nothing may be applied after it.
    pub(super) fn apply(
        &mut self,
        time_ms: u64,
        batches: &[Batch<'_>],
        mut told: impl FnMut(&Batch<'_>, &[Outcome]),
    ) -> Result<(), Refused> {
        let now = Now { time_ms, elapsed_ms: 0 };
        self.engine.set_time(now);
        for batch in batches {
            if self.has(batch.instance, batch.number) {
                continue;
            }
            self.note(batch);
            let results: Vec<_> = batch
                .commands()
                .map(|command| self.engine.apply(&command))
                .collect::<Result<_, _>>()?;
            told(batch, &results);
        }
        self.engine.sync(now)?;
        self.next += 1;
        Ok(())
    }

    fn note(&mut self, batch: &Batch<'_>) {
        self.effects += 1;
        let before = self.last.insert(batch.instance, (batch.number, self.effects));
        if let Some((_, effect)) = before {
            self.by_effect.remove(&effect);
        }
        self.by_effect.insert(self.effects, batch.instance);
        if self.by_effect.len() > MOST_LIVES
            && let Some((_, oldest)) = self.by_effect.pop_first()
        {
            self.last.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Append, Command};
    use crate::command_bytes::put_command;

    #[test]
    fn of_many_lives_only_the_last_ones_are_remembered() {
        let mut payload = Vec::new();
        put_command(&Command::Append(Append::record("k", b"m")), &mut payload);
        let mut applied = Applied::default();
        let lives = 2 * MOST_LIVES as u64;
        for instance in 0..lives {
            let of = |instance| Batch { instance, number: 1 + instance % 2, payload: &payload };
            let batches = [of(instance), of(instance), of(instance - instance.min(1_000))];
            applied.apply(5, &batches, |_, _| {}).unwrap();
        }
        assert_eq!((applied.last.len(), applied.by_effect.len()), (MOST_LIVES, MOST_LIVES));
        assert!(applied.has(lives - 1, 1) && !applied.has(0, 1));
        assert_eq!(applied.engine().bounds("k").unwrap().stable_end, lives);
    }
}
