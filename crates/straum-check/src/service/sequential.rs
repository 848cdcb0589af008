//! `seq-kv`: all accesses take place in one order, which every client sees from its own place in it.
//! Never shows a client an older state than it has seen.
//!
//! As in Maelstrom's `service.clj`, an access is tried on a random one of the last states. If it
//! changes nothing there, that is where it took place; else it takes place on the newest state.

use std::collections::{HashMap, VecDeque};

use fastrand::Rng;

use super::json::{Key, Value};
use super::request::{Access, Reply};
use crate::network::Address;

/// How many states may be served, the newest included.
const STATES: u64 = 32;

#[derive(Debug)]
pub(super) struct Sequential {
    rng: Rng,
    newest: HashMap<Key, Value>,
    /// How many changes led to the newest state.
    changes: u64,
    /// What the last changes replaced, the latest at the end: older states are the newest one with
    /// changes undone. Invariant: shorter than `STATES`.
    replaced: VecDeque<(Key, Option<Value>)>,
    /// The state that each client saw last, as a number of changes.
    seen: HashMap<Address, u64>,
}

impl Sequential {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            newest: HashMap::new(),
            changes: 0,
            replaced: VecDeque::new(),
            seen: HashMap::new(),
        }
    }

    pub(super) fn apply(&mut self, client: Address, key: Key, access: &Access) -> Reply {
        let state = self.choose(client);
        let current = self.value_at(state, &key);
        let (reply, written) = access.decide(current);
        if is_same(written.as_ref(), current) {
            self.seen.insert(client, state);
            return reply;
        }
        let (reply, written) = access.decide(self.newest.get(&key));
        if let Some(value) = written {
            self.change(key, value);
        }
        self.seen.insert(client, self.changes);
        reply
    }

    /// A state that the client may see. As in Maelstrom it is the newest one only for a client that
    /// has seen it: who only reads may stay one change behind until the next one, or for ever.
    fn choose(&mut self, client: Address) -> u64 {
        let seen = self.seen.get(&client).copied().unwrap_or(0);
        let oldest = seen.max(self.changes.saturating_sub(STATES - 1));
        if oldest == self.changes { oldest } else { self.rng.u64(oldest..self.changes) }
    }

    fn value_at(&self, state: u64, key: &Key) -> Option<&Value> {
        let undone = usize::try_from(self.changes - state).unwrap_or(usize::MAX);
        let kept = self.replaced.len().saturating_sub(undone);
        let replaced = self.replaced.range(kept..).find(|(changed, _)| changed == key);
        replaced.map_or_else(|| self.newest.get(key), |(_, value)| value.as_ref())
    }

    fn change(&mut self, key: Key, value: Value) {
        let replaced = self.newest.insert(key.clone(), value);
        self.changes += 1;
        self.replaced.push_back((key, replaced));
        if self.replaced.len() as u64 >= STATES {
            self.replaced.pop_front();
        }
    }
}

fn is_same(written: Option<&Value>, current: Option<&Value>) -> bool {
    match (written, current) {
        (None, _) => true,
        (Some(written), Some(current)) => written.is_written_as(current),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITER: Address = Address::Node(0);
    const READER: Address = Address::Node(1);

    fn key() -> Key {
        "\"x\"".into()
    }

    fn write(store: &mut Sequential, client: Address, value: u64) {
        store.apply(client, key(), &Access::Write(Value::new(&value.to_string())));
    }

    fn read(store: &mut Sequential, client: Address) -> Option<u64> {
        match store.apply(client, key(), &Access::Read) {
            Reply::Read(value) => value.text().parse().ok(),
            _ => None,
        }
    }

    #[test]
    fn a_reader_sees_stale_states_but_never_goes_back() {
        let mut store = Sequential::new(1);
        let (mut last, mut stale) = (None, 0);
        for value in 0..1000 {
            write(&mut store, WRITER, value);
            assert_eq!(read(&mut store, WRITER), Some(value), "its own write");
            let seen = read(&mut store, READER);
            assert!(seen >= last, "{seen:?} after {last:?}");
            stale += u32::from(seen < Some(value));
            last = seen;
        }
        assert!(stale > 500, "{stale}");
    }

    #[test]
    fn a_client_that_slept_sees_one_of_the_last_states() {
        for seed in 0..100 {
            let mut store = Sequential::new(seed);
            (0..1000).for_each(|value| write(&mut store, WRITER, value));
            assert!(read(&mut store, READER) >= Some(1000 - STATES));
        }
    }

    #[test]
    fn who_changes_something_else_sees_all_changes_before_it() {
        let mut store = Sequential::new(1);
        (0..10).for_each(|value| write(&mut store, WRITER, value));
        store.apply(READER, "\"mine\"".into(), &Access::Write(Value::new("1")));
        assert_eq!(read(&mut store, READER), Some(9));
    }

    /// The example in Maelstrom's `doc/services.md`: the second write of 1 takes place in the past.
    #[test]
    fn a_write_that_changes_nothing_takes_place_in_the_past() {
        let mut store = Sequential::new(1);
        write(&mut store, WRITER, 1);
        store.apply(READER, "\"mine\"".into(), &Access::Write(Value::new("1")));
        let (from, to) = (Value::new("1"), Value::new("2"));
        store.apply(READER, key(), &Access::Exchange { from, to, create: false });
        write(&mut store, WRITER, 1);
        assert_eq!(read(&mut store, READER), Some(2));
    }

    #[test]
    fn an_exchange_takes_place_on_the_newest_state_if_at_all() {
        let mut store = Sequential::new(1);
        for value in 0..200 {
            let client = Address::Node(u32::try_from(value % 3).unwrap());
            let (from, to) = (Value::new(&value.to_string()), Value::new(&(value + 1).to_string()));
            while !matches!(
                store.apply(
                    client,
                    key(),
                    &Access::Exchange { from: from.clone(), to: to.clone(), create: true }
                ),
                Reply::Exchanged
            ) {
                store.apply(client, "\"latest\"".into(), &Access::Write(to.clone()));
                store.apply(client, "\"latest\"".into(), &Access::Write(from.clone()));
            }
        }
        assert_eq!(store.newest[&key()].text(), "200");
    }
}
