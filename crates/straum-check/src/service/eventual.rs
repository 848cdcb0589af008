//! `lww-kv`: replicas that answer for themselves and tell each other now and then; the last write
//! wins. Never promises that a write is seen, or kept.
//!
//! As in Maelstrom's `service.clj`, each request goes to a random replica, after one random replica
//! was merged into another; writes get timestamps of their replica's Lamport clock.

use std::array;
use std::collections::{HashMap, VecDeque};

use fastrand::Rng;

use super::json::{Key, Value};
use super::request::{Access, Reply};

const REPLICAS: usize = 5;

#[derive(Debug)]
pub(super) struct Eventual {
    rng: Rng,
    replicas: [Replica; REPLICAS],
}

#[derive(Debug, Default)]
struct Replica {
    /// The timestamp of the next write.
    clock: u64,
    values: HashMap<Key, Stamped>,
    /// The keys that changed, in order, without those that all others have merged.
    changed: VecDeque<Key>,
    /// How many changes are no longer in `changed`.
    forgotten: u64,
    /// How many changes each other replica has merged.
    merged_by: [u64; REPLICAS],
}

#[derive(Clone, Debug)]
struct Stamped {
    timestamp: u64,
    value: Value,
}

impl Eventual {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), replicas: array::from_fn(|_| Replica::default()) }
    }

    pub(super) fn apply(&mut self, key: Key, access: &Access) -> Reply {
        let (from, into) = (self.draw(), self.draw());
        self.merge(from, into);
        let replica = self.draw();
        self.replicas[replica].apply(key, access)
    }

    fn draw(&mut self) -> usize {
        self.rng.usize(..REPLICAS)
    }

    /// Looks only at what has changed since the last time, which comes to the same as looking at all.
    fn merge(&mut self, from: usize, into: usize) {
        if from == into {
            return;
        }
        let (clock, changes) = self.replicas[from].changes_for(into);
        self.replicas[from].forget(from);
        let into = &mut self.replicas[into];
        into.clock = into.clock.max(clock);
        for (key, stamped) in changes {
            into.take(key, stamped);
        }
    }
}

impl Replica {
    fn apply(&mut self, key: Key, access: &Access) -> Reply {
        let (reply, written) = access.decide(self.values.get(&key).map(|stamped| &stamped.value));
        if let Some(value) = written {
            let timestamp = self.clock;
            self.clock += 1;
            self.set(key, Stamped { timestamp, value });
        }
        reply
    }

    fn set(&mut self, key: Key, stamped: Stamped) {
        self.changed.push_back(key.clone());
        self.values.insert(key, stamped);
    }

    fn take(&mut self, key: Key, stamped: Stamped) {
        if self.values.get(&key).is_none_or(|mine| stamped.wins_over(mine)) {
            self.set(key, stamped);
        }
    }

    /// The clock, and what changed since `peer` asked last.
    fn changes_for(&mut self, peer: usize) -> (u64, Vec<(Key, Stamped)>) {
        let known = usize::try_from(self.merged_by[peer] - self.forgotten).unwrap_or(usize::MAX);
        let keys = self.changed.iter().skip(known);
        let changes =
            keys.filter_map(|key| Some((key.clone(), self.values.get(key)?.clone()))).collect();
        self.merged_by[peer] = self.forgotten + self.changed.len() as u64;
        (self.clock, changes)
    }

    /// Drops the changes that all other replicas have merged.
    fn forget(&mut self, own: usize) {
        let others = self.merged_by.iter().enumerate().filter(|(peer, _)| *peer != own);
        let merged = others.map(|(_, merged)| *merged).min().unwrap_or(0);
        while self.forgotten < merged {
            self.changed.pop_front();
            self.forgotten += 1;
        }
    }
}

impl Stamped {
    /// Of two writes with the same timestamp the one with the greater text wins, on all replicas.
    fn wins_over(&self, other: &Self) -> bool {
        (self.timestamp, self.value.text()) > (other.timestamp, other.value.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        "\"x\"".into()
    }

    fn write(store: &mut Eventual, value: u64) {
        store.apply(key(), &Access::Write(Value::new(&value.to_string())));
    }

    fn read(store: &mut Eventual) -> Option<u64> {
        match store.apply(key(), &Access::Read) {
            Reply::Read(value) => value.text().parse().ok(),
            _ => None,
        }
    }

    fn gossip(store: &mut Eventual) {
        (0..1000).for_each(|_| {
            read(store);
        });
    }

    #[test]
    fn a_write_is_seen_by_all_after_a_while_but_not_at_once() {
        let mut store = Eventual::new(1);
        write(&mut store, 1);
        let early: Vec<_> = (0..5).map(|_| read(&mut store)).collect();
        assert!(early.contains(&None), "{early:?}");
        gossip(&mut store);
        assert!((0..20).all(|_| read(&mut store) == Some(1)));
    }

    #[test]
    fn replicas_agree_on_one_of_the_writes_in_the_end() {
        for seed in 0..50 {
            let mut store = Eventual::new(seed);
            (0..10).for_each(|value| write(&mut store, value));
            gossip(&mut store);
            let agreed = read(&mut store);
            assert!(agreed.is_some());
            assert!((0..20).all(|_| read(&mut store) == agreed));
        }
    }

    #[test]
    fn a_write_can_be_lost_to_an_older_one() {
        let lost = |seed| {
            let mut store = Eventual::new(seed);
            (0..10).for_each(|value| write(&mut store, value));
            gossip(&mut store);
            read(&mut store) != Some(9)
        };
        assert!((0..50).any(lost));
    }

    #[test]
    fn a_write_wins_over_what_its_replica_knew() {
        let mut store = Eventual::new(1);
        for value in 0..50 {
            write(&mut store, value);
            gossip(&mut store);
            assert_eq!(read(&mut store), Some(value));
        }
    }

    #[test]
    fn what_all_replicas_know_is_not_told_again() {
        let mut store = Eventual::new(1);
        (0..10_000).for_each(|value| write(&mut store, value));
        gossip(&mut store);
        assert!(store.replicas.iter().all(|replica| replica.changed.is_empty()));
    }
}
