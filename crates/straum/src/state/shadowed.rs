//! A map of which a snapshot can be taken in one step, to be written out a piece at a time while the map goes on
//! to change. Never copies what does not change.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A map, and what has changed of it since the snapshot.
#[derive(Debug)]
pub(crate) struct Shadowed<K, V> {
    /// The map; while there is a snapshot, as it was when that was taken.
    base: BTreeMap<K, V>,
    /// What has changed since then; none of what was removed.
    ///
    /// Invariant: empty without a snapshot.
    changes: BTreeMap<K, Option<V>>,
    has_snapshot: bool,
}

impl<K, V> Default for Shadowed<K, V> {
    fn default() -> Self {
        Self { base: BTreeMap::new(), changes: BTreeMap::new(), has_snapshot: false }
    }
}

impl<K: Ord + Clone, V: Clone> Shadowed<K, V> {
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self.changes.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.base.get(key),
        }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.has_snapshot {
            self.changes.insert(key, Some(value));
        } else {
            self.base.insert(key, value);
        }
    }

    /// Whether there was anything to remove.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        if !self.has_snapshot {
            return self.base.remove(key).is_some();
        }
        if self.get(key).is_none() {
            return false;
        }
        self.changes.insert(key.clone(), None);
        true
    }

    /// About how many there are.
    pub(crate) fn count(&self) -> u64 {
        (self.base.len() + self.changes.len()) as u64
    }

    /// All from a key on, in order.
    pub(crate) fn from(&self, first: K) -> impl Iterator<Item = (&K, &V)> + use<'_, K, V> {
        let mut base = self.base.range(first.clone()..).peekable();
        let mut changes = self.changes.range(first..).peekable();
        std::iter::from_fn(move || {
            loop {
                let (key, value) = match (base.peek(), changes.peek()) {
                    (Some((key, _)), Some((other, _))) if key < other => base.next()?,
                    (_, Some((other, _))) => {
                        base.next_if(|(key, _)| key == other);
                        let (key, value) = changes.next()?;
                        let Some(value) = value else { continue };
                        (key, value)
                    }
                    _ => base.next()?,
                };
                return Some((key, value));
            }
        })
    }

    pub(crate) fn has_snapshot(&self) -> bool {
        self.has_snapshot
    }

    /// Takes a snapshot. There may be only one.
    pub(crate) fn take_snapshot(&mut self) {
        assert!(!self.has_snapshot, "there is a snapshot already");
        self.has_snapshot = true;
    }

    /// What the snapshot holds behind a key, in order; all of it if there is none.
    pub(crate) fn snapshot(&self, after: Option<&K>) -> impl Iterator<Item = (&K, &V)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.base.range((start, Bound::Unbounded))
    }

    /// Lets go of the snapshot, about so many changes at a time. Whether it is gone.
    pub(crate) fn release_snapshot(&mut self, most_changes: usize) -> bool {
        for _ in 0..most_changes {
            let Some((key, value)) = self.changes.pop_first() else { break };
            match value {
                Some(value) => _ = self.base.insert(key, value),
                None => _ = self.base.remove(&key),
            }
        }
        self.has_snapshot &= !self.changes.is_empty();
        !self.has_snapshot
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u8),
        Remove(u8),
        Take,
        Release(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..20_u8, any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
            3 => (0..20_u8).prop_map(Step::Remove),
            1 => Just(Step::Take),
            1 => (0..5_usize).prop_map(Step::Release),
        ]
    }

    proptest! {
        /// Beside a plain map, and a copy of it where there is a snapshot. While a snapshot is being let go of,
        /// nobody reads it.
        #[test]
        fn it_is_a_map_and_the_snapshot_stays_as_it_was(steps in proptest::collection::vec(step(), 0..200)) {
            let mut map = Shadowed::default();
            let mut model = BTreeMap::new();
            let mut copy: Option<BTreeMap<u8, u8>> = None;
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        map.insert(key, value);
                        model.insert(key, value);
                    }
                    Step::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key).is_some()),
                    Step::Take if !map.has_snapshot => {
                        map.take_snapshot();
                        copy = Some(model.clone());
                    }
                    Step::Take => {}
                    Step::Release(most) => {
                        copy = None;
                        map.release_snapshot(most);
                    }
                }
                let all: Vec<_> = map.from(0).map(|(key, value)| (*key, *value)).collect();
                prop_assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
                let from_7: Vec<_> = map.from(7).map(|(key, _)| *key).collect();
                prop_assert_eq!(from_7, model.range(7..).map(|(key, _)| *key).collect::<Vec<_>>());
                prop_assert!((0..20).all(|key| map.get(&key) == model.get(&key)));
                if let Some(copy) = &copy {
                    let behind: Vec<_> = map.snapshot(Some(&3)).map(|(key, value)| (*key, *value)).collect();
                    prop_assert_eq!(behind, copy.range(4..).map(|(key, value)| (*key, *value)).collect::<Vec<_>>());
                }
            }
        }
    }
}
