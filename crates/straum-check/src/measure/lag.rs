//! Realtime lag: how long ago the news was that a poll had not heard. Never guesses: what nobody
//! can have known yet does not count.
//!
//! The definition is that of Jepsen's `kafka` workload (`realtime-lag`), which is conservative: it
//! counts from when a later offset was certainly there to when the poll was asked, not answered.

use serde::Serialize;

use super::milliseconds;
use crate::history::{Action, History, KeyId, Offset, Operation, Outcome};
use crate::time::Nanos;

/// A poll that was behind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lag {
    /// For how long, when the poll was asked, a message had been there that its client has not read
    /// even after it.
    pub lag_ms: f64,
    /// The poll: an index into the history's operations.
    pub operation: usize,
    /// The key it was behind in.
    pub key: String,
}

/// The lag of one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PollLag {
    pub(super) operation: usize,
    pub(super) key: KeyId,
    pub(super) span: Nanos,
}

/// The lag of every successful poll, in its worst key. The final polls start from the beginning on
/// purpose and are left out.
pub(super) fn of_polls(history: &History) -> Vec<PollLag> {
    let tips = Tips::of(history);
    let polls = history.operations.iter().enumerate().filter(|(_, operation)| !operation.last);
    polls
        .filter_map(|(index, operation)| {
            let (span, key) = worst_key(&tips, operation)?;
            Some(PollLag { operation: index, key, span })
        })
        .collect()
}

/// The worst of all, if any poll was behind.
pub(super) fn worst(history: &History, lags: &[PollLag]) -> Option<Lag> {
    let worst = lags.iter().max_by_key(|lag| lag.span).filter(|lag| lag.span > 0)?;
    Some(Lag {
        lag_ms: milliseconds(worst.span),
        operation: worst.operation,
        key: history.keys.get(worst.key as usize)?.clone(),
    })
}

fn worst_key(tips: &Tips, poll: &Operation) -> Option<(Nanos, KeyId)> {
    let Action::Poll { from, messages } = &poll.action else { return None };
    if poll.outcome != Outcome::Ok {
        return None;
    }
    let lags = from.iter().map(|&(key, wanted)| {
        let got = messages.iter().filter(|(of, _)| *of == key).flat_map(|(_, got)| got);
        let read = got.map(|(offset, _)| *offset).max().unwrap_or(wanted.saturating_sub(1));
        let passed = tips.passed(key, read.max(wanted.saturating_sub(1)));
        (passed.map_or(0, |at| poll.invoked_ns.saturating_sub(at)), key)
    });
    lags.max()
}

/// How far each log was known to reach, and since when.
struct Tips {
    /// By key. Invariant: both the offsets and the times ascend.
    by_key: Vec<Vec<(Offset, Nanos)>>,
}

impl Tips {
    fn of(history: &History) -> Self {
        let mut tips = Self { by_key: vec![Vec::new(); history.keys.len()] };
        let mut by_completion: Vec<&Operation> = history
            .operations
            .iter()
            .filter(|operation| operation.outcome == Outcome::Ok)
            .collect();
        by_completion.sort_unstable_by_key(|operation| operation.completed_ns);
        for operation in by_completion {
            tips.learn(operation);
        }
        tips
    }

    fn learn(&mut self, operation: &Operation) {
        match &operation.action {
            Action::Send { key, offset: Some(offset), .. } => {
                self.reach(*key, *offset, operation.completed_ns);
            }
            Action::Poll { messages, .. } => {
                for (key, got) in messages {
                    if let Some(offset) = got.iter().map(|(offset, _)| *offset).max() {
                        self.reach(*key, offset, operation.completed_ns);
                    }
                }
            }
            _ => {}
        }
    }

    fn reach(&mut self, key: KeyId, offset: Offset, at: Nanos) {
        let Some(tips) = self.by_key.get_mut(key as usize) else { return };
        if tips.last().is_none_or(|&(known, _)| known < offset) {
            tips.push((offset, at));
        }
    }

    /// When it was first known that the log goes on after `offset`.
    fn passed(&self, key: KeyId, offset: Offset) -> Option<Nanos> {
        let tips = self.by_key.get(key as usize)?;
        let first = tips.partition_point(|&(known, _)| known <= offset);
        tips.get(first).map(|&(_, at)| at)
    }
}
