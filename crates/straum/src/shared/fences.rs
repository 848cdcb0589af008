//! Who waits to see everything that was in the journal when it asked. Never reads an entry.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::Token;
use crate::Position;

/// Who waits for a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Why {
    /// The member has just started.
    Start,
    /// The member has fallen behind.
    CatchUp,
    /// It has heard nothing for a while, and somebody reads from it.
    Refresh,
    /// This reader wants to see everything.
    Reader(Token),
}

/// All fences that stand. What each of these functions costs does not depend on how many there are, over time.
#[derive(Debug, Default)]
pub(super) struct Fences {
    /// Those that somebody waits for.
    standing: HashSet<Why>,
    /// Since when each stands, in order; no position was found absent since then.
    unbounded: VecDeque<(u64, Why)>,
    /// The lowest position that was found absent since then.
    bounded: BTreeMap<Position, Vec<(u64, Why)>>,
    /// How many are in one of these. Invariant: at most twice as many as are standing, and one.
    held: usize,
}

impl Fences {
    pub(super) fn set(&mut self, why: Why, now_ns: u64) {
        self.standing.insert(why);
        self.unbounded.push_back((now_ns, why));
        self.held += 1;
    }

    pub(super) fn stands(&self, why: Why) -> bool {
        self.standing.contains(&why)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.standing.is_empty()
    }

    /// A reader waits no more. What is held of it goes when half of what is held is of no use.
    pub(super) fn forget(&mut self, token: Token) {
        self.standing.remove(&Why::Reader(token));
        if self.held > 2 * self.standing.len() + 1 {
            self.unbounded.retain(|(_, why)| self.standing.contains(why));
            self.bounded
                .values_mut()
                .for_each(|all| all.retain(|(_, why)| self.standing.contains(why)));
            self.bounded.retain(|_, all| !all.is_empty());
            self.held = self.standing.len();
        }
    }

    /// A read that began at this time has found a position absent.
    pub(super) fn bound(&mut self, asked_at_ns: u64, position: Position) {
        let (mut found, higher) = (Vec::new(), self.bounded.split_off(&position));
        while let Some(fence) =
            self.unbounded.pop_front_if(|(since_ns, _)| *since_ns <= asked_at_ns)
        {
            found.push(fence);
        }
        // Several positions are asked for at once, and their answers come in any order.
        for (bound, fences) in higher {
            let (lower, stay): (Vec<_>, Vec<_>) =
                fences.into_iter().partition(|(since_ns, _)| *since_ns <= asked_at_ns);
            found.extend(lower);
            if !stay.is_empty() {
                self.bounded.insert(bound, stay);
            }
        }
        if !found.is_empty() {
            self.bounded.entry(position).or_default().extend(found);
        }
    }

    /// Takes those down that nothing is missing for, when everything before a position is here.
    pub(super) fn fallen(&mut self, next: Position) -> Vec<Why> {
        let mut fallen = Vec::new();
        while let Some(lowest) = self.bounded.first_entry()
            && *lowest.key() <= next
        {
            fallen.extend(lowest.remove().into_iter().map(|(_, why)| why));
        }
        self.held -= fallen.len();
        fallen.retain(|why| self.standing.remove(why));
        fallen
    }

    /// How far they make a member read.
    pub(super) fn end(&self) -> Option<Position> {
        if self.unbounded.is_empty() {
            self.bounded.last_key_value().map(|(bound, _)| *bound)
        } else {
            Some(Position::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_falls_when_all_before_a_position_is_here_that_was_absent_after_it_was_set() {
        let mut fences = Fences::default();
        fences.set(Why::Start, 10);
        fences.set(Why::Reader(1), 20);
        fences.bound(15, 7);
        assert_eq!(fences.end(), Some(Position::MAX));
        assert_eq!(fences.fallen(6), []);
        assert_eq!(fences.fallen(7), [Why::Start]);
        fences.bound(20, 9);
        assert_eq!(fences.end(), Some(9));
        assert_eq!(fences.fallen(9), [Why::Reader(1)]);
        assert!(fences.is_empty() && fences.end().is_none());
    }

    #[test]
    fn of_several_positions_that_are_absent_the_lowest_counts() {
        let mut fences = Fences::default();
        fences.set(Why::Start, 10);
        fences.set(Why::Refresh, 30);
        fences.bound(40, 9);
        fences.bound(20, 5);
        assert_eq!(fences.fallen(5), [Why::Start]);
        assert_eq!(fences.fallen(8), []);
        assert_eq!(fences.fallen(9), [Why::Refresh]);
    }

    #[test]
    fn readers_that_gave_up_are_not_kept_and_not_told() {
        let mut fences = Fences::default();
        fences.set(Why::Start, 0);
        for token in 0..10_000 {
            fences.set(Why::Reader(token), token);
            fences.bound(token / 2, token);
            fences.forget(token);
            assert!(fences.held <= 3);
        }
        fences.bound(10_000, 0);
        assert_eq!(fences.fallen(Position::MAX), [Why::Start]);
    }
}
