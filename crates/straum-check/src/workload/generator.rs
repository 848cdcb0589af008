//! Which operation comes next, and on which keys. A function of its seed and of how often it is asked;
//! it never learns what became of an operation.
//!
//! The mix follows Jepsen's `kafka` workload as Maelstrom runs it: sends and polls in equal parts, an
//! assign in place of every 64th operation, about ten keys active at a time and chosen unevenly, each
//! retired after so many writes, and a crash of each client every 30 s.

use fastrand::Rng;

use crate::history::KeyId;

/// One operation in so many is an assign.
const OPERATIONS_PER_ASSIGN: u32 = 64;

/// One assign in so many also takes in every key that has messages nobody has polled.
const ASSIGNS_PER_CATCH_UP: u32 = 3;

/// How often a client crashes, in seconds.
const CRASH_INTERVAL_S: f64 = 30.0;

/// One send in so many goes to a key of a consumer group.
const SENDS_PER_GROUP_SEND: u32 = 10;

/// The most active keys that an assign takes.
const KEYS_PER_ASSIGN: usize = 4;

/// How keys come and go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How many keys are written to at a time, at least 1 (`--key-count`).
    pub key_count: usize,
    /// How many messages a key gets before another takes its place (`--max-writes-per-key`).
    pub max_writes_per_key: u64,
    /// How many consumer groups there are, each with a key of its own at a time.
    pub groups: u32,
    /// How many clients share the work; it only decides how often one of them crashes.
    pub concurrency: usize,
    /// Operations a second.
    pub rate: f64,
}

/// What a client is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Send this value.
    Send {
        /// The log.
        key: KeyId,
        /// Unique within the run, so that no node can guess it from an offset or mistake the log.
        value: u64,
    },
    /// Poll what it has been assigned.
    Poll,
    /// Read these keys from now on.
    Assign {
        /// Some of the active keys.
        keys: Vec<KeyId>,
        /// And every key that has messages nobody has polled.
        catch_up: bool,
    },
    /// Begin what is planned here and be thrown away in the middle of it.
    Crash(Box<Plan>),
}

/// Makes plans.
#[derive(Debug)]
pub(crate) struct Generator {
    settings: Settings,
    rng: Rng,
    /// How many messages each key has been given, and the group that reads it. A key is named by its
    /// number.
    keys: Vec<Key>,
    active: Vec<KeyId>,
    /// The active key of each group.
    group_active: Vec<KeyId>,
    next_value: u64,
    crash_share: f64,
}

#[derive(Debug)]
struct Key {
    writes: u64,
    group: Option<u32>,
}

impl Generator {
    /// Makes the plans that belong to `seed`.
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
        let crashes_per_s = settings.concurrency as f64 / CRASH_INTERVAL_S;
        let mut generator = Self {
            settings,
            rng: Rng::with_seed(seed),
            keys: Vec::new(),
            active: Vec::new(),
            group_active: Vec::new(),
            next_value: 1,
            crash_share: (crashes_per_s / settings.rate.max(1e-9)).min(0.1),
        };
        for _ in 0..settings.key_count.max(1) {
            let key = generator.new_key(None);
            generator.active.push(key);
        }
        for group in 0..settings.groups {
            let key = generator.new_key(Some(group));
            generator.group_active.push(key);
        }
        generator
    }

    /// The next plan.
    pub(crate) fn next_plan(&mut self) -> Plan {
        if self.rng.f64() < self.crash_share {
            return Plan::Crash(Box::new(self.next_request()));
        }
        if self.rng.u32(..OPERATIONS_PER_ASSIGN) == 0 {
            let mut rng = self.rng.fork();
            let keys = self.some_keys(&mut rng);
            return Plan::Assign { keys, catch_up: rng.u32(..ASSIGNS_PER_CATCH_UP) == 0 };
        }
        self.next_request()
    }

    /// Some active keys, chosen unevenly, for a client to read.
    pub(crate) fn some_keys(&self, rng: &mut Rng) -> Vec<KeyId> {
        let count = 1 + rng.usize(..KEYS_PER_ASSIGN);
        let mut keys: Vec<KeyId> =
            (0..count).map(|_| self.active[uneven(rng, self.active.len())]).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// How many keys there are by now; keys are numbered from 0.
    pub(crate) fn key_count(&self) -> KeyId {
        KeyId::try_from(self.keys.len()).unwrap_or(KeyId::MAX)
    }

    /// The group that a key belongs to.
    pub(crate) fn group_of(&self, key: KeyId) -> Option<u32> {
        self.keys.get(key as usize)?.group
    }

    /// All keys of a group so far.
    pub(crate) fn group_keys(&self, group: u32) -> impl Iterator<Item = KeyId> {
        (0..).zip(&self.keys).filter(move |(_, key)| key.group == Some(group)).map(|(id, _)| id)
    }

    fn next_request(&mut self) -> Plan {
        if self.rng.bool() {
            return Plan::Poll;
        }
        let groups = self.group_active.len();
        let to_group = groups > 0 && self.rng.u32(..SENDS_PER_GROUP_SEND) == 0;
        if to_group {
            let slot = self.rng.usize(..groups);
            let key = self.group_active[slot];
            let (value, retired) = self.write(key);
            if retired {
                self.group_active[slot] = self.new_key(self.group_of(key));
            }
            return Plan::Send { key, value };
        }
        let slot = uneven(&mut self.rng, self.active.len());
        let key = self.active[slot];
        let (value, retired) = self.write(key);
        if retired {
            self.active[slot] = self.new_key(None);
        }
        Plan::Send { key, value }
    }

    /// A new value for a key, and whether it is the key's last.
    fn write(&mut self, key: KeyId) -> (u64, bool) {
        let writes = &mut self.keys[key as usize].writes;
        *writes += 1;
        self.next_value += 1;
        (self.next_value - 1, *writes >= self.settings.max_writes_per_key)
    }

    fn new_key(&mut self, group: Option<u32>) -> KeyId {
        self.keys.push(Key { writes: 0, group });
        self.key_count() - 1
    }
}

/// An index below `count`, each half as likely as the one before it.
fn uneven(rng: &mut Rng, count: usize) -> usize {
    let halvings = rng.u64(..).trailing_zeros() as usize;
    if halvings < count { halvings } else { rng.usize(..count) }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const SETTINGS: Settings = Settings {
        key_count: 10,
        max_writes_per_key: 32,
        groups: 2,
        concurrency: 10,
        rate: 1_000.0,
    };

    fn plans(seed: u64, count: usize) -> Vec<Plan> {
        let mut generator = Generator::new(SETTINGS, seed);
        (0..count).map(|_| generator.next_plan()).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_plans() {
        assert_eq!(plans(7, 1_000), plans(7, 1_000));
        assert_ne!(plans(7, 1_000), plans(8, 1_000));
    }

    #[test]
    fn values_are_unique_and_keys_retire() {
        let mut values: BTreeMap<KeyId, Vec<u64>> = BTreeMap::new();
        for plan in plans(1, 10_000) {
            let plan = if let Plan::Crash(begun) = plan { *begun } else { plan };
            if let Plan::Send { key, value } = plan {
                values.entry(key).or_default().push(value);
            }
        }
        assert!(values.len() > 100);
        assert!(values.values().all(|values| values.len() <= 32));
        let distinct: BTreeSet<&u64> = values.values().flatten().collect();
        assert_eq!(distinct.len(), values.values().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn every_kind_of_plan_comes_up_in_its_share() {
        let plans = plans(2, 64_000);
        let share = |is: fn(&Plan) -> bool| plans.iter().filter(|plan| is(plan)).count();
        assert!((30_000..33_000).contains(&share(|plan| matches!(plan, Plan::Poll))));
        assert!((30_000..33_000).contains(&share(|plan| matches!(plan, Plan::Send { .. }))));
        assert!((800..1_200).contains(&share(|plan| matches!(plan, Plan::Assign { .. }))));
        assert!((5..60).contains(&share(|plan| matches!(plan, Plan::Crash(_)))));
    }

    #[test]
    fn groups_have_keys_of_their_own_that_no_assign_names() {
        let mut generator = Generator::new(SETTINGS, 3);
        for _ in 0..20_000 {
            if let Plan::Assign { keys, .. } = generator.next_plan() {
                assert!(keys.iter().all(|&key| generator.group_of(key).is_none()));
            }
        }
        assert!(generator.group_keys(1).count() > 3);
    }
}
